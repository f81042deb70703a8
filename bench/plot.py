"""What the parts found → bench/RESULTS.svg. Apart from the report, which needs no matplotlib."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from bench.report import NAMES, ORDER, Found, Rows

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "relay"  # the same figures make the same file

import matplotlib.pyplot as plt  # noqa: E402 - after the backend was chosen


def draw(parts: Mapping[str, Found], path: Path) -> None:
    """The first scenario as bars, the growth as curves."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6))
    rows: Rows = (parts.get("compare") or {}).get("found", ())
    if rows:
        _bars(left, rows)
    growth = (parts.get("growth") or {}).get("found", {})
    for name, points in growth.items():
        right.plot(*zip(*points, strict=True), marker="o", label=NAMES[name])
    right.set(xscale="log", ylabel="µs CPU per event, pipeline", title="Growth", ylim=(0, None))
    if growth:
        right.legend()
    right.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _bars(axes: Any, rows: Rows) -> None:
    scenario = rows[0]["scenario"]
    rates: dict[str, list[float]] = {}
    for row in rows:
        if row["scenario"] == scenario:
            rates.setdefault(row["contender"], []).append(row["events_per_second"])
    names = sorted(rates, key=lambda name: statistics.median(rates[name]))
    middles = [statistics.median(rates[name]) for name in names]
    spread = [
        [m - min(rates[n]) for n, m in zip(names, middles, strict=True)],
        [max(rates[n]) - m for n, m in zip(names, middles, strict=True)],
    ]
    colours = ["#2a6f97" if ORDER.get(name) != "none" else "#a9b4bd" for name in names]
    axes.barh(names, middles, xerr=spread, color=colours)
    axes.set(xlabel="events/s (grey: no order kept)", title=f"Side by side, {scenario}")
