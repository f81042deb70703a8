"""A failed attempt → when to try again, whether there is budget for it, and when it is enough.

Delays are drawn with full jitter: uniform between nothing and a bound that doubles. A shared
budget keeps retries a small part of the traffic: a success earns a tenth of a retry.
"""

import random
from typing import ClassVar

from pydantic import Field

from relay.backoff import doubled
from relay.section import Section


class RetryPolicy(Section):
    """Trying again. A record is given up after both limits, and only while others succeed."""

    base_s: float = Field(
        0.2, gt=0, le=60, description="Longest wait before the first retry; it doubles from there."
    )
    cap_s: float = Field(30.0, gt=0, le=3600, description="Longest wait before any retry.")
    attempts_max: int = Field(
        8, ge=1, le=1000, description="Counted failures after which a record may be given up."
    )
    age_max_s: float = Field(
        600.0,
        ge=0,
        le=604_800,
        description="Time since its first attempt after which a record may be given up.",
    )
    # A tenth of the deliveries may be retries, with a hundred saved up for a bad moment. One a
    # second comes by itself: a stream of one record has no deliveries of others to earn it.
    budget_max: ClassVar[float] = 100.0
    budget_per_success: ClassVar[float] = 0.1
    budget_per_second: ClassVar[float] = 1.0


# Full jitter: of many that failed together, some try again at once and the others are spread over
# the whole bound. Without it they come back together, and fail together again.
def backoff_s(policy: RetryPolicy, failures: int, rng: random.Random) -> float:
    """Seconds to wait after the `failures`-th failure (1, 2, …)."""
    return rng.uniform(0.0, doubled(policy.base_s, failures - 1, policy.cap_s))


def exhausted(policy: RetryPolicy, failures: int, age_s: float) -> bool:
    """Whether a record has been tried often enough and for long enough."""
    return failures >= policy.attempts_max and age_s >= policy.age_max_s


class RetryBudget:
    """Tokens for retries, shared by all records of a destination.

    Also some by time, so that a quiet stream's only record does not wait for others to succeed.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._most = policy.budget_max
        self._tokens = policy.budget_max
        self._at = 0.0

    def succeeded(self) -> None:
        """A delivery earns a part of a retry."""
        most = self._most
        if self._tokens < most:
            self._tokens = min(most, self._tokens + self._policy.budget_per_success)

    def available_at(self, now: float) -> float:
        """When the next retry may leave: `now` or later."""
        self._refill(now)
        if self._tokens >= 1:
            return now
        return now + (1 - self._tokens) / self._policy.budget_per_second

    def take(self, now: float) -> None:
        """A retry leaves. It may have none to take: a debt would be paid by the retries to come."""
        self._refill(now)
        self._tokens = max(0.0, self._tokens - 1)

    def _refill(self, now: float) -> None:
        if now > self._at:
            earned = (now - self._at) * self._policy.budget_per_second
            self._tokens = min(self._policy.budget_max, self._tokens + earned)
            self._at = now
