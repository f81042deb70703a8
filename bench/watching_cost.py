"""What a tap and tracing cost an event in decoding, mapping and the engine.

    python -m bench.watching_cost [--time] [--events 3000]

Counts instructions under valgrind, in about two minutes; with `--time`, CPU time of this process:
the least of some rounds that take turns. 64 requests are under way, and a request is answered each
millisecond of the events' clock, so that ten samples a second are one in a hundred.
"""

import argparse
import gc
import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.instructions import counted, section
from bench.machine import BenchError
from bench.workload import COMPARTMENT, Workload
from relay.model import Answer, Moment, Partition, Record
from relay.stream.decoding import DecodingPolicy
from relay.stream.engine import Engine
from relay.stream.interpret import Interpret, InterpretPolicy, interpreter
from relay.stream.mapping.policy import IdentityPolicy, MappingPolicy
from relay.stream.policy import EnginePolicy
from relay.stream.sender import Flight
from relay.stream.tap import Tap
from relay.stream.tracing import Tracing
from relay.telemetry.account_digest import digest_of
from relay.telemetry.tap_route import SampleFilter

ROUNDS = 9
BATCH = 200
NOT_SAMPLED = (("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),)
BASE = "neither a tap nor tracing in the code"


class Clock:
    """Time that passes when it is told to, and one timer, which costs nothing while it waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due = math.inf
        self._call: Callable[[], None] | None = None

    def at(self, when: float, call: Callable[[], None]) -> "Clock":
        """As the `call_at` of an asyncio loop; a timer cancels itself."""
        self._due, self._call = when, call
        return self

    def cancel(self) -> None:
        """See `at`."""
        self._due = math.inf

    def tick(self) -> None:
        """A millisecond passes."""
        self.now += 0.001
        if self.now >= self._due and self._call is not None:
            self._due = math.inf
            self._call()


def look(wanted: SampleFilter, *, and_leave: bool = False) -> Callable[[Engine, Clock], None]:
    """Somebody looks by `relay tap`."""

    def attach(engine: Engine, clock: Clock) -> None:
        close = Tap(engine, lambda: clock.now, clock.at).open(wanted, lambda _sample: None)
        if and_leave and close is not None:
            close()

    return attach


def trace(engine: Engine, _clock: Clock) -> None:
    """`tracing.enabled`, of events that the producer does not sample: no span is made."""
    tracer: Any = None
    Tracing(engine, tracer, 0.0, random.Random(1)).attach()


def nothing(_engine: Engine, _clock: Clock) -> None:
    """As it is by default."""


NOBODY = digest_of("nobody")
HOWS: dict[str, Callable[[Engine, Clock], None]] = {
    BASE: nothing,
    "tracing off, nobody looks": nothing,
    "a tap that was closed again": look(SampleFilter(rate=10.0), and_leave=True),
    "a tap, ten samples of 1,000 events": look(SampleFilter(rate=10.0)),
    "a tap for a code that no event has": look(SampleFilter(code="http_422")),
    "a tap for an account that no event has": look(SampleFilter(account=NOBODY)),
    "a tap for a topic that no event is of": look(SampleFilter(topic="another")),
    "a tap for a destination that is not there": look(SampleFilter(destination="another")),
    "tracing on, records without a header": trace,
    "tracing on, records that are not sampled": trace,
}


def records_of(events: int, headers: Sequence[tuple[str, bytes]]) -> list[Record]:
    """Those of `bench.regress`, over twelve partitions."""
    made = enumerate(Workload(events, 20_000).make())
    return [
        Record("t", at % 12, at // 12, 1_767_261_600_000, event.key, event.value, tuple(headers), 1)
        for at, event in made
    ]


def drive(how: str, records: Sequence[Record], interpret: Interpret) -> None:
    """Every record to its delivery, the oldest of 64 requests answered first."""
    engine, clock = Engine(EnginePolicy(), interpret, random.Random(1)), Clock()
    engine.custody.assign({Partition("t", number): None for number in range(12)}, 1, 0.0)
    HOWS[how](engine, clock)
    accepted = Answer(200, {"content-type": "application/json"}, b'{"status":"ok","data":{}}')
    flying: deque[Flight] = deque()
    for start in range(0, len(records), BATCH):
        now = Moment(clock.now, 1_767_261_700_000)
        for record in records[start : start + BATCH]:
            engine.admit(record, now)
        while True:
            clock.tick()
            now = Moment(clock.now, 1_767_261_700_000)
            while (flight := engine.sender.next_flight(now)) is not None:
                flying.append(flight)
            if not flying:
                break
            if how == BASE:
                engine.sender.answered(flying.popleft(), accepted, now)
            else:
                engine.sender.take_answer(flying.popleft(), accepted, now)
        engine.custody.committed(engine.custody.commits(now.steady))
    if engine.custody.ledger.delivered != len(records):
        raise BenchError(f"{how}: {engine.custody.ledger.delivered} of {len(records)} delivered")


def each(events: int, run: Callable[[str, Callable[[], None]], None], rounds: int = 1) -> None:
    """Hand each way of driving the events to `run`, once a round."""
    mapping = MappingPolicy(identity=IdentityPolicy(default_compartment_id=COMPARTMENT))
    interpret = interpreter(InterpretPolicy(DecodingPolicy(), mapping))
    plain, headed = records_of(events, ()), records_of(events, NOT_SAMPLED)
    drive(BASE, plain[:BATCH], interpret)
    # What is collected when depends on what ran before; the relay freezes it as well.
    gc.collect()
    gc.freeze()
    gc.disable()
    for _ in range(rounds):
        for how in HOWS:
            records = headed if how.endswith("not sampled") else plain
            run(how, lambda how=how, records=records: drive(how, records, interpret))  # type: ignore[misc]


def by_instructions(events: int) -> dict[str, float]:
    """Thousands of instructions an event."""
    found = counted(["-m", "bench.watching_cost", "--sections", "--events", str(events)])
    return {how: instructions / 1000 for how, instructions in found.items()}


def by_time(events: int) -> dict[str, float]:
    """Microseconds of CPU time an event."""
    best = dict.fromkeys(HOWS, float("inf"))

    def run(how: str, call: Callable[[], None]) -> None:
        began = time.process_time()
        call()
        best[how] = min(best[how], (time.process_time() - began) / events * 1e6)

    each(events, run, ROUNDS)
    return best


def run_sections(events: int) -> None:
    """Each way by itself, to be counted."""

    def run(how: str, call: Callable[[], None]) -> None:
        with section(how, events):
            call()

    each(events, run)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog=Path(__file__).stem, description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--time", action="store_true", help="CPU time, not instructions")
    parser.add_argument("--sections", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.sections:
        run_sections(given.events)
        return
    found = by_time(given.events) if given.time else by_instructions(given.events)
    unit = "µs CPU" if given.time else "thousand instructions"
    for how in HOWS:
        more = found[how] - found[BASE]
        share = more / found[BASE] * 100
        print(f"{how:42} {found[how]:8.2f} {unit} an event ({more:+.2f}, {share:+.2f} %)")


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.watching_cost: {error}")
