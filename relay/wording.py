"""Numbers and times in text."""

from datetime import UTC, datetime


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 event`, `2 events`, `12,000 events`; `many` where an s behind the word is not enough."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def rfc3339(seconds: float, digits: str = "milliseconds") -> str:
    """A time in seconds since the epoch as RFC 3339 in UTC, down to `digits` (`isoformat`)."""
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec=digits)
    return moment.removesuffix("+00:00") + "Z"
