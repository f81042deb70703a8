"""Answer → how long the destination asks everybody to wait; and how often we may ask by choice.

`Retry-After` comes in seconds or as a date (RFC 9110 §10.2.3); when several come, the longest
counts. A date is judged against the answer's own `Date`: the server's clock may be hours away from
ours. The RateLimit headers come in three
dialects: `RateLimit-Remaining`/`RateLimit-Reset` (seconds), the same with `X-` (seconds or epoch
seconds), and the structured `RateLimit: "name";r=0;t=30` of the IETF draft, which earlier spelled
`RateLimit: limit=9, remaining=0, reset=30`.
"""

import email.utils
import math
import re

from pydantic import Field

from relay.model import Answer
from relay.section import Section

_EPOCH_SECONDS_MIN = 1_000_000_000
_POLICY_ITEM = re.compile(r";\s*(r|t)=([0-9]+)")
_EARLIER_DRAFT = re.compile(r"(?:^|,)\s*(remaining|reset)=([0-9]+)")
_BETWEEN_VALUES = re.compile(r"(?<!mon|tue|wed|thu|fri|sat|sun|day),", re.IGNORECASE)
PACING_HEADERS = frozenset(
    (
        "retry-after",
        "ratelimit",
        "ratelimit-remaining",
        "x-ratelimit-remaining",
        "x-rate-limit-remaining",
    )
)
"""An answer without any of these asks for nothing."""


def asked_pause_s(answer: Answer, now_ms: int) -> float | None:
    """Seconds for which the answer asks to pause, or None. Not capped: the policy does that."""
    headers = answer.headers
    if not headers:
        return None
    if "retry-after" in headers:
        sent_s = _date_s(headers.get("date", ""))
        now_s = now_ms / 1000 if sent_s is None else sent_s
        pauses = [_pause(text, now_s) for text in _listed(headers["retry-after"])]
        if known := [pause for pause in pauses if pause is not None]:
            return max(known)
    # `Retry-After` counts before all others: it says when, they say how much is left. One that
    # cannot be read is as good as none. Of the others, only a remainder of 0 asks for a pause.
    for prefix in ("ratelimit", "x-ratelimit", "x-rate-limit"):
        if headers.get(f"{prefix}-remaining", "").split(",")[0].strip() == "0":
            return _reset(headers.get(f"{prefix}-reset"), now_ms)
    return _structured(headers.get("ratelimit", ""))


def _listed(text: str) -> list[str]:
    """The values of a header that came several times: a date has a comma of its own."""
    return [item.strip() for item in _BETWEEN_VALUES.split(text)]


def _pause(text: str, now_s: float) -> float | None:
    seconds = _number(text)
    if seconds is not None:
        return seconds
    until_s = _date_s(text)
    return None if until_s is None else max(0.0, until_s - now_s)


def _date_s(text: str) -> float | None:
    """Seconds since the Unix epoch, or None when it is no date."""
    # The plain tuple of numbers: making a datetime of what a stranger sent may fail in many ways.
    try:
        parsed = email.utils.parsedate_tz(text)
        return None if parsed is None else email.utils.mktime_tz(parsed)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _structured(text: str) -> float | None:
    """The longest wait of the policies that have nothing left."""
    spent = [dict(_POLICY_ITEM.findall(item)) for item in text.split(",")]
    waits = [
        _number(item["t"])
        for item in spent
        if item.keys() >= {"r", "t"} and _number(item["r"]) == 0
    ]
    earlier = dict(_EARLIER_DRAFT.findall(text))
    if earlier.get("remaining") == "0":
        waits.append(_number(earlier.get("reset", "")))
    return max((wait for wait in waits if wait is not None), default=None)


def _reset(text: str | None, now_ms: int) -> float | None:
    seconds = _number((text or "").split(",")[0])
    # Above a thousand million it is a date in 2001 or later, not a wait of thirty years.
    if seconds is not None and seconds >= _EPOCH_SECONDS_MIN:
        return max(0.0, seconds - now_ms / 1000)
    return seconds


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


class RatePolicy(Section):
    """At most this many requests a second; None for no limit of our own."""

    rate_per_second: float | None = Field(
        None, gt=0, description="Most requests a second; without it the API sets the pace."
    )
    rate_shared: bool = Field(
        False,
        description="Whether `rate_per_second` is for the whole consumer group: each member then "
        "takes the share that its partitions have of what was produced in the last minute.",
    )


class RateLimiter:
    """Spaces requests evenly, with a burst of a tenth of a second's worth."""

    _BURST_S = 0.1  # timers are late by milliseconds: without it the rate would never be reached

    def __init__(self, policy: RatePolicy) -> None:
        self._policy = policy
        self._interval_s = 0.0
        self._due = 0.0
        self.share(1.0)

    def share(self, fraction: float) -> None:
        """Take this fraction (0 to 1) of a rate that is the whole group's."""
        rate = self._policy.rate_per_second
        if rate is None:
            return
        if self._policy.rate_shared:
            rate *= fraction
        self._interval_s = 1.0 / rate if rate > 0 else math.inf

    def opens_at(self, now: float) -> float:
        """When the next request may leave: `now` or later."""
        if not self._interval_s:
            return now
        # A share of 0 (no partition is ours) makes the interval infinite, and so is `_due` then:
        # the next share must not be waited for until then.
        # Never further away than one interval: the rate may have grown since the last one left.
        self._due = min(self._due, now + self._interval_s + self._BURST_S)
        return max(now, self._due - self._BURST_S)

    def left(self, now: float) -> None:
        """A request leaves."""
        if self._interval_s:
            self._due = max(self._due, now) + self._interval_s
