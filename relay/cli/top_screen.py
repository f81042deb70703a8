"""What several relays say of themselves → one screen of text, 80 columns wide or more. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from relay.telemetry.troubles import destinations
from relay.wording import counted

Status = Mapping[str, Any]
Answers = Sequence[tuple[str, Status | None]]
"""Each address with its /status, None where nothing answered."""

_STYLES = {"error": "bold red", "warning": "yellow"}
_STATES = {"flowing": "green", "paused": "yellow", "down": "bold red", "held": "bold red"}
_TROUBLES_MAX = 5
_PARTITIONS_MAX = 300
_FIXED_LINES = 4


def screen(answers: Answers, now: str, lines: int | None = None) -> RenderableType:
    """What is wrong first, then what runs, where to, and partitions; at most `lines`."""
    there = [(_short(url), told) for url, told in answers if told is not None]
    silent = [_short(url) for url, told in answers if told is None]
    head = Text.assemble(
        ("relay top", "bold"), f"  {len(there)} of {len(answers)} answer  ", (now, "dim")
    )
    wrong = list(_troubles(there, silent))
    calm = [Text("nothing is wrong", "green")] if there and not wrong else []
    tables = [_processes(there)]
    if there:
        tables.append(_destinations(there))
    if any("segments" in told for _, told in there):
        tables.append(_segments(there))
    used = _FIXED_LINES + len(wrong) + sum(table.row_count + 1 for table in tables)
    room = _PARTITIONS_MAX if lines is None else max(1, lines - used)
    parts: list[RenderableType] = [head, *wrong, *calm, *tables]
    if there:
        parts.append(_partitions(there, room))
    return Group(*parts)


def _troubles(there: Sequence[tuple[str, Status]], silent: Sequence[str]) -> Iterator[Text]:
    found = [(url, one) for url, told in there for one in told.get("troubles", ())]
    found.sort(key=lambda pair: pair[1]["level"] != "error")
    for url in silent:
        yield Text(f"{url} does not answer", "bold red")
    for url, one in found[:_TROUBLES_MAX]:
        where = f"{url}: " if len(there) > 1 else ""
        yield Text(f"{where}{trouble(one)}", _STYLES[one["level"]])
    if len(found) > _TROUBLES_MAX:
        yield Text(f"and {len(found) - _TROUBLES_MAX} more", "yellow")


def trouble(one: Status) -> str:
    """A trouble in one line."""
    for_s = "" if one["for_s"] is None else f", for {seconds(one['for_s'])}"
    reason = f": {one['reason']}" if one["reason"] else ""
    return f"{one['what']}{reason}{for_s}"


def _processes(there: Sequence[tuple[str, Status]]) -> Table:
    table = _table("process", "state", "recv/s", "sent/s", "dead/s", "open", "lag", "oldest")
    for url, told in there:
        rates = told["rates"]
        ready = told["ready"]["ready"]
        state = told["lifecycle"] if ready else f"{told['lifecycle']}, not ready"
        table.add_row(
            url,
            Text(state, "green" if ready else "yellow"),
            _rate(rates["received"]),
            _rate(rates["delivered"]),
            Text(_rate(rates["dead_lettered"]), "red" if rates["dead_lettered"] else ""),
            f"{told['ledger']['open']:,}",
            f"{told['lag']:,}",
            seconds(told["oldest_s"]),
        )
    return table


def _destinations(there: Sequence[tuple[str, Status]]) -> Table:
    table = _table("destination", "state", "flying", "limit", "moved by", "trip p99", "late p99")
    for url, told in there:
        for one in destinations(told):
            where = f"{one['name']} @ {url}" if len(there) > 1 else one["name"]
            table.add_row(
                where,
                Text(one["state"], _STATES.get(one["state"], "yellow")),
                f"{one['in_flight']:,}",
                f"{one['limit']:,}",
                one["limit_changed_because"],
                seconds(one["round_trip_s"]["p99"]),
                seconds(one["lateness_s"]["p99"]),
            )
    return table


def _segments(there: Sequence[tuple[str, Status]]) -> Table:
    table = _table("segment events", "read/s", "sent/s", "waiting", "flying", "lag", "oldest")
    for url, told in there:
        road = told.get("segments")
        if road is None:
            continue
        state = "held" if road["held"] else road["lifecycle"]
        where = f"{state} @ {url}" if len(there) > 1 else state
        table.add_row(
            Text(where, "bold red" if road["held"] else "green"),
            _rate(road["rates"]["received"]),
            _rate(road["rates"]["delivered"]),
            f"{road['waiting'] + road['in_trouble']:,}",
            f"{road['flying']:,}",
            f"{road['lag']:,}",
            seconds(road["oldest_s"]),
        )
    return table


def _partitions(there: Sequence[tuple[str, Status]], room: int) -> Table:
    rows = [(name, one) for _, told in there for name, one in told["partitions"].items()]
    rows.sort(key=lambda row: (-_pinned_s(row[1]), -(row[1]["lag"] or 0), row[0]))
    table = _table("partition", "lag", "open", "flying", "held by")
    shown = rows if len(rows) <= room else rows[: room - 1]
    for name, one in shown:
        lag = "-" if one["lag"] is None else f"{one['lag']:,}"
        table.add_row(
            name, lag, f"{one['open']:,}", f"{one['in_flight']:,}", held_by(one["pinned_by"])
        )
    if len(shown) < len(rows):
        table.add_row(Text(f"and {len(rows) - len(shown)} more", "dim"))
    return table


def _pinned_s(one: Status) -> float:
    pin = one["pinned_by"]
    return 0.0 if pin is None or pin["for_s"] < 1 else float(pin["for_s"])


def held_by(pin: Status | None) -> str:
    """What keeps a partition's commit from moving; empty when nothing does."""
    if pin is None:
        return ""
    tried = f", its schema {pin['schema']} is not there" if "schema" in pin else ""
    if pin.get("last_verdict"):
        tried = f", {counted(pin['attempts'], 'attempt')}, last {pin['last_verdict']}"
    elif pin.get("attempts"):
        tried = ", under way"
    bound = f" to {pin['destination']}" if "destination" in pin else ""
    return f"offset {pin['offset']}{bound} for {seconds(pin['for_s'])}{tried}"


def seconds(value: float | None) -> str:
    """A duration as people say it: `40 ms`, `9.3 s`, `12 min`, `3.2 h`."""
    match value:
        case None:
            return "-"
        case _ if value < 1:
            return f"{value * 1000:.0f} ms"
        case _ if value < 90:  # noqa: PLR2004
            return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"  # noqa: PLR2004
        case _ if value < 5400:  # noqa: PLR2004
            return f"{value / 60:.0f} min"
    return f"{value / 3600:.1f} h"


def _rate(value: float) -> str:
    digits = 1 if 0 < value < 10 and not math.isclose(value, round(value)) else 0  # noqa: PLR2004
    return f"{value:,.{digits}f}"


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    words = {
        "process", "destination", "partition", "state", "held by", "moved by", "segment events"
    }  # fmt: skip
    for name in columns:
        table.add_column(
            name, justify="left" if name in words else "right", no_wrap=True, overflow="ellipsis"
        )
    return table


def _short(url: str) -> str:
    return url.removeprefix("http://").removeprefix("https://").rstrip("/")
