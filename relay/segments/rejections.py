"""The error file of an execution → which users were rejected, and why, as far as it tells.

Its format is documented nowhere. It is only an optimisation: what it names is believed where it
agrees with the counts, and what it does not tell is found out by taking the file apart
(`relay.segments.isolator`). Understood are JSON objects that hold the rejected line, as fields or
as text, the rejected lines themselves, and a CSV with the names of the identifiers.
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

_REASONS = ("error", "errormessage", "message", "reason", "cause")
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected line: user, reason and segment, as far as the file tells."""

    user: str | None = field(repr=False)
    reason: str
    segment: str | None = None


def read_rejections(path: Path) -> Iterator[Rejection]:
    """What can be understood of an error file; what cannot is left out."""
    names: list[str] = []
    try:
        for number, raw in lines(path):
            try:
                document = orjson.loads(raw)
            except orjson.JSONDecodeError:
                cells = _cells(raw)
                if number == 1:
                    names = cells
                    continue
                document = dict(zip(names, cells, strict=False))
            facts: dict[str, str] = {}
            _collect(document, facts, _DEPTH)
            user, reason = _first(facts, IDENTIFIERS), _first(facts, _REASONS)
            if user or reason:
                yield Rejection(user, vendor_words(reason or ""), _first(facts, SEGMENT_FORMS))
    except InputError:  # lines that are too long, compressed and cut off, …: not understood
        return


def _collect(value: Any, facts: dict[str, str], depth: int, name: str = "") -> None:
    """Every plain value by its key, wherever it stands; JSON that is written as text is read."""
    if isinstance(value, str) and value.lstrip().startswith("{") and depth:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return
    if isinstance(value, dict) and depth:
        for key, inner in value.items():
            _collect(inner, facts, depth - 1, _plain(str(key)))
    elif name and isinstance(value, str | int) and str(value):
        facts.setdefault(name, str(value))


def _first(facts: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((facts[_plain(name)] for name in names if _plain(name) in facts), None)


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "")


def _cells(raw: bytes) -> list[str]:
    try:
        return next(csv.reader([raw.decode("utf-8", "replace").strip()]), [])
    except csv.Error:
        return []
