"""Dead letters → rows, lines and words; what the commands of `relay dlq` print."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from relay.clock import SystemClock
from relay.dead_letters.codes import known_codes
from relay.dead_letters.selection import Selection, moment_ms, span
from relay.dead_letters.stored import OwnLetter
from relay.kafka_client.header_names import printable
from relay.model import DeadLetterClass
from relay.road.settling.dead_letter import Cut, Envelope, spans
from relay.telemetry.outline import MASK, masked_values, outline


class Summary:
    """How many letters there are by day, topic, class and code, and how long ago they died."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str, str], list[int]] = {}

    def add(self, one: OwnLetter) -> None:
        """Count one. Its day is that of its last death, in UTC."""
        died_ms, last = one.stored.died_ms, one.last
        key = (
            _moment(died_ms)[:10],
            one.stored.position.topic,
            last.cls.value,
            last.code,
        )
        count, first_ms, last_ms = self._rows.get(key, (0, died_ms, died_ms))
        self._rows[key] = [count + 1, min(first_ms, died_ms), max(last_ms, died_ms)]

    def rows(self) -> list[dict[str, Any]]:
        """One for each group: the latest day first, in it the most frequent first."""
        grouped = sorted(self._rows.items(), key=lambda row: (row[0][0], row[1][0]), reverse=True)
        return [
            {
                "day": day,
                "topic": topic,
                "class": cls,
                "code": code,
                "count": count,
                "first": _moment(first_ms),
                "last": _moment(last_ms),
            }
            for (day, topic, cls, code), (count, first_ms, last_ms) in grouped
        ]


def wanted(
    *,
    codes: Sequence[str] | None = None,
    classes: Sequence[DeadLetterClass] | None = None,
    destinations: Sequence[str] | None = None,
    since: str | None = None,
    until: str | None = None,
    users: Sequence[str] | None = None,
    positions: Sequence[str] | None = None,
) -> Selection:
    """The options of a command as a selection.

    Raises:
        InputError: One of them says nothing that can be meant.
    """
    now_ms = SystemClock().now_ms()
    return Selection(
        codes=known_codes(codes or ()),
        classes=frozenset(classes or ()),
        destinations=frozenset(destinations or ()),
        since_ms=None if since is None else moment_ms(since, now_ms),
        until_ms=None if until is None else moment_ms(until, now_ms),
        users=frozenset(users or ()),
        spans=tuple(span(text) for text in positions or ()),
    )


def as_row(one: OwnLetter) -> str:
    """A letter for people: where, when, what record, why."""
    last = one.last
    again = f" (death {len(one.deaths)})" if len(one.deaths) > 1 else ""
    return (
        f"{one.stored.position}  {_time(one.stored.died_ms)}  {last.position}{_which(last)}  "
        f"{last.cls.value}/{last.code}{_bound(last)}{again}: {last.reason}{_of_what(one.cut)}"
    )


def as_line(one: OwnLetter) -> str:
    """A letter for machines, without key, value and headers."""
    said = {
        "position": str(one.stored.position),
        "died_at": _time(one.stored.died_ms),
        "origin": str(one.origin),
        **_death(one.last),
        "deaths": len(one.deaths),
    }
    return json.dumps(said, ensure_ascii=False)


def in_full(one: OwnLetter, events: Mapping[int, Any], *, exact: bool) -> dict[str, Any]:
    """Everything about a letter; key, value, headers and events masked unless `exact`."""
    stored = one.stored
    shown = {index: event if exact else masked_values(event) for index, event in events.items()}
    return {
        "position": str(stored.position),
        "died_at": _time(stored.died_ms),
        "origin": str(one.origin),
        "deaths": [_death(death) for death in one.deaths],
        "key": _bytes(stored.key, exact=exact),
        "headers": [
            [printable(name), _bytes(value, exact=exact)] for name, value in stored.original_headers
        ],
        "value": _bytes(stored.value, exact=True) if exact else outline(stored.value),
        "value_bytes": None if stored.value is None else len(stored.value),
        "events": {f"#{index}": event for index, event in shown.items()},
    }


def in_words(shown: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{shown['position']}, died {shown['died_at']}, first stood at {shown['origin']}"]
    for number, death in enumerate(shown["deaths"], start=1):
        lines.append(f"death {number}:")
        lines += [f"  {name}: {text}" for name, text in death.items() if text not in (None, "")]
    lines.append(f"key: {shown['key']}")
    lines += [f"header {name}: {value}" for name, value in shown["headers"]]
    if shown["events"]:
        lines += [
            f"event {index}: {json.dumps(event, ensure_ascii=False, default=str)}"
            for index, event in shown["events"].items()
        ]
    else:
        lines.append(f"value ({shown['value_bytes']} bytes): {shown['value']}")
    return "\n".join(lines)


def _death(death: Envelope) -> dict[str, Any]:
    return {
        "record": str(death.position),
        "class": death.cls.value,
        "code": death.code,
        "reason": death.reason,
        "destination": death.destination or None,
        "status": death.status or None,
        "excerpt": death.excerpt or None,
        "attempts": death.attempts,
        "first_attempt": _time(death.first_attempt_ms),
        "last_attempt": _time(death.last_attempt_ms),
        "mapping_version": death.mapping_version,
        "events": spans(death.events) if death.events_total else None,
        "events_total": death.events_total or None,
        "codes": ", ".join(f"#{event} {code}" for event, code in death.codes) or None,
        "truncated": None if death.cut is None else _of_what(death.cut).strip(" []"),
        "value_bytes": None if death.cut is None else death.cut.value_bytes,
        "value_sha256": None if death.cut is None else death.cut.value_sha256,
    }


def _bound(death: Envelope) -> str:
    """Of several destinations the one that it was bound for."""
    return f" to {death.destination}" if death.destination else ""


def _which(death: Envelope) -> str:
    """Of a record that holds several events those that died: `#1,4-6`."""
    return f"#{spans(death.events)}" if death.events_total else ""


def _of_what(cut: Cut | None) -> str:
    if cut is None:
        return ""
    parts = "the value" if cut.value_only else "the value, without headers"
    return f" [only a part of {parts} of {cut.value_bytes} bytes; not replayed]"


def _bytes(raw: bytes | None, *, exact: bool) -> str | None:
    """Text where it is text, else base64; or only that there is something."""
    if raw is None:
        return None
    if not exact:
        return MASK
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode()


def _time(ms: int | None) -> str | None:
    return None if ms is None else _moment(ms)


def _moment(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
