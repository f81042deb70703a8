"""The error file of an execution → which lines were rejected, and why.

Its format is documented nowhere. So every form that we can think of is understood: JSON objects
that hold the rejected line or its number, the rejected lines themselves, a CSV with the identifier.
The caller checks the result against the count of rejected lines, and trusts nothing that disagrees.
A line's number says nothing for certain either (counted from 0, from 1, with or without the line of
names?): it is passed on for people to read, and nothing is concluded from it.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from relay.apis.errors import vendor_words
from relay.errors import InputError
from relay.segments.model import IDENTIFIERS, SEGMENT_FORMS
from relay.segments.text_file import lines

_NUMBERS = ("linenumber", "line", "lineno", "row", "rownumber")
_REASONS = ("error", "errormessage", "message", "reason", "cause")
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected line: its number, user and segment, as far as the file tells, and the reason."""

    line: int | None
    user: str | None = field(repr=False)
    reason: str
    segment: str | None = None


def read_rejections(path: Path) -> Iterator[Rejection]:
    """What can be understood of an error file; what cannot is left out."""
    names: list[str] = []
    try:
        for number, raw in lines(path):
            text = raw.strip()
            if not text:
                continue
            try:
                document = orjson.loads(text)
            except orjson.JSONDecodeError:
                cells = _cells(text)
                if number == 1:
                    names = [_plain(cell) for cell in cells]
                    continue
                document = dict(zip(names, cells, strict=False)) if names else None
            found = _rejection(document)
            if found is not None:
                yield found
    except InputError:  # lines that are too long, compressed and cut off, …: not understood
        return


def _rejection(document: Any) -> Rejection | None:
    if not isinstance(document, dict):
        return None
    facts: dict[str, Any] = {}
    _collect(document, facts, _DEPTH)
    user = next((facts[_plain(name)] for name in IDENTIFIERS if facts.get(_plain(name))), None)
    number = next((facts[name] for name in _NUMBERS if name in facts), None)
    line = int(number) if isinstance(number, int | str) and str(number).isdigit() else None
    if user is None and line is None:
        return None
    reason = next((facts[name] for name in _REASONS if facts.get(name)), "")
    segment = next((facts[_plain(name)] for name in SEGMENT_FORMS if facts.get(_plain(name))), None)
    return Rejection(line, _text(user), vendor_words(str(reason)), _text(segment))


def _collect(document: dict[Any, Any], facts: dict[str, Any], depth: int) -> None:
    """Every plain value by its key, wherever it stands; JSON that is written as text is read."""
    for key, value in document.items():
        inner = value
        if isinstance(value, str) and value.lstrip().startswith("{"):
            try:
                inner = orjson.loads(value)
            except orjson.JSONDecodeError:
                inner = value
        if isinstance(inner, dict) and depth > 0:
            _collect(inner, facts, depth - 1)
        elif not isinstance(inner, dict | list):
            facts.setdefault(_plain(str(key)), inner)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "")


def _cells(text: bytes) -> list[str]:
    try:
        return next(csv.reader([text.decode("utf-8", "replace")]), [])
    except csv.Error:
        return []
