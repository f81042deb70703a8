"""The stream's road: the common loop with an engine of flights, and the wire that carries them.

One worker task for each request in flight. It carries flight after flight, and waits idle when the
engine has none.
"""

import asyncio
from collections.abc import Callable, Mapping

from relay.clock import Clock
from relay.model import Answer, Moment, NoAnswer, Request
from relay.road.consuming.schema_fetching import SchemaSource
from relay.road.consuming.source import RecordSource
from relay.road.letter_writer import DeadLetterSink
from relay.road.loop import Road, RoadPolicy
from relay.stream.engine import Engine
from relay.stream.sender import Flight, Sender
from relay.stream.sending.wire import Wire
from relay.stream.status import Reporter
from relay.telemetry.facts import Emit

ROAD = Reporter.road


def stream_road(
    engine: Engine,
    source: RecordSource,
    wires: Mapping[str, Wire],
    sink: DeadLetterSink,
    *,
    emit: Emit,
    clock: Clock,
    policy: RoadPolicy,
    reporter: Reporter,
    schemas: SchemaSource | None = None,
) -> Road:
    """The road of one event, from its parts; `wires` by the names of the destinations."""
    return Road(
        ROAD, engine, Carriers(engine, wires, clock), source, sink,
        emit=emit, clock=clock, policy=policy, reporter=reporter, schemas=schemas,
    )  # fmt: skip


class FlightCarrier:
    """Implements `relay.road.loop.Carrier` with requests to one destination over its wire."""

    def __init__(self, sender: Sender, wire: Wire, clock: Clock) -> None:
        self._sender = sender
        self._wire = wire
        self._clock = clock
        self._changed: Callable[[], None] = _nothing
        self._idle: list[asyncio.Future[Flight]] = []
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = 0.0
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self, changed: Callable[[], None]) -> None:
        """Carry until cancelled; `Carrier.run`."""
        self._loop = asyncio.get_running_loop()
        self._changed = changed
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                self.wake()
                await self._loop.create_future()  # the group ends when this is cancelled
            finally:
                # Before the workers are: an alarm must find none of them half gone.
                self._tasks = None
                if self._alarm is not None:
                    self._alarm.cancel()

    def wake(self) -> None:
        """Let leave what may; `Carrier.wake`."""
        if self._tasks is not None:
            self._launch(self._moment())

    def assigned(self, share: float) -> None:
        """Take our share of a rate that the group has; `Carrier.assigned`."""
        self._sender.destination.share(share)

    def revoked(self) -> None:
        """Nothing to do: what flies for a partition that left is fenced; `Carrier.revoked`."""

    def _launch(self, now: Moment, *, nothing_flies: bool = False) -> None:
        """Hand flights to idle workers, to new ones when there are none, and set the alarm.

        `nothing_flies`: the sender was asked at `now` and has no flight, so it is not asked again.
        """
        if self._tasks is None:
            return
        # Who carries a flight: a worker that is idle, else a new one. So there are never more
        # workers than requests were ever under way at a time, which the limit bounds
        # (`max_in_flight`).
        while not nothing_flies and (flight := self._sender.next_flight(now)) is not None:
            if self._idle:
                self._idle.pop().set_result(flight)
            else:
                self._tasks.create_task(self._work(flight), name="worker")
        self._set_alarm(now.steady)

    def _set_alarm(self, now: float) -> None:
        """Come back when a rest, a pause or a probe is due.

        An alarm that is too early is harmless, so one that stands is only replaced by an earlier.
        """
        at = self._sender.wakes_at(now)
        if at is None or (self._alarm is not None and self._alarm_at <= at + _TIMER_S):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        # Not asked of the handle: what uvloop returns for a time that has come has no `when`.
        self._alarm_at = max(at, now) + _TIMER_S
        self._alarm = self._loop.call_at(self._alarm_at, self._alarm_rang)

    def _alarm_rang(self) -> None:
        self._alarm = None
        self.wake()
        self._changed()

    async def _work(self, flight: Flight) -> None:
        """Carry flights, one after another; wait idle when there is none."""
        sender = self._sender
        while True:
            answer = await self._attempt(flight.request)
            now = self._moment()
            sender.take_answer(flight, answer, now)
            # The worker asks for itself before it launches others: the flight that the answer has
            # made possible leaves without a future between two tasks.
            following = sender.next_flight(now)
            self._launch(now, nothing_flies=following is None)
            self._changed()
            if following is None:
                idle: asyncio.Future[Flight] = self._loop.create_future()
                self._idle.append(idle)
                following = await idle
            flight = following

    async def _attempt(self, request: Request) -> Answer:
        """Send a request. A wire that breaks its word costs an attempt, never a record.

        Without this, what a client library raises for one odd request would end the process again
        and again; and a cancellation that nobody asked for would end the worker and leave its
        record in flight for ever.
        """
        try:
            return await self._wire.send(request)
        except asyncio.CancelledError:
            # A cancellation that was asked for (a stop: `cancelling()` counts it) goes on. One that
            # nobody asked for comes out of the client library.
            worker = asyncio.current_task()
            if worker is None or worker.cancelling():
                raise
            return Answer(0, no_answer=NoAnswer.BROKEN, detail="cancelled by the client library")
        except Exception as error:  # noqa: BLE001 - see above
            return Answer(0, no_answer=NoAnswer.BROKEN, detail=type(error).__name__)

    def _moment(self) -> Moment:
        return Moment(self._loop.time(), self._clock.now_ms())


class Carriers:
    """A carrier for each destination, as one: each has its workers, its wire, its alarm.

    Also for those that are added while they run (`Engine.add`), whose wires are there by then.
    """

    def __init__(self, engine: Engine, wires: Mapping[str, Wire], clock: Clock) -> None:
        self._engine = engine
        self._wires = wires
        self._clock = clock
        self._carriers: dict[str, FlightCarrier] = {}
        self._share: float | None = None
        self._changed: Callable[[], None] = _nothing
        self._tasks: asyncio.TaskGroup | None = None
        self._look_for_more()

    async def run(self, changed: Callable[[], None]) -> None:
        """Carry until cancelled; `Carrier.run`."""
        self._changed = changed
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                for carrier in self._carriers.values():
                    tasks.create_task(carrier.run(changed), name="carrier")
                await asyncio.get_running_loop().create_future()  # until this is cancelled
            finally:
                self._tasks = None

    def wake(self) -> None:
        """Let leave what may; `Carrier.wake`."""
        if len(self._carriers) < len(self._engine.senders):
            self._look_for_more()
        for carrier in self._carriers.values():
            carrier.wake()

    def assigned(self, share: float) -> None:
        """Take our share of a rate that the group has; `Carrier.assigned`."""
        self._share = share
        for carrier in self._carriers.values():
            carrier.assigned(share)

    def revoked(self) -> None:
        """Nothing to do; see `FlightCarrier.revoked`."""

    def _look_for_more(self) -> None:
        for name, sender in self._engine.senders.items():
            if name in self._carriers:
                continue
            carrier = self._carriers[name] = FlightCarrier(sender, self._wires[name], self._clock)
            if self._share is not None:
                carrier.assigned(self._share)
            if self._tasks is not None:
                self._tasks.create_task(carrier.run(self._changed), name="carrier")


def _nothing() -> None:
    pass


_TIMER_S = 0.0005
"""Alarms are set a hair late: a timer may fire early by the resolution of the clock."""
