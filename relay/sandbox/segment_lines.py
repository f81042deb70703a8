"""A line of a USER_SEGMENT file → what it asks of which user, or why it is rejected. Pure.

The stand-in's own reading of the vendor's table, held apart from the client's on purpose.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from relay.sandbox.validation import wrong

IDENTIFIERS = ("user_account_id", "email_hash", "user_agent_id")
_LISTS = ("segment_ids", "segment_technical_names")
_MINUTE_MS = 60_000

User = tuple[str, str, str]
"""Kind of identifier, compartment or nothing, identifier."""
SegmentName = tuple[str, str]
"""`id` or `technical_name`, and which."""


class Asked(BaseModel):
    """A line that is valid."""

    model_config = ConfigDict(strict=True, extra="forbid")

    operation: Literal["UPDATE", "DELETE"]
    compartment_id: str | int | None = None
    user_account_id: str | None = None
    email_hash: str | None = None
    user_agent_id: str | None = None
    segment_id: str | None = None
    segment_ids: list[str] | None = None
    segment_technical_name: str | None = None
    segment_technical_names: list[str] | None = None
    expiration_duration: int = Field(ge=0)
    expiration_ts: int | None = None
    data_bag: str | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in IDENTIFIERS) != 1:
            raise wrong("exactly one user identifier is needed")
        if not self.segments:
            raise wrong("no segment is named")
        return self

    def user(self, default_compartment: str) -> User:
        """Whom it is about."""
        if self.user_account_id is None:
            kind = "user_agent_id" if self.email_hash is None else "email_hash"
            return kind, "", getattr(self, kind)
        compartment = default_compartment if self.compartment_id is None else self.compartment_id
        return "user_account_id", str(compartment), self.user_account_id

    @property
    def segments(self) -> list[SegmentName]:
        """Every segment that it names."""
        ids = [self.segment_id, *(self.segment_ids or ())]
        names = [self.segment_technical_name, *(self.segment_technical_names or ())]
        named = [("id", value) for value in ids] + [("technical_name", value) for value in names]
        return [(kind, value) for kind, value in named if value is not None]

    def expires_ms(self, now_ms: int) -> int | None:
        """When the membership ends, counted from `now_ms`; None is never.

        Both say that 0 is never; that the timestamp counts where both are given is inferred.
        """
        if self.expiration_ts is not None:
            return self.expiration_ts or None
        lasts_ms = self.expiration_duration * _MINUTE_MS
        return now_ms + lasts_ms if lasts_ms else None


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


def judge(fields: dict[str, Any] | str) -> Asked | str:
    """What a line asks for, or why it is rejected."""
    if isinstance(fields, str):
        return fields
    try:
        return Asked.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        return ": ".join([*map(str, found["loc"]), found["msg"]])


def _read_ndjson(body: bytes) -> Iterator[Row]:
    for number, text in enumerate(io.BytesIO(body), start=1):
        if not text.strip():
            continue
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError:
            document = None
        known = isinstance(document, dict)
        yield Row(number, text, document if known else "the line is not a JSON object")


def _read_csv(body: bytes) -> Iterator[Row]:
    lines = body.decode("utf-8-sig", "replace").splitlines()
    names = [name.lower() for name in next(csv.reader(lines[:1]), [])]
    for number, line in enumerate(lines[1:], start=2):
        cells = next(csv.reader([line]), [])
        if len(cells) != len(names):
            yield Row(number, line.encode(), "wrong number of columns")
            continue
        given = zip(names, cells, strict=True)
        yield Row(number, line.encode(), {name: _value(name, cell) for name, cell in given if cell})


def _value(name: str, cell: str) -> Any:
    is_json = name in _LISTS or (name.startswith("expiration_") and cell.isdigit())
    return orjson.loads(cell) if is_json else cell
