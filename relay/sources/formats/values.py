"""What schemas can say and JSON cannot → plain values: bytes, decimals, dates, 32-bit floats.

    bytes, fixed                base64 text
    decimal                     decimal text, every digit kept: "15.25"
    an instant (timestamp)      RFC 3339 text in UTC with the digits of its unit: "…T09:30:00.123Z"
    a local timestamp           the same without the Z: nobody knows the zone
    a date, a time of day       "2026-01-31", "09:30:00.123"
    float (32 bits)             the shortest number that is that float: 19.99, not 19.989999771…

An instant that no calendar has (before the year 1, after 9999) stays the number that it was.
"""

import base64
import math
import struct
from datetime import date, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is written by hand, or there is none
_EPOCH_DAY = date(1970, 1, 1)
_DAY_US = 86_400_000_000
_FLOAT = struct.Struct("<f")
_FLOAT_DIGITS = (7, 8, 9)
"""Nine significant digits tell any two 32-bit floats apart; most need fewer."""


def text_of_bytes(value: bytes) -> str:
    """Base64, as JSON has it by custom."""
    return base64.b64encode(value).decode()


def decimal_text(unscaled: bytes, scale: int) -> str:
    """A big-endian two's complement number with `scale` digits after the point.

    Raises ValueError where the number has more digits than Python writes (4,300).
    """
    digits = str(int.from_bytes(unscaled, "big", signed=True))
    # A negative scale counts zeros in front of the point: 12 with scale -2 is 1200.
    if scale <= 0:
        return digits + "0" * -scale if digits != "0" else digits
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    digits = digits.rjust(scale + 1, "0")
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}"


def instant_ms(value: int) -> str | int:
    """Epoch milliseconds."""
    second, ms = divmod(value, 1000)
    try:
        return f"{_second(second)}.{ms:03}Z"
    except OverflowError:
        return value


def instant_us(value: int) -> str | int:
    """Epoch microseconds."""
    return _instant(value, "microseconds", "Z", value)


def instant_ns(value: int) -> str | int:
    """Epoch nanoseconds; what is finer than a microsecond is kept as text, too."""
    text = _instant(value // 1000, "microseconds", "", value)
    return text if isinstance(text, int) else f"{text}{value % 1000:03}Z"


def local_ms(value: int) -> str | int:
    """Milliseconds of a clock whose zone nobody knows."""
    return _instant(value * 1000, "milliseconds", "", value)


def local_us(value: int) -> str | int:
    """Microseconds of a clock whose zone nobody knows."""
    return _instant(value, "microseconds", "", value)


def local_ns(value: int) -> str | int:
    """Nanoseconds of a clock whose zone nobody knows."""
    text = _instant(value // 1000, "microseconds", "", value)
    return text if isinstance(text, int) else f"{text}{value % 1000:03}"


def day(value: int) -> str | int:
    """Days since 1970-01-01."""
    try:
        return (_EPOCH_DAY + timedelta(days=value)).isoformat()
    except OverflowError:
        return value


def time_ms(value: int) -> str | int:
    """Milliseconds since midnight."""
    return _time(value * 1000, "milliseconds", value)


def time_us(value: int) -> str | int:
    """Microseconds since midnight."""
    return _time(value, "microseconds", value)


def float32(value: float) -> float:
    """The shortest number that is the same 32-bit float."""
    if not math.isfinite(value):
        return value
    # The writer had a number such as 19.99; as 32 bits it is 19.989999771. The shortest text that
    # gives the same 32 bits is the number that was meant.
    for digits in _FLOAT_DIGITS:
        short = float(f"{value:.{digits}g}")
        try:
            if _FLOAT.unpack(_FLOAT.pack(short))[0] == value:
                return short
        except OverflowError:  # rounded up beyond the largest
            continue
    return value


@lru_cache(maxsize=4096)
def _second(value: int) -> str:
    """Most events are of the same few minutes: half of what an instant costs is saved."""
    return (_EPOCH + timedelta(seconds=value)).isoformat()


def _instant(micros: int, digits: str, zone: str, given: int) -> str | int:
    try:
        return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec=digits) + zone
    except OverflowError:
        return given


def _time(micros: int, digits: str, given: int) -> str | int:
    if not 0 <= micros < _DAY_US:
        return given
    return (_EPOCH + timedelta(microseconds=micros)).time().isoformat(timespec=digits)
