"""Answer → how long the destination asks everybody to wait; and how often we may ask by choice.

`Retry-After` comes in seconds or as a date (RFC 9110 §10.2.3). The RateLimit headers come in three
dialects: `RateLimit-Remaining`/`RateLimit-Reset` (seconds), the same with `X-` (seconds or epoch
seconds), and the structured `RateLimit: "name";r=0;t=30` of the IETF draft.
"""

import email.utils
import math
import re
from dataclasses import dataclass

from relay.stream.model import Answer

_EPOCH_SECONDS_MIN = 1_000_000_000
_STRUCTURED = re.compile(r"(?:^|;)\s*(r|t)=(\d+)")


def asked_pause_s(answer: Answer, now_ms: int) -> float | None:
    """Seconds for which the answer asks to pause, or None. Not capped: the policy does that."""
    headers = answer.headers
    if not headers:
        return None
    pause = _retry_after(headers.get("retry-after"), now_ms)
    if pause is not None:
        return pause
    for prefix in ("ratelimit", "x-ratelimit", "x-rate-limit"):
        if headers.get(f"{prefix}-remaining", "").split(",")[0].strip() == "0":
            return _reset(headers.get(f"{prefix}-reset"), now_ms)
    if "ratelimit" in headers:
        parts = dict(_STRUCTURED.findall(headers["ratelimit"]))
        if parts.get("r") == "0" and "t" in parts:
            return float(parts["t"])
    return None


def _retry_after(text: str | None, now_ms: int) -> float | None:
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, at.timestamp() - now_ms / 1000)


def _reset(text: str | None, now_ms: int) -> float | None:
    seconds = _number((text or "").split(",")[0])
    if seconds is not None and seconds >= _EPOCH_SECONDS_MIN:
        return max(0.0, seconds - now_ms / 1000)
    return seconds


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """At most this many requests a second; None for no limit of our own.

    `shared` says that the rate is the whole group's: this process takes the share of it that its
    share of the partitions is.
    """

    per_second: float | None = None
    shared: bool = False


class RateLimiter:
    """Spaces requests evenly, with a burst of a tenth of a second's worth."""

    _BURST_S = 0.1

    def __init__(self, policy: RatePolicy) -> None:
        self._policy = policy
        self._interval_s = 0.0
        self._due = 0.0
        self.share(1.0)

    def share(self, fraction: float) -> None:
        """Take this fraction (0 to 1) of a rate that is the whole group's."""
        rate = self._policy.per_second
        if rate is None:
            return
        if self._policy.shared:
            rate *= fraction
        self._interval_s = 1.0 / rate if rate > 0 else math.inf

    def opens_at(self, now: float) -> float:
        """When the next request may leave: `now` or later."""
        return max(now, self._due - self._BURST_S)

    def left(self, now: float) -> None:
        """A request leaves."""
        if self._interval_s:
            self._due = max(self._due, now) + self._interval_s
