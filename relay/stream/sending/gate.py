"""What the destination as a whole is doing → whether anything may be sent to it now.

One destination, one gate, four states:

    flowing   everything may fly
    paused    it asked for a pause (429, Retry-After, RateLimit): nothing flies until it is over
    down      it does not answer or answers 5xx only: one probe at a time, further and further apart
    held      the address, the token or the datamart is wrong: the same, until somebody mends it

The gate separates "this record failed" from "this destination is down": while it is not flowing,
a failure says nothing about the record that met it, so no attempt is counted against it.
"""

import random
from collections.abc import Hashable
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from relay.model import Verdict, VerdictKind
from relay.section import Section


class GateState(StrEnum):
    """See the module's docstring."""

    FLOWING = "flowing"
    PAUSED = "paused"
    DOWN = "down"
    HELD = "held"


class GatePolicy(Section):
    """When the gate closes and how it probes. Seconds."""

    down_after_failures: int = Field(
        5,
        ge=1,
        le=1000,
        description="Failures in a row, without a success, after which the API counts as down: "
        "then one probe at a time is sent and no attempt is counted.",
    )
    probe_every_max_s: float = Field(
        15.0, gt=0, le=600, description="Longest wait between two probes of an API that is down."
    )
    pause_max_s: float = Field(
        300.0, gt=0, le=86_400, description="Longest pause that a `Retry-After` can ask for."
    )
    down_after_alone_s: ClassVar[float] = 15.0
    probe_first_s: ClassVar[float] = 0.5
    pause_after_throttled: ClassVar[int] = 3
    """So many in a row, with nothing delivered between, when no time to wait is named."""
    pause_first_s: ClassVar[float] = 0.02
    pause_unasked_max_s: ClassVar[float] = 30.0
    resume_spread: ClassVar[float] = 0.1
    """A pause is lengthened by up to this share of itself, so that many senders do not return
    at once."""


class Gate:
    """The state of one destination. Time in seconds of any steady clock."""

    def __init__(self, policy: GatePolicy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self.state = GateState.FLOWING
        self.since = 0.0
        self.reason = ""
        self.paused_until = 0.0
        self._probe_at = 0.0
        self._probe_out = _NO_PROBE
        self._probes_failed = 0
        self._streak = 0
        self._throttled_in_a_row = 0
        self.pauses = 0
        self.probes = 0

    def opens_at(self, now: float) -> float | None:
        """When the next request may leave; None while a probe is out."""
        if self.state is GateState.FLOWING:
            return now
        if self.state is GateState.PAUSED:
            return max(now, self.paused_until)
        if self._probe_out:
            return None
        # A pause that was asked for outlives an outage that began in it.
        return max(now, self._probe_at, self.paused_until)

    def left(self) -> int:
        """A request leaves. Returns the number to give to `judged`: not 0 when it is a probe."""
        if self.state not in _PROBING:
            return _NO_PROBE
        self.probes += 1
        self._probe_out = self.probes
        return self.probes

    def judged(
        self,
        verdict: Verdict,
        now: float,
        probe: int,
        in_flight: int = 1,
        lane: Hashable | None = None,
    ) -> GateState | None:
        """Learn from an attempt. Returns the state before, when the state changed.

        `in_flight` counts it; `lane` is whose it was.
        """
        before = self.state
        awaited = probe == self._probe_out
        if awaited:
            self._probe_out = _NO_PROBE
        match verdict.kind:
            case VerdictKind.DELIVERED | VerdictKind.REFUSED:
                self._answers(verdict, now)
            case VerdictKind.THROTTLED:
                self._streak = 0
                self._pause(verdict, now)
            case VerdictKind.UNAVAILABLE | VerdictKind.MISCONFIGURED if before in _PROBING:
                # What left before it closed says nothing new: only a probe does.
                if awaited and probe:
                    self._probe_later(_CLOSED_BY[verdict.kind], verdict, now)
            case VerdictKind.UNAVAILABLE:
                if self._is_an_outage(in_flight, lane, now):
                    self._probe_later(GateState.DOWN, verdict, now)
            case VerdictKind.MISCONFIGURED:
                self._streak = 0
                self._probe_later(GateState.HELD, verdict, now)
        return before if before is not self.state else None

    def tick(self, now: float) -> GateState | None:
        """Let a pause end. Returns the state before, when the state changed."""
        if self.state is GateState.PAUSED and now >= self.paused_until:
            self._enter(GateState.FLOWING, "", now)
            return GateState.PAUSED
        return None

    def nudge(self, now: float) -> None:
        """Something was mended (a new token): probe at once."""
        if self.state in _PROBING:
            self._probe_at = now

    def _is_an_outage(self, in_flight: int, lane: Hashable | None, now: float) -> bool:
        """Whether this failure makes a row that says more than that some records fail.

        Failures come back sooner than successes: of 200 requests that left together the few that
        fail land in a row. So the row must be as long as what is out. And where little is sent, one
        bad record may make a row on its own: then it takes some time as well.
        """
        if not self._streak:
            self._streak_since, self._streak_lane, self._streak_alone = now, lane, True
        self._streak += 1
        self._streak_alone &= lane is not None and lane == self._streak_lane
        enough = self._streak >= max(self._policy.down_after_failures, in_flight)
        lasts = now - self._streak_since >= self._policy.down_after_alone_s
        return enough and (lasts or not self._streak_alone)

    def _answers(self, verdict: Verdict, now: float) -> None:
        self._streak = 0
        self._throttled_in_a_row = 0
        if verdict.retry_after_s and verdict.kind is VerdictKind.DELIVERED:
            self._pause(verdict, now)
        elif self.state in _PROBING:
            paused = now < self.paused_until
            self._enter(GateState.PAUSED if paused else GateState.FLOWING, "", now)

    def _pause(self, verdict: Verdict, now: float) -> None:
        asked = verdict.retry_after_s or 0.0
        if asked >= self._policy.pause_first_s:
            pause = min(asked, self._policy.pause_max_s)
        elif self.state is GateState.PAUSED:
            return  # it left before the pause began, and says nothing new
        else:
            # "At once" from one that throttles is no answer to how long: it would be a flood. But
            # one refusal among many answers is the limit's business, no reason for all to wait.
            self._throttled_in_a_row += 1
            over = self._throttled_in_a_row - self._policy.pause_after_throttled
            if over < 0 and self.state is GateState.FLOWING:
                return
            doubled = self._policy.pause_first_s * 2.0 ** min(max(over, 0), 30)
            pause = min(doubled, self._policy.pause_unasked_max_s)
        pause *= 1 + self._policy.resume_spread * self._rng.random()
        self.paused_until = max(self.paused_until, now + pause)
        self.pauses += 1
        self._enter(GateState.PAUSED, verdict.reason, now)

    def _probe_later(self, state: GateState, verdict: Verdict, now: float) -> None:
        if self.state is not state:
            self._probes_failed = 0
        delay = min(
            self._policy.probe_every_max_s,
            self._policy.probe_first_s * 2.0 ** min(self._probes_failed, 30),
        )
        self._probes_failed += 1
        # Half of the delay is certain: the number of probes in an outage stays bounded.
        self._probe_at = now + delay * (0.5 + 0.5 * self._rng.random())
        self._enter(state, verdict.reason, now)

    def _enter(self, state: GateState, reason: str, now: float) -> None:
        if self.state is not state:
            self.since = now
        if state not in _PROBING:
            self._probe_out = _NO_PROBE
        self.state = state
        self.reason = reason


_NO_PROBE = 0
_PROBING = frozenset({GateState.DOWN, GateState.HELD})
_CLOSED_BY = {
    VerdictKind.UNAVAILABLE: GateState.DOWN,
    VerdictKind.MISCONFIGURED: GateState.HELD,
}
