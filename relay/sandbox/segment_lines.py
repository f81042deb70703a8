"""A line of a USER_SEGMENT file → what it asks of which user, or why it is rejected. Pure.

The stand-in's own reading of the vendor's table, held apart from the client's on purpose.
"""

import csv
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

IDENTIFIERS = ("user_account_id", "email_hash", "user_agent_id")
FIELDS = (
    "operation",
    "compartment_id",
    *IDENTIFIERS,
    "segment_id",
    "segment_ids",
    "segment_technical_name",
    "segment_technical_names",
    "expiration_duration",
    "expiration_ts",
    "data_bag",
)
_LISTS = ("segment_ids", "segment_technical_names")
_MINUTE_MS = 60_000

User = tuple[str, str, str]
"""Kind of identifier, compartment or nothing, identifier."""
SegmentName = tuple[str, str]
"""`id` or `technical_name`, and which."""


class Asked(NamedTuple):
    """What a valid line asks for."""

    update: bool
    user: User
    segments: tuple[SegmentName, ...]
    duration_minutes: int
    expires_ts: int | None
    data_bag: str | None

    def expires_ms(self, now_ms: int) -> int | None:
        """When the membership ends, counted from `now_ms`; None is never.

        Both say that 0 is never; that the timestamp counts where both are given is inferred.
        """
        if self.expires_ts is not None:
            return self.expires_ts or None
        return now_ms + self.duration_minutes * _MINUTE_MS if self.duration_minutes else None


class Row(NamedTuple):
    """One line: its number, its text, and its fields or why there are none."""

    number: int
    text: bytes
    fields: dict[str, Any] | str


def read(body: bytes, mime_type: str) -> Iterator[Row]:
    """The lines of a file."""
    return _read_csv(body) if mime_type == "TEXT_CSV" else _read_ndjson(body)


def refused_at_once(body: bytes, mime_type: str) -> str | None:
    """Why the whole file is refused at upload: a JSON list is none of the formats."""
    start = body[:64].lstrip()
    if mime_type != "TEXT_CSV" and start and not start.startswith(b"{"):
        return "the document is not NDJSON"
    return None


def judge(fields: dict[str, Any] | str, default_compartment: str) -> Asked | str:
    """What a line asks for, or why it is rejected."""
    if isinstance(fields, str):
        return fields
    given = {name: value for name, value in fields.items() if value is not None}
    why = _wrong(given)
    if why is not None:
        return why
    kind = next(name for name in IDENTIFIERS if name in given)
    compartment = ""
    if kind == "user_account_id":
        compartment = str(given.get("compartment_id", default_compartment))
    return Asked(
        given["operation"] == "UPDATE",
        (kind, compartment, given[kind]),
        _segments(given),
        given["expiration_duration"],
        given.get("expiration_ts"),
        given.get("data_bag"),
    )


def _wrong(given: dict[str, Any]) -> str | None:
    kinds = [name for name in IDENTIFIERS if name in given]
    duration = given.get("expiration_duration")
    checks = (
        (set(given) <= set(FIELDS), "unknown property"),
        (given.get("operation") in ("UPDATE", "DELETE"), "operation must be UPDATE or DELETE"),
        (len(kinds) == 1, "exactly one user identifier is needed"),
        (all(isinstance(given[kind], str) for kind in kinds), "an identifier must be text"),
        (type(duration) is int and duration >= 0, "expiration_duration is mandatory"),
        (bool(_segments(given)), "no segment is named"),
    )
    return next((why for right, why in checks if not right), None)


def _segments(given: dict[str, Any]) -> tuple[SegmentName, ...]:
    named: list[SegmentName] = []
    for kind in ("id", "technical_name"):
        one = given.get(f"segment_{kind}")
        many = given.get(f"segment_{kind}s", [])
        named += [(kind, value) for value in ([] if one is None else [one]) + list(many)]
    return tuple(named)


def _read_ndjson(body: bytes) -> Iterator[Row]:
    start, number = 0, 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        text = body[start:end]
        start, number = end + 1, number + 1
        if not text.strip():
            continue
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError:
            yield Row(number, text, "the line is not JSON")
            continue
        yield Row(number, text, document if isinstance(document, dict) else "not an object")


def _read_csv(body: bytes) -> Iterator[Row]:
    lines = body.decode("utf-8-sig", "replace").splitlines()
    if not lines:
        return
    names = [name.lower() for name in next(csv.reader([lines[0]]))]
    for number, line in enumerate(lines[1:], start=2):
        cells = next(csv.reader([line]), [])
        if len(cells) != len(names):
            yield Row(number, line.encode(), "wrong number of columns")
            continue
        fields: dict[str, Any] = {}
        for name, cell in zip(names, cells, strict=True):
            if cell == "":
                continue
            if name in _LISTS or (name.startswith("expiration_") and cell.isdigit()):
                fields[name] = orjson.loads(cell)
            else:
                fields[name] = cell
        yield Row(number, line.encode(), fields)
