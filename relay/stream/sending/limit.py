"""Round trips and failures → how many requests may be in flight. The only queue before the wire.

Additive increase, multiplicative decrease, with a slow start. What is watched:

- the limit grows only when it was reached: an idle sender learns nothing about its destination;
- 503, 504 and timeouts cut it by their share of a window's requests. A few are how a destination
  says that it is near what it can take, so up to a tenth only stops the growth;
- 429 is a limiter's word. What it serves at a time is measured (`relay.stream.sending.granted`),
  and a growth that it answers with refusals is undone at once, to be tried again much later;
- round trips that grow well beyond the best seen cut it a little: the queue is then at the other
  end, where more in flight buys nothing;
- what left before a cut says nothing about the limit after it;
- failures are not round trips (a refused connection, a 500 at once): they teach nothing about it.
"""

import math
from collections.abc import Callable
from typing import ClassVar

from pydantic import Field

from relay.section import Section


class LimitPolicy(Section):
    """How the limit may move."""

    max_in_flight: int = Field(
        256, ge=1, le=4096, description="Most requests under way at a time, whatever the API takes."
    )
    fixed_limit: bool = Field(
        False,
        description="Keep exactly `max_in_flight` instead of finding out what the API takes.",
    )
    initial: ClassVar[int] = 16
    # Chosen by trying them on models of a service (tests/stream/sending/test_limit.py), not
    # derived; what each is for:
    cut_out_of_slow_start: ClassVar[float] = 0.6
    """Half of the limit was fine a window ago: a little more than that."""
    cut_most: ClassVar[float] = 0.5
    hold_above: ClassVar[float] = 0.02
    cut_above: ClassVar[float] = 0.1
    """Shares of a window. With one threshold, a few refusals among many answers cut the limit
    again and again, until the stream starved."""
    cut_on_slow: ClassVar[float] = 0.85
    slow_tolerance: ClassVar[float] = 2.5
    """Times the best mean; below it, answers that vary by themselves are no queue."""
    slow_floor_s: ClassVar[float] = 0.02
    """Round trips below this are never called slow: it is this machine that wavers there."""


class AdaptiveLimit:
    """How many may be in flight now, and why that changed last."""

    FLOOR = 1
    _SAMPLES_MIN = 20  # a window of ten answers took chance for load
    _WINDOW_S_MIN = 0.02  # below it a few answers would be a window
    _GRANTED_HOLDS_S = 2.0  # after a measurement, until what it did has shown
    _GROWS_AFTER_S = 10.0
    _HOLD_MAX_S = 160.0
    _UNDO_WITHIN_S = 1.0  # refusals this soon after a growth are its doing
    _UNDO_AFTER = 8  # this many, and this share of the answers: fewer may be chance
    _UNDO_SHARE = 0.2
    _SETTLED_BELOW = 4
    """In flight: with so few the queue cannot be ours, and the baseline is taken anew. Before, it
    drifted up to our own queue: 72 were in flight at a service of 4 places."""

    def __init__(
        self, policy: LimitPolicy, changed: Callable[[int, int, str], None] | None = None
    ) -> None:
        self._policy = policy
        self._is_fixed = policy.fixed_limit
        self._changed = changed
        self._limit = float(
            policy.max_in_flight
            if policy.fixed_limit
            else min(policy.initial, policy.max_in_flight)
        )
        self.value = int(self._limit)
        """The limit as a whole number, at least 1."""
        self._slow_start = True
        self._baseline_s: float | None = None
        self._window_ends = 0.0
        self._sum_s = 0.0
        self._samples = 0
        self._reached = False
        self._refusals = 0
        self._cut_at = -math.inf
        self._grows_from = -math.inf
        self._grown_at = -math.inf
        self._before_growth = self._limit
        self._refused_since_growth = self._accepted_since_growth = 0
        self._undone_at = -math.inf
        self._undo_hold_s = self._GROWS_AFTER_S
        self.why = "initial"

    # What each outcome of an attempt tells, by the caller (`Destination`):
    #
    #     delivered               `sample`        its round trip counts; was the limit reached?
    #     503, 504, a timeout     `backpressure`  its share of the window counts
    #     429                     `refused`       undoes a growth of the last second; nothing else
    #     429, and what is        `granted`       not above what is served at a time
    #     granted is measured
    #     any other failure       nothing         it came back sooner than work takes
    #     back after an outage    `restart`       as at the start
    #
    # Of what left before the last cut the first two do not count: it tells of the limit before.
    def sample(self, round_trip_s: float, in_flight: int, now: float) -> None:
        """A request came back with an answer. `in_flight` counts it."""
        if self._is_fixed or self._left_before_the_cut(round_trip_s, now):
            return
        self._sum_s += round_trip_s
        self._samples += 1
        self._accepted_since_growth += 1
        if in_flight >= self.value:
            self._reached = True
        self._close_window_in_time(now)

    def backpressure(self, round_trip_s: float, now: float, why: str) -> None:
        """The destination throttled a request, or let it time out."""
        if self._is_fixed or self._left_before_the_cut(round_trip_s, now):
            return
        if self._slow_start:
            # Doubling has overshot: go back at once, and grow carefully from there.
            self._slow_start = False
            self._move(self._limit * self._policy.cut_out_of_slow_start, why, now)
            self._start_window(now)
            return
        self._refusals += 1
        self._close_window_in_time(now)

    def granted(self, at_a_time: int, now: float) -> None:
        """A limiter was met, and served so many at a time while it refused others."""
        if self._is_fixed:
            return
        self._slow_start = False
        if at_a_time < self.value:
            self._move(float(at_a_time), "a limiter refuses more", now)
            self._start_window(now)
        self._grows_from = max(self._grows_from, now + self._GRANTED_HOLDS_S)

    def refused(self, now: float) -> None:
        """A limiter refused a request: if many do so just after a growth, it is undone.

        A limiter of concurrency answers at once, so one too many may cost hundreds of refusals. A
        few among many acceptances are refused by chance, or by a limit of the rate.
        """
        if self._is_fixed or now - self._grown_at > self._UNDO_WITHIN_S:
            return
        # One refusal may be chance (a place that another client took), so it takes three. Growing
        # again is put off for 10 s, and for twice as long each time that it fails again soon after,
        # up to 160 s: where the ceiling is hard, each try costs refusals.
        self._refused_since_growth += 1
        if self._refused_since_growth < self._UNDO_AFTER or not self._refuses_the_growth(now):
            return
        self._slow_start = False
        self._grown_at = -math.inf
        self._move(self._before_growth, "refused above", now)
        self._start_window(now)
        if now - self._undone_at > 2 * self._undo_hold_s:
            self._undo_hold_s = self._GROWS_AFTER_S
        else:
            self._undo_hold_s = min(2 * self._undo_hold_s, self._HOLD_MAX_S)
        self._undone_at = now
        self._grows_from = now + self._undo_hold_s

    def restart(self, now: float, why: str) -> None:
        """The destination is back: begin small, so that nothing stampedes, and find out anew."""
        if self._is_fixed:
            return
        self._slow_start = True
        self._move(min(self._limit, float(self._policy.initial)), why, now)
        self._start_window(now)

    def _left_before_the_cut(self, round_trip_s: float, now: float) -> bool:
        """What left under a higher limit says nothing about the one that was cut since."""
        return now - round_trip_s < self._cut_at

    def _close_window_in_time(self, now: float) -> None:
        if now >= self._window_ends and self._samples + self._refusals >= self._SAMPLES_MIN:
            self._close_window(now)

    def _close_window(self, now: float) -> None:
        policy = self._policy
        # What a window of at least `_SAMPLES_MIN` answers says, the first case that holds:
        #
        #     more than a tenth refused      cut by the share that was, by half at most
        #     more than a fiftieth refused   it stays: this is near what can be taken
        #     answers much slower than best  cut to 0.85: the queue is at the other end
        #     the limit was reached, and     twice as many in slow start, else a twentieth more
        #     nothing holds growth back
        #     else                           it stays: an idle sender learns nothing
        refused = self._refusals / (self._samples + self._refusals)
        mean_s = self._sum_s / self._samples if self._samples else self._baseline_s or 0.0
        best_s = self._baseline(mean_s)
        if refused > policy.cut_above:
            cut = max(policy.cut_most, 1 - refused)
            self._move(self._limit * cut, "throttled or timed out", now)
        elif refused > policy.hold_above:
            pass
        elif mean_s > max(best_s * policy.slow_tolerance, policy.slow_floor_s):
            self._slow_start = False
            self._move(self._limit * policy.cut_on_slow, "slow answers", now)
        elif self._reached and now >= self._grows_from and not self._refuses_the_growth(now):
            self._before_growth, self._grown_at = self._limit, now
            self._refused_since_growth = self._accepted_since_growth = 0
            self._move(self._grown(), "slow start" if self._slow_start else "limit reached", now)
        self._start_window(now, mean_s)

    def _refuses_the_growth(self, now: float) -> bool:
        """Whether it grew just now, and more are refused since than some by chance."""
        refused, accepted = self._refused_since_growth, self._accepted_since_growth
        many = refused > 0 and refused >= self._UNDO_SHARE * (refused + accepted)
        return many and now - self._grown_at <= self._UNDO_WITHIN_S

    def _grown(self) -> float:
        if self._slow_start:
            return self._limit * 2
        # One more is a lot where there is one: a quarter at most, a twentieth at least.
        return self._limit + max(min(1.0, self._limit / 4), self._limit / 20)

    def _baseline(self, mean_s: float) -> float:
        """The round trip when nothing queues: the best mean seen, approached by halves.

        It never rises while much is in flight: a queue of our own making would soon be taken for
        the normal state. A destination that has become slower for good brings the limit down until
        next to nothing is in flight. Then the queue cannot be ours: the mean is the new baseline,
        and the limit is searched anew.
        """
        best_s = self._baseline_s
        if best_s is None:
            best_s = mean_s
        elif self._limit < self._SETTLED_BELOW:
            self._slow_start |= mean_s > best_s * self._policy.slow_tolerance
            best_s = mean_s
        elif mean_s < best_s:
            best_s = (best_s + mean_s) / 2
        self._baseline_s = best_s
        return best_s

    def _start_window(self, now: float, mean_s: float | None = None) -> None:
        if mean_s is None:
            mean_s = self._sum_s / self._samples if self._samples else (self._baseline_s or 0.0)
        self._window_ends = now + max(mean_s, self._WINDOW_S_MIN)
        self._sum_s = 0.0
        self._samples = 0
        self._refusals = 0
        self._reached = False

    def _move(self, wanted: float, why: str, now: float) -> None:
        old = self.value
        self._limit = min(max(wanted, float(self.FLOOR)), float(self._policy.max_in_flight))
        self.value = int(self._limit)
        if self.value < old:
            self._cut_at = now
        if self.value != old:
            self.why = why
            if self._changed is not None:
                self._changed(old, self.value, why)
