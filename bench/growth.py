"""What an event costs as things grow: the pipeline as it is, between two simulated ends.

    python -m bench.growth [--full]

The source makes records as they are asked for (what making them costs is taken out), the wire
answers in the next turn of the loop. So the figures are CPU of decoding, mapping, lanes, pacing,
settling and the loop, without Kafka's and HTTP's client: those do not know how many users,
partitions or records there are. Coalescing is off, so each event is a request; but for `cost_us`
when it is told otherwise.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Collection
from typing import Any

import uvloop

from bench.workload import COMPARTMENT, Workload
from relay.clock import SystemClock
from relay.model import DEFAULT_DESTINATION, Answer, DeadLetter, Partition, Record, Request
from relay.road.consuming.no_kafka import NoKafka
from relay.road.consuming.source import AssignmentListener
from relay.settings.delivery import DeliverySettings
from relay.stream.decoding import DecodingPolicy
from relay.stream.engine import Engine
from relay.stream.interpret import InterpretPolicy, interpreter
from relay.stream.mapping.policy import IdentityPolicy, MappingPolicy
from relay.stream.pipeline import stream_road
from relay.stream.status import Reporter

ACCEPTED = Answer(200, {"content-type": "application/json"}, b'{"status":"ok","data":{}}')
EVENTS = 20_000
CURVES: dict[str, tuple[int, ...]] = {
    "users": (100, 1_000, 10_000, 100_000, 1_000_000),
    "partitions": (1, 4, 16, 64, 256),
    "concurrency": (1, 4, 16, 64, 256, 1_024),
    "lag": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "size_bytes": (300, 1_000, 10_000, 100_000),
}
_SHORT_LAG_MAX = 100_000
_BYTES_MAX = 100_000_000


class SimulatedSource(NoKafka):
    """Records of a workload, spread over partitions by user; commits go nowhere."""

    def __init__(self, workload: Workload, partitions: int) -> None:
        self._events = workload.make()
        self._left = workload.events
        self._offsets = [0] * partitions
        self._made: list[Record] = []
        self._paused: Collection[Partition] = ()
        self.making_s = 0.0

    async def start(self, listener: AssignmentListener) -> None:
        """Everything is assigned at once."""
        self._listener = listener
        await listener.on_assigned([Partition("t", n) for n in range(len(self._offsets))], 1)

    async def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        """The next records; nothing while anything is paused."""
        if self._paused or not self._left:
            # As Kafka's does, which waits for a change: a pause is no reason to spin.
            await asyncio.sleep(0.001 if self._left else timeout_s)
            return []
        began = time.process_time()
        records = []
        for _ in range(min(records_max, self._left)):
            event = next(self._events)
            partition = event.user % len(self._offsets)
            offset = self._offsets[partition]
            self._offsets[partition] = offset + 1
            records.append(Record("t", partition, offset, 0, event.key, event.value, (), epoch=1))
        self._left -= len(records)
        self.making_s += time.process_time() - began
        await asyncio.sleep(0)
        return records

    def pause(self, partitions: Collection[Partition]) -> None:
        """All at once, as the budget does."""
        self._paused = {*self._paused, *partitions}

    def resume(self, partitions: Collection[Partition]) -> None:
        """Goes on."""
        self._paused = {*self._paused} - {*partitions}


class SimulatedWire:
    """Accepts each request in the next turn of the loop, and ends the run with the last event."""

    def __init__(self, events: int) -> None:
        self._left = events
        self.done = asyncio.Event()

    async def send(self, request: Request) -> Answer:
        """Accepted."""
        await asyncio.sleep(0)
        self._left -= request.body.count(b'"$event_name"')
        if not self._left:
            self.done.set()
        return ACCEPTED

    async def close(self) -> None:
        """Nothing to close."""


class NoDeadLetters:
    """Nothing of a workload is one."""

    async def start(self) -> None:
        """Connects to nothing."""

    async def stop(self) -> None:
        """Closes nothing."""

    async def write(self, letters: Collection[DeadLetter]) -> None:
        """Would be a defect."""
        raise AssertionError(letters)


async def cost_us(
    workload: Workload, partitions: int = 12, concurrency: int = 256, together: int = 1
) -> float:
    """CPU µs for each event of a run from beginning to end; `together` in a request at most."""
    delivery = DeliverySettings(
        max_in_flight=concurrency, fixed_limit=True, coalesce={"events_max": together}
    )
    identity = IdentityPolicy(default_compartment_id=COMPARTMENT)
    policy = InterpretPolicy(DecodingPolicy(), MappingPolicy(identity=identity))
    engine = Engine(delivery.engine("1234"), interpreter(policy), random.Random(1))
    source = SimulatedSource(workload, partitions)
    wire = SimulatedWire(workload.events)
    emit = _nothing
    pipeline = stream_road(
        engine, source, {DEFAULT_DESTINATION: wire}, NoDeadLetters(),
        emit=emit, clock=SystemClock(), policy=delivery,
        reporter=Reporter(engine, emit, delivery),
    )  # fmt: skip
    began = time.process_time()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pipeline.run())
        await wire.done.wait()
        pipeline.stop("done")
        await running
    spent = time.process_time() - began - source.making_s
    return spent / workload.events * 1e6


def _nothing(_fact: object) -> None:
    pass


def measured(*, full: bool) -> dict[str, Any]:
    """The curves: for each value the least of some runs, because a machine only ever adds."""
    found: dict[str, list[tuple[int, float]]] = {}
    uvloop.run(cost_us(Workload(2_000)))  # warm
    for name, values in CURVES.items():
        found[name] = []
        for value in values:
            events = EVENTS
            if name == "lag":
                if value > _SHORT_LAG_MAX and not full:
                    continue
                events = value
            if name == "size_bytes":
                events = min(EVENTS, _BYTES_MAX // value)
            runs = 1 if events > EVENTS else 3
            best = min(uvloop.run(_point(name, value, events)) for _ in range(runs))
            print(f"  {name:12} {value:10,}  {best:7.1f} µs CPU per event", flush=True)
            found[name].append((value, best))
    return found


def _point(name: str, value: int, events: int) -> Any:
    match name:
        case "users":
            return cost_us(Workload(events, users=value, zipf=0))
        case "partitions":
            return cost_us(Workload(events), partitions=value)
        case "concurrency":
            return cost_us(Workload(events), concurrency=value)
        case "size_bytes":
            return cost_us(Workload(events, size_bytes=value))
        case _:
            return cost_us(Workload(events))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="a lag of up to ten million")
    measured(full=parser.parse_args().full)


if __name__ == "__main__":
    main()
