"""The engine and its worker tasks before a real server: no Kafka, and real sockets.

`stream` feeds records, carries them over the fast wire, and ends when what is waited for has come.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

from relay.model import Moment, Parcel, Partition, Record, Request, RequestKind
from relay.road.custody import CustodyPolicy
from relay.stream.engine import Engine
from relay.stream.mapping.requests import activities_path
from relay.stream.pipeline import FlightCarrier
from relay.stream.policy import EnginePolicy
from relay.stream.sending.destination import DestinationPolicy
from relay.stream.sending.wire import WireKind
from relay.telemetry.facts import Fact
from relay.telemetry.redact import redact
from tests.support.engine_kit import interpret
from tests.support.wires import wire_to

P0 = Partition("events", 0)
_WALL_MS = 1_767_225_600_000
_ROOM = CustodyPolicy(memory_records_max=10**6, memory_bytes_max=2**40, user_records_max=10**6)


class Clock:
    """The wall clock of the loop."""

    def now_ms(self) -> int:
        return _WALL_MS + int(asyncio.get_running_loop().time() * 1000)


def routed(record: Record, now_ms: int):
    """The shorthand of `engine_kit`; what begins with "p" is an update of a user point."""
    parcel = interpret(record, now_ms)
    if not isinstance(parcel, Parcel) or not (record.value or b"").startswith(b"p"):
        return parcel
    path = "/v1/datamarts/1/user_points/x/user_profiles"
    request = Request("PUT", path, record.value or b"", None, RequestKind.USER_POINT)
    return Parcel(record, parcel.lane, request)


class Stream:
    """An engine at work. `letters` are confirmed as soon as they are written."""

    def __init__(self, carrier_of, policy: DestinationPolicy, interpret) -> None:
        self.policy = EnginePolicy(
            destination=policy, custody=_ROOM, activities_path=activities_path("1"), redact=redact
        )
        self.engine = Engine(self.policy, interpret, random.Random(1))
        self.engine.custody.assign({P0: None}, 1, self.now)
        self.carrier = carrier_of(self.engine)
        self.letters = []
        self.facts: list[Fact] = []
        self._next = 0
        self._changed = asyncio.Event()

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def delivered(self) -> int:
        return self.engine.custody.ledger.delivered

    def feed(self, *values: str | bytes) -> None:
        moment = Moment(self.now, Clock().now_ms())
        for value in values:
            raw = value.encode() if isinstance(value, str) else value
            record = Record(*P0, self._next, moment.wall_ms, None, raw, (), 1)
            self._next += 1
            self.engine.admit(record, moment)
        self.carrier.wake()

    def changed(self) -> None:
        custody = self.engine.custody
        while letters := custody.next_letters(100):
            custody.letters_written(letters)
            self.letters += [item.letter for item in letters]
            self.carrier.wake()
        self.facts += custody.facts
        custody.facts.clear()
        self._changed.set()

    async def until(self, holds) -> None:
        """Wait until the condition holds."""
        async with asyncio.timeout(60):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def told(self, kind: type[Fact]) -> list:
        return [fact for fact in self.facts if isinstance(fact, kind)]


@contextlib.asynccontextmanager
async def stream(
    url: str, policy: DestinationPolicy | None = None, interpret=routed, **wire
) -> AsyncIterator[Stream]:
    """Carry to the server at `url` until the block ends."""
    async with wire_to(url, WireKind.FAST, **wire) as opened:
        made = Stream(
            lambda engine: FlightCarrier(engine.sender, opened, Clock()),
            policy or DestinationPolicy(),
            interpret,
        )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.carrier.run(made.changed))
            await asyncio.sleep(0)
            try:
                yield made
            finally:
                running.cancel()
