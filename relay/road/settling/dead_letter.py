"""`DeadLetter` ↔ the headers of a record in the dead-letter topic. Pure; used in both directions.

Key, value and headers of the original stay as they are. Behind the headers stands an envelope: one
header for each field below, names beginning `relay-dlq-`. When a replayed record fails again, the
next envelope goes behind the last, so the headers hold the whole history in order.

| header | content |
|---|---|
| version | `1`; begins an envelope |
| topic, partition, offset | where the record stood |
| timestamp | its timestamp, in epoch milliseconds |
| class, code, reason | why it could not be delivered |
| status, excerpt | HTTP status and beginning of the last answer, where there was one |
| attempts, first-attempt, last-attempt | how often and when it was sent |
| mapping | version of the mapping that was in use |
| events | of a record that holds several events: those that died, from 0, as `1,4-6` |
| events-total | how many events it holds; without the two, the letter is the whole record |
| reasons | where several died: the first eight of them, each with its code, as `1=missing_field` |
| cut | `value`: only its beginning is there; `record`: headers and a long key are gone too |
| value-bytes, value-sha256 | size and hash of the whole value, when it was cut |
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from relay.model import DEFAULT_DESTINATION, DeadLetter, DeadLetterClass, Header, Position

PREFIX = "relay-dlq-"
VERSION = "1"
HISTORY_MAX = 8
"""Envelopes kept: the first, which says where the record came from, and the latest."""
# of a header: a reason is a line, and Kafka bounds all headers with the value
TEXT_BYTES_MAX = 1024
CODES_MAX = 8
"""Events of one letter whose codes are told."""

_CUT_VALUE, _CUT_RECORD = "value", "record"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


_EVENTS_MAX = 1_000_000
"""A header that claims more events than any record holds is not one of ours."""


class _Events(TypedDict, total=False):
    events: tuple[int, ...]
    events_total: int
    codes: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """What a record was that is not there as a whole: its topic does not take so much."""

    value_bytes: int
    value_sha256: str
    value_only: bool = True
    """Whether key and headers are there; else headers and a long key are gone as well."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One death of a record: where it stood, why it could not be delivered, what was tried."""

    position: Position
    timestamp_ms: int
    cls: DeadLetterClass
    code: str
    reason: str
    mapping_version: str
    status: int = 0
    excerpt: str = ""
    attempts: int = 0
    first_attempt_ms: int | None = None
    last_attempt_ms: int | None = None
    cut: Cut | None = None
    events: tuple[int, ...] = ()
    """Which events of the record died, ascending from 0; none: the record as a whole."""
    events_total: int = 0
    destination: str = ""
    """Where it was bound for, by the name in the settings; empty where there is no name."""
    codes: tuple[tuple[int, str], ...] = ()
    """Of several events that died the first few, each with its code."""


def envelope(
    letter: DeadLetter, mapping_version: str, cut: Cut | None = None
) -> tuple[Header, ...]:
    """The headers to write: the original's, the earlier envelopes', and one for this death."""
    # What is kept of earlier deaths:
    #
    #     fewer than 8             all of them
    #     more                     the first, which says where the record came from, and the latest
    #                              7
    #     the record itself is cut the first and this one: all of it must fit
    original, history = opened(letter.record.headers)
    death = Envelope(
        position=letter.record.position,
        timestamp_ms=letter.record.timestamp_ms,
        cls=letter.cls,
        code=letter.code,
        reason=letter.reason,
        mapping_version=mapping_version,
        status=letter.status,
        excerpt=letter.excerpt,
        attempts=letter.attempts,
        first_attempt_ms=letter.first_attempt_ms,
        last_attempt_ms=letter.last_attempt_ms,
        cut=cut,
        events=letter.events,
        events_total=letter.events_total,
        codes=letter.codes[:CODES_MAX],
        destination=_named(letter.destination),
    )
    kept = [*history, death]
    if cut is not None and not cut.value_only:
        original, kept = (), [*history[:1], death]
    if len(kept) > HISTORY_MAX:
        kept = [kept[0], *kept[-HISTORY_MAX + 1 :]]
    return (*original, *(header for one in kept for header in sealed(one)))


def opened(headers: Iterable[Header]) -> tuple[tuple[Header, ...], tuple[Envelope, ...]]:
    """The inverse: the original's headers, and the envelopes from the first death to the last.

    What only looks like an envelope counts as the original's: nothing is thrown away.
    """
    original: list[Header] = []
    groups: list[list[Header]] = []
    for header in headers:
        if header[0] == f"{PREFIX}version":
            groups.append([header])
        elif groups and header[0].startswith(PREFIX):
            groups[-1].append(header)
        else:
            original.append(header)
    envelopes = []
    for group in groups:
        parsed = _parsed(group)
        if parsed is None:
            original.extend(group)
        else:
            envelopes.append(parsed)
    return tuple(original), tuple(envelopes)


def newest(headers: Iterable[Header]) -> Envelope | None:
    """The last death of a record that was replayed; None for one that never died."""
    headers = tuple(headers)
    if not any(name == f"{PREFIX}version" for name, _ in headers):
        return None
    deaths = opened(headers)[1]
    return deaths[-1] if deaths else None


def spans(events: Iterable[int]) -> str:
    """Ascending numbers as text: `1,4-6`."""
    runs: list[list[int]] = []
    for event in events:
        if runs and runs[-1][1] == event - 1:
            runs[-1][1] = event
        else:
            runs.append([event, event])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def sealed(death: Envelope) -> tuple[Header, ...]:
    """The headers of one envelope; what there is nothing to say about is left out."""
    said: tuple[tuple[str, str | None], ...] = (
        ("version", VERSION),
        ("topic", death.position.topic),
        ("partition", str(death.position.partition)),
        ("offset", str(death.position.offset)),
        ("timestamp", str(death.timestamp_ms)),
        ("class", death.cls.value),
        ("code", death.code),
        ("reason", death.reason),
        ("destination", death.destination or None),
        ("status", str(death.status) if death.status else None),
        ("excerpt", death.excerpt or None),
        ("attempts", str(death.attempts)),
        ("first-attempt", _written(death.first_attempt_ms)),
        ("last-attempt", _written(death.last_attempt_ms)),
        ("mapping", death.mapping_version),
        *_cut_said(death.cut),
    )
    headers = tuple((PREFIX + name, _short(text)) for name, text in said if text is not None)
    if not death.events_total:
        return headers
    named = (
        *headers,
        # Never shortened: a replay would take the rest for delivered.
        (f"{PREFIX}events", spans(death.events).encode()),
        (f"{PREFIX}events-total", str(death.events_total).encode()),
    )
    if not death.codes:
        return named
    told = ",".join(f"{event}={code}" for event, code in death.codes)
    return (*named, (f"{PREFIX}reasons", told.encode()))


def _parsed(group: Sequence[Header]) -> Envelope | None:
    try:
        said = {name.removeprefix(PREFIX): (value or b"").decode() for name, value in group}
        if said["version"] != VERSION:
            return None
        return Envelope(
            position=Position(said["topic"], int(said["partition"]), int(said["offset"])),
            timestamp_ms=int(said["timestamp"]),
            cls=DeadLetterClass(said["class"]),
            code=said["code"],
            reason=said["reason"],
            mapping_version=said["mapping"],
            status=int(said.get("status", "0")),
            excerpt=said.get("excerpt", ""),
            destination=said.get("destination", ""),
            attempts=int(said["attempts"]),
            first_attempt_ms=_read(said.get("first-attempt")),
            last_attempt_ms=_read(said.get("last-attempt")),
            cut=_cut_read(said),
            **_events_read(said),
        )
    except (KeyError, ValueError, OverflowError):
        return None


def _named(destination: str) -> str:
    """That of `tracking` has no name that anybody gave it."""
    return "" if destination == DEFAULT_DESTINATION else destination


def _written(ms: int | None) -> str | None:
    if ms is None:
        return None
    return (_EPOCH + ms * _MS).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read(text: str | None) -> int | None:
    return None if text is None else (datetime.fromisoformat(text) - _EPOCH) // _MS


def _cut_said(cut: Cut | None) -> tuple[tuple[str, str], ...]:
    if cut is None:
        return ()
    return (
        ("cut", _CUT_VALUE if cut.value_only else _CUT_RECORD),
        ("value-bytes", str(cut.value_bytes)),
        ("value-sha256", cut.value_sha256),
    )


def _cut_read(said: Mapping[str, str]) -> Cut | None:
    if "cut" not in said:
        return None
    value_only = said["cut"] == _CUT_VALUE
    return Cut(int(said["value-bytes"]), said["value-sha256"], value_only=value_only)


def _events_read(said: Mapping[str, str]) -> _Events:
    """Raises ValueError for what `sealed` does not write: then it is no envelope of ours."""
    if "events" not in said and "events-total" not in said:
        return {}
    total = int(said["events-total"])
    events: list[int] = []
    for span in said["events"].split(","):
        first, dash, last = span.partition("-")
        begin, end = int(first), int(last if dash else first)
        if not (events[-1] if events else -1) < begin <= end < total <= _EVENTS_MAX:
            raise ValueError(span)
        events.extend(range(begin, end + 1))
    codes: list[tuple[int, str]] = []
    for pair in filter(None, said.get("reasons", "").split(",")):
        event, _, code = pair.partition("=")
        codes.append((int(event), code))
    return {"events": tuple(events), "events_total": total, "codes": tuple(codes)}


def _short(text: str) -> bytes:
    """At most so many bytes, never in the middle of a character."""
    raw = text.encode("utf-8", "replace")
    return raw[:TEXT_BYTES_MAX].decode("utf-8", "ignore").encode()
