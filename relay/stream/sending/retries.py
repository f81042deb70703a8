"""A failed attempt → when to try again, whether there is budget for it, and when it is enough.

Delays are drawn with full jitter: uniform between nothing and a bound that doubles. A shared
budget keeps retries a small part of the traffic: a success earns a tenth of a retry.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A record is given up after both `attempts_max` counted failures and `age_max_s` of trying."""

    base_s: float = 0.2
    cap_s: float = 30.0
    attempts_max: int = 8
    age_max_s: float = 600.0
    budget_max: float = 100.0
    budget_per_success: float = 0.1
    budget_per_second: float = 1.0


def backoff_s(policy: RetryPolicy, failures: int, rng: random.Random) -> float:
    """Seconds to wait after the `failures`-th failure (1, 2, …)."""
    return rng.uniform(0.0, min(policy.cap_s, policy.base_s * 2.0 ** min(failures - 1, 30)))


def exhausted(policy: RetryPolicy, failures: int, age_s: float) -> bool:
    """Whether a record has been tried often enough and for long enough."""
    return failures >= policy.attempts_max and age_s >= policy.age_max_s


class RetryBudget:
    """Tokens for retries, shared by all records of a destination.

    A trickle by time keeps a quiet stream's only record from waiting for successes of others.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._tokens = policy.budget_max
        self._at = 0.0

    def succeeded(self) -> None:
        """A delivery earns a part of a retry."""
        most = self._policy.budget_max
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
