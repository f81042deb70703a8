"""Why bytes are not an app event: a code from a closed set, and a sentence that names the field.

A reason never holds a value, and a key only where it looks like a name that somebody gave to a
field: what producers get wrong may be personal data, and reasons end in logs and headers.
"""

import codecs
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from relay.model import Undecodable
from relay.stream.decoding.user import DEVICE_TAGS


class UndecodableCode(StrEnum):
    """Every reason for which a record is not an app event; bounded, so it may label a metric."""

    NULL_VALUE = "null_value"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    INVALID_JSON = "invalid_json"
    DUPLICATE_KEY = "duplicate_key"
    TOO_DEEP = "too_deep"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_TYPE = "unknown_type"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    RESERVED_NAME = "reserved_name"
    INVALID_TIMESTAMP = "invalid_timestamp"
    INVALID_FIELD = "invalid_field"


# A byte 0 and four of an id stand in front of what a serialiser with a schema registry wrote.
_WIRE_FORMAT_BYTES = 5
_PLACE = re.compile(r"line \d+ column \d+$")
# How the parser's messages begin; the rest of them may quote the input.
_PARSER_SAYS = (
    ("Detected duplicate key", UndecodableCode.DUPLICATE_KEY, "a key stands twice"),
    ("recursion limit", UndecodableCode.TOO_DEEP, "nested too deeply"),
    ("number out of range", UndecodableCode.NUMBER_OUT_OF_RANGE, "number out of range"),
)
# Words, and two digits at the most: what is called `crm-88100` or like a device id is a value that
# somebody used as a key.
_PLAIN_NAME = re.compile(r"(?=.{1,40}\Z)[$_]?[A-Za-z]+(?:[_-][A-Za-z]+)*_?\d{0,2}\Z").match

# pydantic's error types → what to tell. Its own messages may quote the input, so none is used.
_TEXTS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this format",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "string_too_long": "is longer than {max_length} characters",
    "string_pattern_mismatch": "has characters that are not allowed here, or nothing but spaces",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "tuple_type": "must be an array",
    "literal_error": "must be one of {expected}",
    "too_long": "has more than {max_length} entries",
    "too_short": "must not be empty",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a finite number",
}
_CODES = {
    "missing": UndecodableCode.MISSING_FIELD,
    "extra_forbidden": UndecodableCode.UNKNOWN_FIELD,
    "timestamp": UndecodableCode.INVALID_TIMESTAMP,
    "number": UndecodableCode.NUMBER_OUT_OF_RANGE,
    "reserved": UndecodableCode.RESERVED_NAME,
}
# Raised by our own validators: their messages are ours, and quote nothing.
_OWN = frozenset({"timestamp", "number", "reserved", "missing", "id"})


def why_not_json(value: bytes, error: ValueError) -> Undecodable:
    """What is wrong with bytes that the JSON parser refused."""
    # From what would mislead most, the first that holds: a schema registry's bytes, bytes that are
    # no text, nothing at all, a byte order mark, and then what the parser said, if we know it. The
    # parser's own words may quote the input, so only their beginning is looked at.
    if value[:1] == b"\0" and len(value) >= _WIRE_FORMAT_BYTES:
        return Undecodable(
            UndecodableCode.INVALID_JSON,
            "begins with a byte 0 and a schema's id (Confluent wire format), which is not JSON: "
            "a source with format schema_registry reads it",
        )
    try:
        value.decode()
    except UnicodeDecodeError as not_utf8:
        return Undecodable(UndecodableCode.NOT_UTF8, f"not UTF-8 from byte {not_utf8.start} on")
    if not value.strip():
        return Undecodable(UndecodableCode.INVALID_JSON, "the value is empty")
    if value.startswith(codecs.BOM_UTF8):
        return Undecodable(UndecodableCode.INVALID_JSON, "begins with a byte order mark")
    message = str(error)
    place = _PLACE.search(message)
    where = f" at {place[0]}" if place else ""
    for start, code, text in _PARSER_SAYS:
        if message.startswith(start):
            return Undecodable(code, text + where)
    return Undecodable(UndecodableCode.INVALID_JSON, f"not valid JSON{where}")


def why_not_an_event(error: ValidationError) -> Undecodable:
    """What is wrong with a JSON object that is not an app event; the code is the first fault's."""
    errors = error.errors(include_url=False, include_input=False)
    first = errors[0]
    kind = first["type"]
    if kind == "union_tag_invalid":
        return Undecodable(
            UndecodableCode.UNKNOWN_TYPE, f"type: must be one of {first['ctx']['expected_tags']}"
        )
    if kind == "union_tag_not_found":
        return Undecodable(UndecodableCode.MISSING_FIELD, "type: is missing")
    faults = "; ".join(_fault(found) for found in errors[:_FAULTS_MAX])
    more = f" (and {len(errors) - _FAULTS_MAX} more)" if len(errors) > _FAULTS_MAX else ""
    return Undecodable(_CODES.get(kind, UndecodableCode.INVALID_FIELD), faults + more)


_FAULTS_MAX = 8
"""Faults that are told one by one."""


def _fault(found: ErrorDetails) -> str:
    return f"{_path(found['loc'])}: {fault_text(found)}"


def fault_text(found: ErrorDetails) -> str:
    """What is wrong with a value of an event, in words of JSON."""
    kind = found["type"]
    if kind in _OWN and found["msg"] != "Field required":
        return found["msg"]
    return _TEXTS.get(kind, "is not valid").format(**found.get("ctx", {}))


def _path(loc: Sequence[Any]) -> str:
    # The first step is the kind of event, by which the union of kinds was resolved.
    path = ""
    for step in loc[1:]:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step not in DEVICE_TAGS and step != "[key]":
            path += f".{step if _PLAIN_NAME(step) else '(unusual name)'}"
    return path.lstrip(".") or "the event"
