"""`DeadLetter` ↔ the headers of a record in the dead-letter topic. Pure; used in both directions.

Key, value and headers of the original stay as they are. Behind the headers stands an envelope: one
header for each field below, names beginning `relay-dlq-`. When a replayed record dies again, the
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
| cut | `value`: only its beginning is there; `record`: headers and a long key are gone too |
| value-bytes, value-sha256 | size and hash of the whole value, when it was cut |
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from relay.model import DeadLetter, DeadLetterClass, Header, Position

PREFIX = "relay-dlq-"
VERSION = "1"
HISTORY_MAX = 8
"""Envelopes kept: the first, which says where the record came from, and the latest."""
TEXT_BYTES_MAX = 1024

_CUT_VALUE, _CUT_RECORD = "value", "record"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


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


def envelope(
    letter: DeadLetter, mapping_version: str, cut: Cut | None = None
) -> tuple[Header, ...]:
    """The headers to write: the original's, the earlier envelopes', and one for this death."""
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
        ("status", str(death.status) if death.status else None),
        ("excerpt", death.excerpt or None),
        ("attempts", str(death.attempts)),
        ("first-attempt", _written(death.first_attempt_ms)),
        ("last-attempt", _written(death.last_attempt_ms)),
        ("mapping", death.mapping_version),
        *_cut_said(death.cut),
    )
    return tuple((PREFIX + name, _short(text)) for name, text in said if text is not None)


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
            attempts=int(said["attempts"]),
            first_attempt_ms=_read(said.get("first-attempt")),
            last_attempt_ms=_read(said.get("last-attempt")),
            cut=_cut_read(said),
        )
    except (KeyError, ValueError, OverflowError):
        return None


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


def _short(text: str) -> bytes:
    """At most so many bytes, never in the middle of a character."""
    raw = text.encode("utf-8", "replace")
    return raw if len(raw) <= TEXT_BYTES_MAX else _whole(raw[:TEXT_BYTES_MAX])


def _whole(raw: bytes) -> bytes:
    return raw.decode("utf-8", "ignore").encode()
