"""JSON → documents: one value, an array with a document in each element, or one document a line."""

from typing import Any

import jiter

from relay.model import Record, Undecodable
from relay.sources.formats.outcome import (
    Decoded,
    Documents,
    Format,
    FormatCode,
    FormatPolicy,
    as_documents,
    of_values,
)
from relay.stream.decoding.reasons import UndecodableCode, why_not_json


def json_format(policy: FormatPolicy) -> Format:
    """One JSON value in a record: an object, an array of objects, or several lines of them."""

    def decode(_record: Record, value: bytes) -> Decoded:
        found = parse(value)
        if type(found) is Undecodable:
            # A second line is where one value was expected to end: perhaps there is one on each.
            return lines(value, policy) if _may_be_lines(value) else found
        return as_documents(found, policy)

    return of_values(policy, decode)


def ndjson_format(policy: FormatPolicy) -> Format:
    """A JSON object on each line. A line that is none is one bad event, not a bad record."""
    return of_values(policy, lambda _record, value: lines(value, policy))


def parse(value: bytes) -> Any:
    """The JSON value, or an Undecodable. Strict: no NaN, no key that stands twice, 200 levels."""
    try:
        return jiter.from_json(
            value, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys"
        )
    except ValueError as error:
        return why_not_json(value, error)


def lines(value: bytes, policy: FormatPolicy) -> Documents | Undecodable:
    """A document for each line; empty lines are passed over, and no line at all is no JSON."""
    if not value.strip():
        return Undecodable(UndecodableCode.INVALID_JSON, "the value is empty")
    parts: list[Any] = []
    for number, line in enumerate(value.split(b"\n"), start=1):
        if not line.strip():
            continue
        if len(parts) == policy.events_per_record_max:
            return Undecodable(
                FormatCode.TOO_MANY_EVENTS,
                f"the record has more than {policy.events_per_record_max} lines",
            )
        parts.append(_line(line, number))
    return tuple(parts)


def _line(line: bytes, number: int) -> Any:
    found = parse(line)
    if type(found) is Undecodable:
        # The parser counts lines from where it began; the line of the record is what helps.
        what = found.reason.partition(" at line ")[0]
        return Undecodable(found.code, f"line {number}: {what}")
    if type(found) is not dict:
        return Undecodable(UndecodableCode.NOT_AN_OBJECT, f"line {number}: must be an object")
    return found


def _may_be_lines(value: bytes) -> bool:
    """Whether the first of several lines is a whole value, so that the others may be such, too."""
    first, newline, rest = value.lstrip().partition(b"\n")
    return bool(newline) and bool(rest.strip()) and type(parse(first)) is dict
