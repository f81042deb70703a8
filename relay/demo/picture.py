"""What the pipeline and the sandbox know → a live picture in the terminal, and the summary."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from relay.demo.tally import Tally

_HISTORY = 60
_SPARKS = " ▁▂▃▄▅▆▇█"
_VERDICT_STYLES = {
    "delivered": "green",
    "throttled": "yellow",
    "unavailable": "red",
    "refused": "magenta",
    "misconfigured": "bold red",
}


class Picture:
    """Redrawn a few times a second; keeps the rates of the last minute."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._rates: deque[float] = deque(maxlen=_HISTORY)
        self._before: Tally | None = None

    def draw(self, tally: Tally, activities: list[Mapping[str, Any]]) -> RenderableType:
        """The picture of this moment. `activities` are the sandbox's latest, newest first."""
        if self._before is not None and tally.at > self._before.at:
            settled = tally.settled - self._before.settled
            self._rates.append(settled / (tally.at - self._before.at))
        self._before = tally
        return Group(
            Text.assemble(
                ("relay demo", "bold"),
                "  embedded Kafka → relay → sandbox API (one 429 and one 500 in fifty)",
            ),
            self._road(tally),
            self._numbers(tally),
            _latest(activities),
        )

    def _road(self, tally: Tally) -> RenderableType:
        road = Table.grid(padding=(0, 1))
        road.add_column(justify="right", min_width=12)
        road.add_column(max_width=44)
        road.add_column(min_width=7)
        for name, count, style in (
            ("produced", tally.produced, "cyan"),
            ("delivered", tally.delivered, "green"),
            ("skipped", tally.skipped, "yellow"),
            ("dead letters", tally.dead_lettered, "magenta"),
        ):
            bar = Bar(self._events, 0, count, color=style)
            road.add_row(name, bar, f"{count:,}")
        return Panel(road, title="records", title_align="left", border_style="dim")

    def _numbers(self, tally: Tally) -> RenderableType:
        rate = self._rates[-1] if self._rates else 0.0
        grid = Table.grid(expand=False, padding=(0, 2))
        for _ in range(4):
            grid.add_column()
        grid.add_row(
            f"[bold]{rate:,.0f}[/] records/s",
            f"[bold]{tally.in_flight}[/] in flight (limit {tally.limit})",
            f"[bold]{tally.waiting:,}[/] waiting",
            f"[bold]{tally.lag:,}[/] lag",
        )
        verdicts = Text("answers  ")
        for kind, count in sorted(tally.verdicts.items()):
            verdicts.append(f"{kind} {count:,}   ", _VERDICT_STYLES.get(kind, ""))
        sparks = Text("rate     ")
        sparks.append(_sparkline(self._rates), "green")
        several = _destinations(tally) if len(tally.destinations) > 1 else ()
        return Panel(
            Group(grid, verdicts, sparks, *several),
            title="pace",
            title_align="left",
            border_style="dim",
        )


def _destinations(tally: Tally) -> Iterator[Text]:
    for name, going in tally.destinations.items():
        yield Text.assemble(
            f"{name:8} ",
            (f"{going.state:8}", "green" if going.state == "flowing" else "yellow"),
            f" {going.in_flight} in flight, {going.waiting:,} waiting",
        )


def summary(tally: Tally, seconds: float, *, good: bool) -> RenderableType:
    """What happened, and what to try next."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold")
    table.add_column()
    retries = tally.requests - tally.verdicts.get("delivered", 0)
    table.add_row(f"{tally.produced:,}", "events produced to Kafka")
    table.add_row(f"{tally.delivered:,}", f"delivered, in {tally.requests:,} requests")
    table.add_row(f"{tally.dead_lettered:,}", "dead-lettered: the poison record, bytes untouched")
    table.add_row(f"{tally.skipped:,}", "skipped: segment events, which are off in the demo")
    table.add_row(f"{retries:,}", "attempts met a fault and were made again")
    table.add_row(f"{tally.duplicates:,}", "duplicates seen by the API")
    table.add_row(f"{tally.out_of_order:,}", "events out of order, of any user")
    table.add_row(f"{seconds:.1f} s", "from the first to the last")
    verdict = (
        Text("Everything is accounted for, each user in order.", "bold green")
        if good
        else Text("The sums do not add up: please report this.", "bold red")
    )
    following = Text.from_markup(
        "[bold]Next[/] (relay is .venv/bin/relay after make demo; the README has it in full)\n"
        "  relay sandbox --port 8080                 an API to try things on\n"
        "  relay schema app-event.v1 --example       what to produce\n"
        "  relay map FILE                            the requests that events become\n"
        "  relay check && relay run                  your own broker and datamart"
    )
    panel = Panel(table, title="summary", title_align="left", expand=False)
    return Group(panel, verdict, Text(), following)


def _latest(activities: list[Mapping[str, Any]]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column, width in (("user", 10), ("type", 8), ("events", _NAMES_MAX), ("$unique_key", 11)):
        table.add_column(column, no_wrap=True, min_width=min(width, 11), max_width=width)
    for activity in activities:
        names = ", ".join(str(event.get("$event_name")) for event in activity.get("$events", ()))
        identifiers = activity.get("$user_identifiers", ({},))
        table.add_row(
            str(identifiers[0].get("$user_account_id", "?")),
            str(activity.get("$type", "?")),
            names,
            f"{str(activity.get('$unique_key', ''))[:8]}…",
        )
    return Panel(
        table, title="latest activities at the API", title_align="left", border_style="dim"
    )


_NAMES_MAX = 40


def _sparkline(rates: deque[float]) -> str:
    top = max(rates, default=0.0) or 1.0
    return "".join(_SPARKS[round(rate / top * (len(_SPARKS) - 1))] for rate in rates)
