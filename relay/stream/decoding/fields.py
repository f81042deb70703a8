"""The field types that the input format is made of: identifiers, names, times, free properties."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

# What an event may carry at most in any of its lists: the platform flags a user point that
# gathers more than 100 identifiers, so no honest event needs more.
LIST_MAX = 100

# Epoch times are told apart by size: these bounds in milliseconds are March 1973 and the year
# 5138. What is smaller looks like seconds, what is larger like micro- or nanoseconds.
MS_MIN = 10**11
MS_MAX = 10**14
_MICROS_MAX = 10**17
_SECONDS_MIN = 10**8

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RFC3339 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_RFC3339_MATCH = re.compile(_RFC3339[:-1] + r"\Z").match


def read_timestamp(value: Any) -> int:
    """Epoch milliseconds from RFC 3339 text or from epoch milliseconds; every other unit fails.

    Digits finer than a millisecond are cut off.

    Raises PydanticCustomError, whose text says what is wanted and quotes nothing.
    """
    if type(value) is int:
        if MS_MIN <= value < MS_MAX:
            return value
        raise PydanticCustomError("timestamp", _wrong_size(value))
    if isinstance(value, str):
        if _RFC3339_MATCH(value) is None:
            raise PydanticCustomError(
                "timestamp", "must be RFC 3339 with an offset (2026-01-31T09:30:00.123Z)"
            )
        try:
            return (datetime.fromisoformat(value.upper()) - _EPOCH) // _MILLISECOND
        except (ValueError, OverflowError):
            raise PydanticCustomError("timestamp", "is not a date that exists") from None
    if isinstance(value, float):
        raise PydanticCustomError("timestamp", "must be a whole number of milliseconds")
    raise PydanticCustomError("timestamp", "must be RFC 3339 text or epoch milliseconds")


# What a number looks like that is not epoch milliseconds, by its size:
#
#     below 10^8             too small for any unit (10^8 seconds is 1973)
#     10^8  up to 10^11      seconds
#     10^14 up to 10^17      microseconds
#     above                  nanoseconds
def _wrong_size(value: int) -> Any:
    if value < _SECONDS_MIN:
        return "is too small for epoch milliseconds"
    if value < MS_MIN:
        return "looks like epoch seconds; milliseconds are wanted"
    if value < _MICROS_MAX:
        return "looks like epoch microseconds; milliseconds are wanted"
    return "looks like epoch nanoseconds; milliseconds are wanted"


def all_finite(properties: dict[str, Any]) -> dict[str, Any]:
    """Refuses numbers such as 1e400, which are valid JSON but no number that could be sent on."""
    if _has_infinity(properties.values()):
        raise PydanticCustomError("number", "holds a number that is out of range")
    return properties


def _has_infinity(values: Any) -> bool:
    # Only a float can be infinite, and the parser makes one of `1e400`. Lists of items are asked
    # through the JSON writer, which is faster than a walk.
    for value in values:
        kind = type(value)
        if kind is float:
            if not math.isfinite(value):
                return True
        elif (kind is dict or kind is list) and _may_hold_infinity(value) and _walk(value):
            return True
    return False


def _may_hold_infinity(nested: Any) -> bool:
    """Whether it has to be walked: five times as fast, for long lists of items, as to walk it."""
    try:
        # It writes what is no number as null. Where there is no null, there is no infinity.
        return b"null" in orjson.dumps(nested)
    except TypeError:  # an integer beyond 64 bits, or nested too deep
        return True


def _walk(nested: Any) -> bool:
    for value in nested.values() if type(nested) is dict else nested:
        kind = type(value)
        if kind is float:
            if not math.isfinite(value):
                return True
        elif (kind is dict or kind is list) and _walk(value):
            return True
    return False


Timestamp = Annotated[
    int,
    PlainValidator(read_timestamp),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "integer", "minimum": MS_MIN, "exclusiveMaximum": MS_MAX},
                {"type": "string", "format": "date-time", "pattern": _RFC3339},
            ]
        }
    ),
]

# Any text with something visible in it and no control characters: those come from broken
# producers, and two accounts that differ by one look the same to everybody who searches.
VISIBLE = r"^[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f\s][^\x00-\x1f\x7f]*$"
TEXT_MAX = 512
Identifier = Annotated[str, Field(min_length=1, max_length=TEXT_MAX, pattern=VISIBLE)]

# Like an identifier, and without spaces and @: a clear address in a field for hashes is refused
# before it can travel as one.
EmailHash = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f\s@]+$")]

# What one of our own keys looks like; the platform's begin with $ and are set by the relay.
Digits = Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]

Properties = Annotated[dict[str, Any], AfterValidator(all_finite)]
