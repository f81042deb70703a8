"""Transforms that read times. All give epoch milliseconds; finer digits are cut off.

Each makes a function of one value, which raises Unfit where the value is nothing that it reads; the
text says what would be, and never the value. What is absent is not given to it.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from relay.sources.mapping.faults import MappingCode, Unfit, kind_of

Function = Callable[[Any], Any]

# March 1973 and the year 5138: the same bounds by which the input format tells units apart.
_MS_MIN = 10**11
_MS_MAX = 10**14
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
).match
_DIGITS = re.compile(r"[0-9]{1,20}(\.[0-9]{1,9})?\Z").match
_FIELDS = {
    "Y": r"(?P<year>[0-9]{4})",
    "m": r"(?P<month>[0-9]{1,2})",
    "d": r"(?P<day>[0-9]{1,2})",
    "H": r"(?P<hour>[0-9]{1,2})",
    "M": r"(?P<minute>[0-9]{1,2})",
    "S": r"(?P<second>[0-9]{1,2})",
    "f": r"(?P<fraction>[0-9]{1,9})",
    "z": r"(?P<offset>[Zz]|[+-][0-9]{2}:?[0-9]{2})",
    "%": "%",
}
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")


def _wrong(text: str) -> Unfit:
    return Unfit(text, MappingCode.INVALID_TIMESTAMP)


def rfc3339() -> Function:
    """From RFC 3339 text with an offset: `2026-01-31T09:30:00.123Z`."""

    def function(value: Any) -> Any:
        if type(value) is not str or _RFC3339(value) is None:
            raise _wrong("must be RFC 3339 text with an offset")
        try:
            return (datetime.fromisoformat(value.upper()) - _EPOCH) // _MILLISECOND
        except (ValueError, OverflowError):
            raise _wrong("is not a date that exists") from None

    return function


def epoch(unit: str, per_second: int) -> Function:
    """From a number, or digits, that counts `unit` since 1970. The size must fit the unit."""
    low, high = _MS_MIN * per_second // 1000, _MS_MAX * per_second // 1000

    def function(value: Any) -> Any:
        kind = type(value)
        if kind is str:
            if (found := _DIGITS(value)) is None:
                raise _wrong(f"must be epoch {unit}")
            value = float(value) if found[1] else int(value)
        elif kind is not int and kind is not float:
            raise _wrong(f"must be epoch {unit}, and is {kind_of(value)}")
        if not low <= value < high:
            raise _wrong(f"must be epoch {unit}, and has the size of {_unit_of(value)}")
        if type(value) is int:
            return value * 1000 // per_second
        # A float may lie a hair below the millisecond that was meant.
        return int(round(value * 1000 / per_second, 3))

    return function


def _unit_of(value: float) -> str:
    for unit, per_second in (("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6)):
        if _MS_MIN * per_second // 1000 <= value < _MS_MAX * per_second // 1000:
            return unit
    return "something else"


def zone_of(name: str) -> tzinfo:
    """The time zone of that name. Raises ValueError."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name} is not a time zone; write one like UTC or Europe/Paris") from None


def date(pattern: str, zone: str = "") -> Function:
    """From text written by `pattern` (%Y %m %d %H %M %S %f %z), in `zone` unless it has %z.

    Where clocks are put back, the first of two equal times is meant. Raises ValueError for a
    pattern that gives no time.
    """
    match, fields = _pattern(pattern)
    if "z" not in fields and not zone:
        raise ValueError('needs %z in the pattern, or a zone: date("%Y-%m-%d", "Europe/Paris")')
    if not {"Y", "m", "d"} <= fields:
        raise ValueError("needs %Y, %m and %d in the pattern")
    named = zone_of(zone) if zone else UTC

    def function(value: Any) -> Any:
        found = match(value) if type(value) is str else None
        if found is None:
            raise _wrong(f"must be text like {pattern}")
        parts = found.groupdict()
        try:
            moment = datetime(
                int(parts["year"]),
                int(parts["month"]),
                int(parts["day"]),
                int(parts.get("hour") or 0),
                int(parts.get("minute") or 0),
                int(parts.get("second") or 0),
                int((parts.get("fraction") or "0")[:6].ljust(6, "0")),
                tzinfo=named,
            )
            # Where the time stands, the first that is there: an offset in the text; a Z in it; the
            # zone of the mapping, by the clock there.
            offset = _OFFSET.match(parts.get("offset") or "")
            if offset is not None:
                sign = -1 if offset[1] == "+" else 1
                away = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
                moment = moment.replace(tzinfo=UTC) + sign * away
            elif "offset" in parts:
                moment = moment.replace(tzinfo=UTC)
            return (moment - _EPOCH) // _MILLISECOND
        except (ValueError, OverflowError):
            raise _wrong("is not a date that exists") from None

    return function


def _pattern(pattern: str) -> tuple[Callable[[str], re.Match[str] | None], set[str]]:
    shape, fields, at = "", set[str](), 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "%":
            at += 1
            field = pattern[at : at + 1]
            if field not in _FIELDS or not field:
                raise ValueError("knows %Y %m %d %H %M %S %f %z and %% in a pattern")
            if field in fields:
                raise ValueError(f"has %{field} twice in the pattern")
            fields |= {field} - {"%"}
            shape += _FIELDS[field]
        else:
            shape += re.escape(sign)
        at += 1
    return re.compile(shape + r"\Z").match, fields
