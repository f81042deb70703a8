"""What a mapping costs for each record, beside what decoding the native format costs here.

    python -m bench.mapping_cost

Times of one machine cannot be compared with those of another; their ratio to `decode` can.
"""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def main() -> int:
    """Print a line a case; the status says whether every goal was met."""
    example = (ROOT / "schemas/examples/track.json").read_bytes()
    policy = DecodingPolicy()
    print(f"a part, in µs; `as if` is where decoding takes {DECODE_US:g} µs")
    print(f"{'':26}{'decode':>8}{'map':>8}{'+ judge':>9}{'as if':>8}{'goal':>7}   parts")
    missed = 0
    for name, (case, goal) in CASES.items():
        mapping, document = case()
        parts = mapping(document, RECORD)
        unit, mapped, judged = cheapest_us(
            lambda: decode(example, policy),
            lambda m=mapping, d=document: m(d, RECORD),  # type: ignore[misc]
            lambda p=parts: events_of(p),  # type: ignore[misc]
        )
        mapped, judged = mapped / len(parts), judged / len(parts)
        scaled = mapped * DECODE_US / unit
        missed += scaled > goal
        print(
            f"{name:26}{unit:8.1f}{mapped:8.1f}{judged:9.1f}{scaled:8.1f}{goal:7.0f}{len(parts):8}"
        )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
