"""What Relay is meant to reach beside the others, judged from what the parts found.

A goal is a figure of each round: a ratio of two contenders in the same round, or a figure of
Relay's own. It is met when the median of the rounds is within the bound.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.contenders import (
    BENTHOS_BY_PARTITION,
    BENTHOS_BY_USER,
    MQ_BRIDGE,
    MQ_BRIDGE_RAW,
    RELAY,
    RELAY_OFF,
    Contender,
)

Rows = Sequence[Mapping[str, Any]]
RATE = "events_per_second"
CPU = "cpu_us"
_WORDS = {RATE: "events/s", CPU: "CPU per event"}


@dataclass(frozen=True)
class Bound:
    """The most or the least that is wanted."""

    limit: float
    at_most: bool = False
    digits: int = 2
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Whether it is kept."""
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.limit:g}{self.unit}"


@dataclass(frozen=True)
class Against:
    """A goal beside another contender, under the same conditions."""

    scenario: str
    ours: Contender
    theirs: Contender
    measure: str
    bound: Bound

    def __str__(self) -> str:
        measure = _WORDS[self.measure]
        return f"{measure} of {self.ours.name} against {self.theirs.name}; {self.scenario}"


_BESIDE_BENTHOS = (
    "0 ms, uniform users",
    "20 ms, uniform users",
    "50 ms, uniform users",
    "0 ms, TLS, uniform users",
    "0 ms, 2 % 429 and 1 % 500, uniform users",
)
_OUTPACES, _CHEAPER = Bound(1.2), Bound(0.65, at_most=True)
AGAINST = (
    *(
        Against(scenario, RELAY_OFF, BENTHOS_BY_USER, measure, bound)
        for scenario in _BESIDE_BENTHOS
        for measure, bound in ((RATE, _OUTPACES), (CPU, _CHEAPER))
    ),
    *(
        Against(f"{latency} ms, Zipf users", RELAY, BENTHOS_BY_USER, RATE, Bound(1.3))
        for latency in (0, 20)
    ),
    *(
        Against(scenario, ours, theirs, RATE, bound)
        for scenario, ours, bound in (
            ("0 ms, uniform users", RELAY_OFF, Bound(1.0)),
            ("0 ms, Zipf users", RELAY, Bound(1.5)),
            ("20 ms, uniform users", RELAY_OFF, Bound(100, digits=0)),
            ("20 ms, Zipf users", RELAY, Bound(100, digits=0)),
        )
        for theirs in (MQ_BRIDGE_RAW, MQ_BRIDGE)
    ),
)
JUDGED = frozenset(
    {BENTHOS_BY_PARTITION.name, *(c.name for goal in AGAINST for c in (goal.ours, goal.theirs))}
)
"""The names of those whose rounds have to be many."""
BEYOND = Bound(35, at_most=True, digits=1, unit=" µs")
PEAK = Bound(105, at_most=True, digits=0, unit=" MB")
FIRST_POST = Bound(0.7, at_most=True, unit=" s")


def goals(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A table: each goal, what was found, and whether it is met."""
    yield "| goal | | found | each round | |"
    yield "|---|---:|---:|---|---|"
    for text, bound, each in _all(parts):
        yield f"| {text} | {bound} | {_judged(bound, each)} |"


def reached(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Those goals of which the parts tell something, a line for each; for the terminal."""
    for text, bound, each in _all(parts):
        if each:
            yield f"{text}: {bound}: {_judged(bound, each).replace(' |', ';')}"


def _all(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Bound, Sequence[float]]]:
    rows: Rows = _found(parts, "compare", ())
    for goal in AGAINST:
        here = [row for row in rows if row["scenario"] == goal.scenario]
        each = ratios(here, goal.ours.name, goal.theirs.name, goal.measure)
        yield str(goal), goal.bound, each
    limit = _found(parts, "limit", {})
    yield "CPU of an event beyond the bare wire, coalescing off", BEYOND, beyond(rows, limit)
    for name, peak in _found(parts, "memory", {}).get("peak_mb", {}).items():
        yield f"peak memory of {name} with a lag of a million", PEAK, [peak]
    posts = _found(parts, "start_stop", {}).get("first_post_s", ())
    yield "first POST after exec", FIRST_POST, posts


def ratios(rows: Rows, ours: str, theirs: str, measure: str) -> list[float]:
    """Ours to theirs in each round that both were in, and in which something was measured."""
    base = {row["round"]: row[measure] for row in rows if row["contender"] == theirs}
    return [
        row[measure] / base[row["round"]]
        for row in rows
        if row["contender"] == ours and base.get(row["round"])
    ]


def beyond(rows: Rows, limit: Mapping[str, Any]) -> list[float]:
    """µs CPU an event of each round takes above the cheapest request of the bare wire."""
    plain = [found["cpu_us"] for found in limit.get("wire", ()) if not found["tls"]]
    wire = min(plain, default=None)
    return [
        row[CPU] - wire
        for row in rows
        if wire is not None
        and (row["scenario"], row["contender"]) == (_BESIDE_BENTHOS[0], RELAY_OFF.name)
    ]


def _found(parts: Mapping[str, Mapping[str, Any]], name: str, nothing: Any) -> Any:
    return (parts.get(name) or {}).get("found", nothing)


def _judged(bound: Bound, each: Sequence[float]) -> str:
    """The median, every round, and whether the goal is met: cells of a table."""
    if not each:
        return "| | not in this run"
    middle = statistics.median(each)
    rounds = " · ".join(f"{value:,.{bound.digits}f}" for value in each)
    met = "met" if bound.holds(middle) else "**missed**"
    return f"{middle:,.{bound.digits}f} | {rounds} | {met}"
