"""The loop of the road: records from the source → engine → wire and dead letters → commits.

The engine holds all state and decides; this file waits. Its tasks are the intake, one worker for
each request in flight, the writer of dead letters and the committer. None of them changes anything
but through one synchronous call of the engine between two awaits.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

from relay.clock import Clock
from relay.errors import DrainIncomplete, KafkaError, sole
from relay.model import Answer, Moment, NoAnswer, Partition, Record, Request
from relay.road.consuming.source import CommitRefused, RecordSource
from relay.road.settling.assigned import lags
from relay.road.settling.letter_writer import Graves, LetterWriter
from relay.stream.engine import Engine, Flight
from relay.stream.sending.wire import Wire
from relay.stream.status import Reporter
from relay.telemetry.facts import (
    CommitFailed,
    DrainEnded,
    DrainStarted,
    Emit,
    Lifecycle,
    LifecycleChanged,
    PartitionsAssigned,
    PartitionsRevoked,
)


@dataclass(frozen=True, slots=True)
class PipelinePolicy:
    """The times that the loop keeps, in seconds."""

    commit_every_s: float = 1.0
    poll_timeout_s: float = 0.2
    revoke_budget_s: float = 20.0
    drain_deadline_s: float = 25.0
    slice_s: float = 0.005
    """Work between two looks at the other tasks: heartbeats run on the same loop."""


class Pipeline:
    """Runs once: `run` returns when everything that could be settled after `stop` is settled."""

    def __init__(
        self,
        engine: Engine,
        source: RecordSource,
        wire: Wire,
        graves: Graves,
        *,
        emit: Emit,
        clock: Clock,
        policy: PipelinePolicy,
        reporter: Reporter,
    ) -> None:
        self._engine = engine
        self._source = source
        self._wire = wire
        self._emit = emit
        self._clock = clock
        self._policy = policy
        self._reporter = reporter
        self._paused: set[Partition] = set()
        self._idle: list[asyncio.Future[Flight]] = []
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = 0.0
        self._letters = LetterWriter(engine, graves, emit, self._react)
        self._stopping = asyncio.Event()
        self._commit_lock = asyncio.Lock()
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._workers: set[asyncio.Task[None]] = set()

    @property
    def lifecycle(self) -> Lifecycle:
        """What the process is doing."""
        return self._reporter.lifecycle

    def stop(self, reason: str) -> None:
        """Ask the pipeline to finish: nothing new is read or sent, what is in flight may land."""
        if self._stopping.is_set() or self.lifecycle is Lifecycle.STOPPED:
            return
        self._engine.stop()
        self._stopping.set()
        self._become(Lifecycle.DRAINING)
        self._emit(
            DrainStarted(
                reason=reason,
                unsettled=self._engine.ledger.open,
                deadline_s=self._policy.drain_deadline_s,
            )
        )

    async def run(self) -> None:
        """Move records until `stop`.

        Raises:
            KafkaError: The source cannot go on.
            DrainIncomplete: The drain deadline passed; what is unsettled comes again.
        """
        self._loop = asyncio.get_running_loop()
        await self._source.start(self)
        self._become(Lifecycle.RUNNING)
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._react()
                background = [
                    tasks.create_task(self._letters.run(), name="letters"),
                    tasks.create_task(self._keep_committing(), name="commits"),
                ]
                await self._take_in()
                await self._drain()
                for task in (*background, *self._workers):
                    task.cancel()
        except BaseExceptionGroup as group:
            raise sole(group) from None
        finally:
            self._tasks = None
            self._engine.stop()
            if self._alarm is not None:
                self._alarm.cancel()
            await self._source.stop()
            self._become(Lifecycle.STOPPED)

    # -- partitions come and go (called by the source) ----------------------------------------

    async def on_assigned(self, partitions: Collection[Partition], epoch: int) -> None:
        """Begin where the commits say, knowing what is finished beyond them."""
        commits = await self._source.committed(partitions)
        self._engine.assign(commits, epoch, self._loop.time())
        self._engine.destination.rate.share(self._source.share())
        self._paused -= set(partitions)
        self._emit(PartitionsAssigned(partitions=_names(partitions), epoch=epoch))
        self._react()

    async def on_revoked(self, partitions: Collection[Partition]) -> None:
        """Let land what flies, commit what is settled, forget the rest."""
        before = self._engine.ledger.returned
        self._engine.leave(partitions)
        self._react()
        if self._tasks is not None:  # else nothing lands any more
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._policy.revoke_budget_s):
                    await self._until(lambda: not self._engine.busy(partitions))
        await self._commit()
        self._engine.drop(partitions)
        self._paused -= set(partitions)
        self._react()
        self._emit(
            PartitionsRevoked(
                partitions=_names(partitions),
                unsettled=self._engine.ledger.returned - before,
            )
        )

    # -- records in ---------------------------------------------------------------------------

    async def _take_in(self) -> None:
        while not self._stopping.is_set():
            self._apply_pauses()
            records = await self._source.poll(self._engine.room(), self._policy.poll_timeout_s)
            await self._admit(records)

    async def _admit(self, records: Collection[Record]) -> None:
        engine, clock, slice_s = self._engine, self._loop.time, self._policy.slice_s
        now = self._moment()
        for record in records:
            if clock() - now.steady >= slice_s:
                self._react()
                await asyncio.sleep(0)
                now = self._moment()
            engine.admit(record, now)
        if records:
            self._react()

    def _apply_pauses(self) -> None:
        wanted = self._engine.paused()
        if wanted == self._paused:
            return
        if pause := wanted - self._paused:
            self._source.pause(pause)
        if resume := (self._paused - wanted) & self._engine.assigned.keys():
            self._source.resume(resume)
        self._paused = wanted

    # -- requests out -------------------------------------------------------------------------

    def _react(self, now: Moment | None = None, *, nothing_flies: bool = False) -> None:
        """Do what the engine's last change made possible.

        `nothing_flies`: the engine was asked at `now` and has no flight, so it is not asked again.
        """
        self._launch(now or self._moment(), nothing_flies=nothing_flies)
        self._tell()
        if self._engine.letters:
            self._letters.due.set()
        if self._watchers:
            self._wake_watchers()

    def _launch(self, now: Moment, *, nothing_flies: bool) -> None:
        """Hand flights to idle workers, to new ones when there are none, and set the alarm."""
        if self._tasks is None:
            return
        while not nothing_flies and (flight := self._engine.next_flight(now)) is not None:
            if self._idle:
                self._idle.pop().set_result(flight)
            else:
                worker = self._tasks.create_task(self._work(flight), name="worker")
                self._workers.add(worker)
                worker.add_done_callback(self._workers.discard)
        self._set_alarm(now.steady)

    def _set_alarm(self, now: float) -> None:
        """Come back when a rest, a pause or a probe is due.

        An alarm that is too early is harmless, so one that stands is only replaced by an earlier.
        """
        at = self._engine.wakes_at(now)
        if at is None or (self._alarm is not None and self._alarm_at <= at + _TIMER_S):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        # Not asked of the handle: what uvloop returns for a time that has come has no `when`.
        self._alarm_at = max(at, now) + _TIMER_S
        self._alarm = self._loop.call_at(self._alarm_at, self._alarm_rang)

    def _alarm_rang(self) -> None:
        self._alarm = None
        self._react()

    async def _work(self, flight: Flight) -> None:
        """Carry flights, one after another; wait idle when there is none."""
        engine = self._engine
        while True:
            answer = await self._attempt(flight.request)
            now = self._moment()
            engine.answered(flight, answer, now)
            following = engine.next_flight(now)
            self._react(now, nothing_flies=following is None)
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
            worker = asyncio.current_task()
            if worker is None or worker.cancelling():
                raise
            return Answer(0, no_answer=NoAnswer.BROKEN, detail="cancelled by the client library")
        except Exception as error:  # noqa: BLE001 - see above
            return Answer(0, no_answer=NoAnswer.BROKEN, detail=type(error).__name__)

    # -- dead letters and commits -------------------------------------------------------------

    async def _keep_committing(self) -> None:
        while True:
            due = self._loop.time() + self._policy.commit_every_s
            await asyncio.sleep(self._policy.commit_every_s)
            self._reporter.loop_lag_s = max(0.0, self._loop.time() - due)
            await self._commit()
            self._react()
            lag = lags(self._engine.assigned, self._source.ends())
            self._reporter.tick(self._loop.time(), len(self._paused), lag)
            self._tell()

    async def _commit(self) -> None:
        """Commit what has moved. One at a time: two commits under way could arrive swapped."""
        async with self._commit_lock:
            commits = self._engine.commits(self._loop.time())
            if not commits:
                return
            try:
                await self._source.commit(commits)
            except (CommitRefused, KafkaError) as error:
                self._emit(CommitFailed(code=type(error).__name__, reason=str(error)))
                return
            self._engine.committed(commits)

    # -- the end ------------------------------------------------------------------------------

    async def _drain(self) -> None:
        started = self._loop.time()
        engine = self._engine
        in_time = True
        try:
            async with asyncio.timeout(self._policy.drain_deadline_s):
                await self._until(lambda: not engine.lanes.in_flight and not engine.letters)
        except TimeoutError:
            in_time = False
        await self._commit()
        self._reporter.line(self._loop.time())
        self._emit(DrainEnded(seconds=self._loop.time() - started, unsettled=engine.ledger.open))
        if not in_time:
            raise DrainIncomplete(
                f"stopped with {engine.lanes.in_flight} requests unanswered and "
                f"{len(engine.letters)} dead letters unconfirmed",
                hint="nothing is lost: they are sent again after a restart",
            )

    # -- small things -------------------------------------------------------------------------

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on the engine; it is looked at after every change."""
        if condition():
            return
        changed: asyncio.Future[None] = self._loop.create_future()
        self._watchers.append((condition, changed))
        await changed

    def _wake_watchers(self) -> None:
        still: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        for condition, changed in self._watchers:
            if changed.done():
                continue
            if condition():
                changed.set_result(None)
            else:
                still.append((condition, changed))
        self._watchers = still

    def _moment(self) -> Moment:
        return Moment(self._loop.time(), self._clock.now_ms())

    def _tell(self) -> None:
        facts = self._engine.facts
        if facts:
            for fact in facts:
                self._emit(fact)
            facts.clear()

    def _become(self, state: Lifecycle) -> None:
        old = self._reporter.lifecycle
        if state is not old:
            self._reporter.lifecycle = state
            self._emit(LifecycleChanged(old=old, new=state))


_TIMER_S = 0.0005
"""Alarms are set a hair late: a timer may fire early by the resolution of the clock."""


def _names(partitions: Collection[Partition]) -> tuple[str, ...]:
    return tuple(str(partition) for partition in sorted(partitions))
