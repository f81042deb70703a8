"""What a mapping costs for each record, beside what decoding the native format costs here.

    python -m bench.mapping_cost [--instructions]

Times of one machine cannot be compared with those of another; their ratio to `decode` can. On a
machine that others use, too, count instructions: under valgrind, in about a minute.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.instructions import counted, section
from relay.model import Record
from relay.sources.events import events_of
from relay.sources.mapping import CompiledMapping, compile_mapping
from relay.sources.presets import preset
from relay.stream.decoding import DecodingPolicy, decode
from relay.yaml_text import read_yaml

ROOT = Path(__file__).parent.parent
ROUNDS = 25
CALLS = 500
RECORD = Record("bench", 0, 0, 1795339800000, None, b"")
# The times below are goals on a machine where decoding takes this long.
DECODE_US = 12.0


def cheapest_us(*calls: Callable[[], Any]) -> list[float]:
    """Microseconds of each call in the best of several rounds, which take turns.

    So all of them meet the same machine; the rest of a round is what else runs on it.
    """
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for at, call in enumerate(calls):
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            best[at] = min(best[at], time.perf_counter() - start)
    return [round_s / CALLS * 1e6 for round_s in best]


def shop() -> tuple[CompiledMapping, Any]:
    """The mapping that the manual begins with, and a record for its first rule."""
    text = (ROOT / "docs/MAPPING.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.+?)```", text, re.DOTALL)
    assert block is not None
    located = read_yaml(block[1], "MAPPING.md")
    return compile_mapping(located), located.data["tests"][0]["record"]


def tested(name: str, number: int) -> tuple[CompiledMapping, Any]:
    """A preset with the settings of its tests, and the record of one of them."""
    path = ROOT / f"tests/sources/presets/{name}.map-test.yaml"
    given = read_yaml(path.read_text(encoding="utf-8"), path.name).data
    return compile_mapping(preset(name), given["settings"]), given["tests"][number]["record"]


CASES: dict[str, tuple[Callable[[], tuple[CompiledMapping, Any]], float]] = {
    "mapping of 12 fields": (shop, 10.0),
    "segment, track": (lambda: tested("segment", 0), 25.0),
    "segment, order of 2": (lambda: tested("segment", 4), 25.0),
    "rudderstack, track": (lambda: tested("rudderstack", 0), 25.0),
    "mparticle, 1 of a batch": (lambda: tested("mparticle", 1), 25.0),
    "mparticle, batch of 5": (lambda: tested("mparticle", 2), 25.0),
    "ga4, row of a purchase": (lambda: tested("ga4", 1), 25.0),
    "snowplow, transaction": (lambda: tested("snowplow", 3), 25.0),
    "debezium, row": (lambda: tested("debezium", 0), 25.0),
}


Work = tuple[Callable[[], Any], Callable[[], Any]]


def work_of(case: Callable[[], tuple[CompiledMapping, Any]]) -> tuple[Work, int]:
    """What maps a record, what judges its parts by the models of the input format; how many."""
    mapping, document = case()
    parts = mapping(document, RECORD)
    return (lambda: mapping(document, RECORD), lambda: events_of(parts)), len(parts)


def decoding() -> Callable[[], Any]:
    """The native format: bytes to an event."""
    example, policy = (ROOT / "schemas/examples/track.json").read_bytes(), DecodingPolicy()
    return lambda: decode(example, policy)


def run_sections() -> None:
    """Each part by itself, to be counted."""
    calls = {"decode": decoding()}
    for name, (case, _) in CASES.items():
        (calls[f"{name}: map"], calls[f"{name}: judge"]), _ = work_of(case)
    for name, call in calls.items():
        for _ in range(_WARM):
            call()
        with section(name, _COUNTED):
            for _ in range(_COUNTED):
                call()


_WARM, _COUNTED = 20, 100


def by_instructions() -> Iterator[tuple[str, float, float, float]]:
    """Of each case: thousands of instructions of decoding, mapping and judging."""
    found = counted(["-m", "bench.mapping_cost", "--sections"])
    for name in CASES:
        yield name, *(found[k] / 1000 for k in ("decode", f"{name}: map", f"{name}: judge"))


def by_time() -> Iterator[tuple[str, float, float, float]]:
    """Of each case: microseconds of decoding, mapping and judging."""
    native = decoding()
    for name, (case, _) in CASES.items():
        yield name, *cheapest_us(native, *work_of(case)[0])


def main() -> int:
    """Print a line a case; the status says whether every goal was met."""
    parser = argparse.ArgumentParser(prog="python -m bench.mapping_cost", description=__doc__)
    parser.add_argument("--instructions", action="store_true", help="counted, not timed")
    parser.add_argument("--sections", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.sections:
        run_sections()
        return 0
    unit = "thousands of instructions" if given.instructions else "µs"
    print(f"of each event, in {unit}; `as if` is µs of mapping where decoding takes {DECODE_US:g}")
    print(f"{'':26}{'decode':>8}{'map':>8}{'+ judge':>9}{'as if':>8}{'goal':>7}   events")
    missed = 0
    for name, decoded, mapped, judged in by_instructions() if given.instructions else by_time():
        case, goal = CASES[name]
        events = work_of(case)[1]
        scaled = mapped / events * DECODE_US / decoded
        missed += scaled > goal
        print(
            f"{name:26}{decoded:8.1f}{mapped / events:8.1f}{judged / events:9.1f}{scaled:8.1f}"
            f"{goal:7.0f}{events:8}"
        )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
