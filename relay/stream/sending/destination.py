"""Everything that decides whether one more request may leave for the destination now.

The gate (is it there?), the concurrency limit (how much can it take?), the rate (how much do we
want?) and the retry budget (how much of it may be repetition?) learn from the same verdicts.
"""

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from relay.model import NoAnswer, Verdict, VerdictKind
from relay.stream.sending.gate import Gate, GatePolicy, GateState
from relay.stream.sending.limit import AdaptiveLimit, LimitPolicy
from relay.stream.sending.pacing import RateLimiter, RatePolicy
from relay.stream.sending.retries import RetryBudget, RetryPolicy
from relay.telemetry.facts import (
    DestinationDown,
    DestinationHeld,
    DestinationResumed,
    DestinationThrottled,
    Fact,
)

_OVERLOAD_CODES = frozenset({"http_503", "http_504", str(NoAnswer.TIMEOUT)})
_LONG_PAUSE_S = 1.0
_COSTLY_PAUSE_S = 0.25


@dataclass(frozen=True, slots=True)
class DestinationPolicy:
    """The policies of the parts."""

    gate: GatePolicy = field(default_factory=GatePolicy)
    limit: LimitPolicy = field(default_factory=LimitPolicy)
    rate: RatePolicy = field(default_factory=RatePolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class Destination:
    """One API, as seen from here."""

    def __init__(
        self, policy: DestinationPolicy, rng: random.Random, tell: Callable[[Fact], None]
    ) -> None:
        self.gate = Gate(policy.gate, rng)
        self.limit = AdaptiveLimit(policy.limit)
        self.rate = RateLimiter(policy.rate)
        self.budget = RetryBudget(policy.retry)
        self._tell = tell
        self._away_since: float | None = None
        """Since when it was down or held, until it has been told that it is back."""

    def opens_at(self, in_flight: int, now: float) -> float | None:
        """When one more may leave, with `in_flight` under way; None: when one of those lands."""
        if self.gate.state is GateState.PAUSED:
            self._settle_pause(now)
        if in_flight >= self.limit.value:
            return None
        gate = self.gate.opens_at(now)
        return None if gate is None else self.rate.opens_at(gate)

    def left(self, now: float) -> int:
        """A request leaves. Returns the number to give to `judged`: not 0 when it is a probe."""
        self.rate.left(now)
        return self.gate.left()

    def judged(
        self,
        verdict: Verdict,
        round_trip_s: float,
        in_flight: int,
        now: float,
        *,
        probe: int = 0,
        lane: Hashable | None = None,
    ) -> bool:
        """Learn from an attempt. Returns whether the destination has come back with it."""
        delivered = verdict.kind is VerdictKind.DELIVERED
        if verdict.kind is VerdictKind.THROTTLED or verdict.code in _OVERLOAD_CODES:
            self.limit.backpressure(round_trip_s, now, verdict.code)
        elif delivered:
            # Only what was done says how long doing it takes: failures come back sooner.
            self.limit.sample(round_trip_s, in_flight, now)
        if delivered:
            self.budget.succeeded()
        since = self.gate.since
        before = self.gate.judged(verdict, now, probe, in_flight, lane)
        if before is None:
            return False
        self._changed(before, since, verdict, now)
        return before in (GateState.DOWN, GateState.HELD) and self.flowing

    @property
    def flowing(self) -> bool:
        """Whether the destination takes requests, as far as is known."""
        return self.gate.state in (GateState.FLOWING, GateState.PAUSED)

    def _settle_pause(self, now: float) -> None:
        # Its length as it was set: nobody may have looked for long after its end.
        pause_s = self.gate.paused_until - self.gate.since
        if self.gate.tick(now) is None:
            return
        if self._away_since is not None:
            self._is_back(now)
            return
        if pause_s >= _COSTLY_PAUSE_S:
            self.limit.eased(pause_s, now)
        if pause_s >= _LONG_PAUSE_S:
            self._tell(DestinationResumed(after_s=pause_s))

    def _is_back(self, now: float) -> None:
        since, self._away_since = self._away_since, None
        if since is not None:
            self._tell(DestinationResumed(after_s=now - since))

    def _changed(self, before: GateState, since: float, verdict: Verdict, now: float) -> None:
        wait_s = (self.gate.opens_at(now) or now) - now
        if before in (GateState.DOWN, GateState.HELD):
            # An outage may end with success, or with a 429 and the pause that it asks for: either
            # way, what it takes now is found out anew.
            if self._away_since is None:
                self._away_since = since
            if self.flowing:
                self.limit.restart(now, f"after {before}")
        match self.gate.state:
            case GateState.FLOWING:
                self._is_back(now)
            case GateState.PAUSED:
                if wait_s >= _LONG_PAUSE_S:
                    self._tell(DestinationThrottled(code=verdict.code, pause_s=wait_s))
            case GateState.DOWN:
                self._tell(DestinationDown(code=verdict.code, probe_in_s=wait_s))
            case GateState.HELD:
                self._tell(DestinationHeld(code=verdict.code, reason=verdict.reason))
