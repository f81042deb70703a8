"""What the parts found → bench/RESULTS.md. Nothing in it is by hand."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.contenders import BENTHOS_BY_USER, CONTENDERS, NOT_MEASURED, RELAY, RELAY_OFF
from bench.goals import CPU, RATE, goals, ratios
from bench.toolchains import peer_versions

Found = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]
ORDER = {contender.name: contender.order for contender in CONTENDERS}


def write(parts: Mapping[str, Found], path: Path) -> None:
    """Renders what is there."""
    lines = [*_head(), *_goals(parts)]
    for name, section in _SECTIONS.items():
        part = parts.get(name) or {}
        if not part:
            continue
        lines += [
            *section(part),
            "",
            f"*{part['about']}{', in full' if part['full'] else ''}.*",
            "",
        ]
    path.write_text("\n".join(lines).rstrip() + "\n")


def _head() -> Iterator[str]:
    yield "# Results"
    yield ""
    yield "Made by `.venv/bin/python -m bench`; what each part does is in its file's docstring."
    yield "Kafka, the sink, the driver and the contender share the machine, so ratios of one run"
    yield "say more than rates. A figure is the median, with the least and the most behind it."
    yield f"Peers: {peer_versions()}."
    yield ""
    yield "![side by side, and growth](RESULTS.svg)"
    yield ""


def _goals(parts: Mapping[str, Found]) -> Iterator[str]:
    yield "## Goals"
    yield ""
    yield "Against another: the ratio in each round of both, and the median, which has to be within"
    yield "the bound. Raw is said of what maps nothing. The bare wire is that of"
    yield "[the limit](#the-limit-the-wire-alone), at the number in flight at which it is cheapest."
    yield ""
    yield from goals(parts)
    yield ""


def _compare(part: Found) -> Iterator[str]:
    yield "## Side by side"
    yield ""
    yield "The same 600-byte events from 12 partitions, 20,000 users. *Rate* and *CPU* are the"
    yield "contender's events/s and CPU per event over those of `Benthos core, per user` in the"
    yield "same round, the median and then every round; who has no goal has fewer rounds. *Kept* is"
    yield "what the judge found in the sink's log, in the worst round."
    rows: Rows = part["found"]
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        mine = [row for row in rows if row["scenario"] == scenario]
        yield ""
        yield f"### {scenario}"
        yield ""
        yield (
            "| contender | order asked for | events | events/s | requests/s | µs CPU/event | MB "
            "| rate | CPU | kept |"
        )
        yield "|---|---|---:|---:|---:|---:|---:|---|---|---|"
        for name in dict.fromkeys(row["contender"] for row in mine):
            yield _row(name, [row for row in mine if row["contender"] == name], mine)
    yield ""
    yield "Configurations, each the best that the documentation offers for its order:"
    yield ""
    for contender in CONTENDERS:
        yield f"- {contender.name}: {contender.about}"
    yield ""
    yield "Not measured:"
    yield ""
    for name, why in _not_measured(rows):
        yield f"- {name}: {why}"
    worse = list(_worse(rows))
    yield ""
    yield "### Where Relay is behind"
    yield ""
    if not worse:
        yield "Nowhere in this run."
        return
    yield "Medians. Behind both, Relay with coalescing on and off, where nothing else is said."
    yield ""
    yield "| scenario | measure | Relay, on · off | ahead of it |"
    yield "|---|---|---:|---|"
    yield from worse


def _row(name: str, rows: Rows, scenario: Rows) -> str:
    worst = max(rows, key=lambda row: (row["lost"], row["order_breaks"], row["repeated"]))
    base = BENTHOS_BY_USER.name
    return (
        f"| {name} | {ORDER.get(name, '')} | {rows[0]['events']:,} "
        f"| {_spread([row['events_per_second'] for row in rows])} "
        f"| {statistics.median(row['requests_per_second'] for row in rows):,.0f} "
        f"| {statistics.median(row['cpu_us'] for row in rows):,.0f} "
        f"| {max(row['memory_mb'] for row in rows):,.0f} "
        f"| {_each(ratios(scenario, name, base, RATE))} "
        f"| {_each(ratios(scenario, name, base, CPU))} "
        f"| {worst['guarantee']} |"
    )


def _each(found: Sequence[float]) -> str:
    """The median, and every round where there are several; nothing without the base."""
    if len(found) < 2:
        return "".join(f"{value:.2f}" for value in found)
    rounds = " · ".join(f"{value:.2f}" for value in found)
    return f"{statistics.median(found):.2f} ({rounds})"


def _not_measured(rows: Rows) -> Iterator[tuple[str, str]]:
    yield from NOT_MEASURED.items()
    measured = {row["contender"] for row in rows}
    for contender in CONTENDERS:
        if contender.name not in measured:
            yield contender.name, "not in this run"


def _worse(rows: Rows) -> Iterator[str]:
    measures = (("events/s", "events_per_second", 1), ("CPU per event", "cpu_us", -1),
                ("MB", "memory_mb", -1))  # fmt: skip
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        mine = [row for row in rows if row["scenario"] == scenario]
        for what, key, sign in measures:
            medians = {
                name: statistics.median(row[key] for row in mine if row["contender"] == name)
                for name in dict.fromkeys(row["contender"] for row in mine)
            }
            ours = {name: medians[name] for name in (RELAY.name, RELAY_OFF.name) if name in medians}
            ahead = [
                f"{name}: {theirs:,.0f}{_only_of(behind, ours)}"
                for name, theirs in medians.items()
                if not name.startswith("Relay")
                and theirs  # 0 is "nothing was measured"
                and (behind := [own for own in ours if (theirs - ours[own]) * sign > 0])
            ]
            if ahead:
                figures = " · ".join(f"{figure:,.0f}" for figure in ours.values())
                yield f"| {scenario} | {what} | {figures} | {'; '.join(ahead)} |"


def _only_of(behind: Sequence[str], ours: Mapping[str, float]) -> str:
    if len(behind) == len(ours):
        return ""
    return " (only of off)" if behind == [RELAY_OFF.name] else " (only of on)"


def _limit(part: Found) -> Iterator[str]:
    found = part["found"]
    yield "## The limit: the wire alone"
    yield ""
    yield "Relay's wire posting the same bodies without Kafka, without a guarantee; and wrk, in C,"
    yield f"which gets {found['wrk']:,.0f} requests/s out of the sink ({found['sink_us']:.0f} µs of"
    yield "the sink's CPU each)."
    yield ""
    yield "| in flight | over | requests/s | µs CPU a request |"
    yield "|---:|---|---:|---:|"
    for wire in found["wire"]:
        yield (
            f"| {wire['in_flight']} | {'TLS' if wire['tls'] else 'TCP'} "
            f"| {_spread(wire['rates'])} | {wire['cpu_us']:.0f} |"
        )


def _lateness(part: Found) -> Iterator[str]:
    yield "## Lateness"
    yield ""
    yield "From an event's creation to its arrival, at half of what the contender managed at most"
    yield "(at most 8,000/s, which the producer keeps up with)."
    yield ""
    yield "| contender | events/s | median | 99 % | kept |"
    yield "|---|---:|---:|---:|---|"
    for row in part["found"]:
        yield (
            f"| {row['contender']} | {row['rate']:,.0f} | {row['lateness_p50_s'] * 1e3:,.1f} ms "
            f"| {row['lateness_p99_s'] * 1e3:,.1f} ms | {row['guarantee']} |"
        )


def _start_stop(part: Found) -> Iterator[str]:
    found = part["found"]
    posts = found["first_post_s"]
    yield "## Start and stop"
    yield ""
    yield f"First POST {_spread(posts, 2)} s after exec."
    yield ""
    yield "| in flight at SIGTERM | exit after | status | sent twice afterwards | lost |"
    yield "|---:|---:|---:|---:|---:|"
    for stop in found["stops"]:
        yield (
            f"| {stop['in_flight']:,} | {stop['exit_s']:.2f} s | {stop['status']} "
            f"| {stop['repeated']} | {stop['lost']} |"
        )


def _memory(part: Found) -> Iterator[str]:
    found = part["found"]
    yield "## Memory"
    yield ""
    yield f"Peak resident memory at full speed with a lag of {found['lag']:,} events:"
    yield ""
    for name, peak in found["peak_mb"].items():
        yield f"- {name}: {peak:,.0f} MB"


def _growth(part: Found) -> Iterator[str]:
    yield "## Growth"
    yield ""
    yield "µs CPU per event of the pipeline between a simulated source and a simulated wire; bends"
    yield "are explained in docs/PERFORMANCE.md."
    yield ""
    for name, points in part["found"].items():
        yield f"- {NAMES[name]}: " + " · ".join(f"{x:,} → {y:.0f}" for x, y in points)


def _spread(values: Sequence[float], digits: int = 0) -> str:
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


_SECTIONS: dict[str, Callable[[Found], Iterator[str]]] = {
    "compare": _compare,
    "limit": _limit,
    "lateness": _lateness,
    "start_stop": _start_stop,
    "memory": _memory,
    "growth": _growth,
}
NAMES = {
    "users": "users",
    "partitions": "partitions",
    "concurrency": "requests in flight",
    "lag": "lag",
    "size_bytes": "bytes of a record",
}
