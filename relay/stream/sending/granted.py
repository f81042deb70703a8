"""Refusals of a rate limiter → how many requests a second it grants, and how many at a time.

What a limiter accepts while it also refuses is what it grants, whatever its kind:

    | what is seen                              | what is learned                                  |
    |-------------------------------------------|--------------------------------------------------|
    | it refuses here and there for a second or | accepted in that time: the rate                  |
    | more (a bucket)                           |                                                  |
    | it refuses everything for a while, then   | accepted before that, in a time as long as it    |
    | accepts again (a window)                  | asked to wait, or as that while: the rate        |
    | the first it refuses, one or two, and     | nothing: the API or this process was slow, and   |
    | nothing is answered for a while           | the refusals may be about those records alone    |
    | it refuses where much is under way, and   | the number under way that divides the two        |
    | accepts where less is (concurrency)       |                                                  |
    | at a lower rate as many are refused       | nothing: it does not limit the rate              |
    | the same, while others of the group send  | nothing yet: they may be too fast. The rate is   |
    | too, and many are refused                 | kept until fewer are refused                     |
    | the same, and few are refused             | nothing: by chance, or others are a little too   |
    |                                           | fast. It is looked for from where it began       |
    | some are refused while hardly anything    | nothing: what is accepted is what was produced   |
    | waits to leave                            |                                                  |

A first measure may be too low, so the rate grows by half a second until refusals come again. Once
what is measured agrees with what was measured before, or with what was sent, it is found. Then the
rate grows hardly at all for ten seconds, and faster and faster after that (as TCP's CUBIC does): so
refusals stay rare, and a limit that was lifted is forgotten in a minute and a half.
"""

import math
from dataclasses import dataclass

from relay.stream.sending.timeline import Timeline

# When enough was seen. A second holds a burst; at a low pace it takes longer until a few are back.
_MEASURE_S = 1.0
_MEASURE_MOST_S = 4.0
_ENOUGH = 10
_A_FEW = 8
_REFUSED_MIN = 2
_MANY_MIN = 3
_MANY = 0.5
# When a time without an acceptance is a window that is used up, and how long such a time is. Ten
# refusals in a row are no chance, even where one in three is.
_REFUSED_IN_SILENCE_MIN = 3
_REFUSED_UNUSED_MIN = 10
_GAP_S = 0.3
_LONG_S = 3.0
# Which share of refusals is a limiter's: less is borne, and more while the rate is looked for.
_SHARE_OF_A_LIMITER = 0.03
_SHARE_IN_SEARCH = 0.15
# A pace is not used while nothing waits for it, for most of the time. Unless half are refused, and
# so rest, nothing is learned then.
_UNUSED_MOST = 0.7
_SHARE_WHILE_UNUSED = 0.5
# How far a cut goes, and how long answers are still about the time before it. What is measured is
# about the same as before up to a third more or less.
_SETTLES_S = 0.2
_JUST_BELOW = 0.98
_GENTLY = 0.93
_GENTLY_IN_SEARCH = 0.85
_ABOUT = 1.3
# Cuts within so long, or so many requests, are about the same refusals: first gentle ones, then by
# what was measured, and when even the sixth has changed little, none.
_AGAIN_WITHIN_S = 6.0
_AGAIN_WITHIN = 30
_GENTLE_CUTS = 3
_CUTS_MAX = 5
_FUTILE_ABOVE = 0.7
# What follows when cuts change nothing: alone, no rate for a while; in a group, half more than the
# share of refusals is tolerated, and where that is too much, the rate is kept until a third of
# them is left.
_IGNORE_S = 30.0
_TOLERATED = 1.5
_TOLERATED_MOST = 0.35
_FEWER = 1 / 3
_LOOKED_AT_MIN = 100
# How a rate grows, and when it is forgotten. `_USER_SLOWNESS`: requests of one user are few.
_FORGET_S = 90.0
_GROW_EVERY_S = 0.1
_GROWN_MAX = 20.0
_ABOVE_USED = 1.5
_USER_SLOWNESS = 1.6
# The pace: a tenth of a second's worth may leave at once, and no wait is longer than what was asked
# for, or than this.
_BURST_S = 0.1
_WAIT_MOST_S = 5.0
# A number at a time divides accepted and refused when nine in ten lie on its sides.
_DIVIDED = 0.9
_LEVELS_MIN = 5


@dataclass(frozen=True, slots=True)
class Grant:
    """What was learned: requests a second, and at a time (None: not known)."""

    per_second: float | None = None
    at_a_time: int | None = None


class GrantedRate:
    """Learns from answers, and says when the next request may leave. Steady seconds."""

    __slots__ = (
        "_accepted",
        "_asked_s",
        "_base",
        "_before_cuts",
        "_cut_at",
        "_cuts_in_a_row",
        "_due",
        "_found",
        "_grown_at",
        "_held",
        "_ignore_until",
        "_last_accepted_at",
        "_levels",
        "_of_a_user",
        "_over_at",
        "_refused",
        "_share_at_first",
        "_slowness",
        "_tolerated",
        "_unused_s",
        "_unused_since",
        "alone",
        "rate",
        "timeline",
    )

    def __init__(self, now: float, timeline: Timeline, *, of_a_user: bool = False) -> None:
        """`of_a_user`: requests are few, so one refusal is enough, and growth takes longer."""
        self.rate: float | None = None
        """Requests a second; None: no limiter was met."""
        self.timeline = timeline
        self._of_a_user = of_a_user
        self._slowness = _USER_SLOWNESS if of_a_user else 1.0
        self._base = 0.0
        self._due = 0.0
        self._cut_at = -math.inf
        self._cuts_in_a_row = 0
        self._share_at_first = 0.0
        self._before_cuts = 0.0
        self._tolerated = _SHARE_IN_SEARCH
        self.alone = True
        """Whether nobody else of our group sends there: then a cut of ours shows in what is
        refused."""
        self._held: list[int] | None = None
        """Accepted and refused, while the rate is kept whatever is refused."""
        self._found = False
        self._grown_at = now
        self._ignore_until = -math.inf
        # Since the first refusal after a calm.
        self._over_at: float | None = None
        self._accepted = 0
        self._refused = 0
        self._asked_s = 0.0
        # How long nothing waited to leave; and since when, if nothing does.
        self._unused_s = 0.0
        self._unused_since: float | None = None
        self._levels: dict[int, list[int]] = {}
        self._last_accepted_at = now

    @property
    def settled_at(self) -> float:
        """From then on answers are about the pace that is kept to."""
        return self._cut_at + _SETTLES_S

    @property
    def idle(self) -> bool:
        """Whether no limiter is known or suspected."""
        return self.rate is None and self._over_at is None

    def opens_at(self, now: float) -> float:
        """When the next request may leave: `now` or later."""
        if self.rate is None:
            return now
        interval = 1.0 / self.rate
        self._due = min(self._due, now + interval + _BURST_S)
        return max(now, self._due - _BURST_S)

    def left(self, now: float, *, more: bool = True) -> None:
        """A request leaves; `more`: others could, were it not for the pace and the limit."""
        if self._unused_since is not None:
            self._unused_s += now - self._unused_since
        self._unused_since = None if more else now
        if self.rate is not None:
            self._due = max(self._due, now) + 1.0 / self.rate

    def refused(self, asked_s: float, in_flight: int, left_at: float, now: float) -> None:
        """A request was refused by a limiter; `in_flight` were under way when it left."""
        if left_at < self._cut_at + _SETTLES_S:
            return  # what left before the cut, or met what did, says nothing of the rate after it
        if self._held is not None:
            self._look(refused=True)
            return
        if self._over_at is None:
            self._over_at = now
            self._accepted = self._refused = 0
            self._asked_s = self._unused_s = 0.0
            if self._unused_since is not None:
                self._unused_since = now
            self._levels.clear()
        self._refused += 1
        self._asked_s = max(self._asked_s, asked_s)
        self._levels.setdefault(max(1, in_flight), [0, 0])[1] += 1

    def accepted(self, in_flight: int, now: float, *, learns: bool = True) -> Grant | None:
        """A request was accepted. Returns what was learned by it.

        `learns`: whether the refusals since the last cut are this scope's.
        """
        found: Grant | None = None
        if self._held is not None:
            self._look(refused=False)
        over_at = self._over_at
        if over_at is not None:
            gap_s, over_s = now - max(self._last_accepted_at, over_at), now - over_at
            if gap_s >= self._gap_s() and gap_s > over_s / 2 and self._refused_everything(now):
                # All that it grants in a time was used up before the first refusal.
                seconds = max(self._asked_s, gap_s, _MEASURE_S, self._some_s())
                rate = self.timeline.accepted_since(over_at - seconds) / seconds
                found = self._used_up(rate, seconds, now) if learns else None
                self._over_at = None
            elif self._of_a_user and self.rate is not None and not self._asked_s:
                # Their requests are few, and nothing says how long to wait: each refusal counts.
                if learns:
                    self._found = True
                    found = self._learned(self.rate * _GENTLY_IN_SEARCH, now)
                self._over_at = None
            elif over_s >= _MEASURE_S and self._is_enough(over_s, now):
                found = self._closed(over_s, now) if learns else None
                self._over_at = None
            else:
                self._accepted += 1
                self._levels.setdefault(max(1, in_flight), [0, 0])[0] += 1
        if now >= self.timeline.mark_at:
            self.timeline.mark(now)
        self.timeline.count += 1
        self._last_accepted_at = now
        if self.rate is not None and now - self._grown_at >= _GROW_EVERY_S:
            self._grow(now)
        return found

    # -- inside -------------------------------------------------------------------------------

    def _refused_everything(self, now: float) -> bool:
        """Whether the time without an acceptance is one of refusals, and not of silence.

        Once a limiter is known, at the pace that it grants, one refusal is enough.
        """
        used = self._is_used(now)
        if self._of_a_user or (self.rate is not None and used):
            return True
        enough = _REFUSED_IN_SILENCE_MIN if used else _REFUSED_UNUSED_MIN
        return self._refused >= max(enough, self._accepted)

    def _is_used(self, now: float) -> bool:
        """Whether something waited to leave, most of the time since the first refusal."""
        if self._over_at is None or self._of_a_user:
            return True
        unused_s = self._unused_s
        if self._unused_since is not None:
            unused_s += now - self._unused_since
        return unused_s <= _UNUSED_MOST * (now - self._over_at)

    def _some_s(self) -> float:
        """So long, a few are accepted at the pace that we keep."""
        return 0.0 if self.rate is None else _A_FEW / self.rate

    def _gap_s(self) -> float:
        """So long without an acceptance is more than the pace that we keep."""
        return _GAP_S if self.rate is None else max(_GAP_S, 3 / self.rate)

    def _used_up(self, rate: float, seconds: float, now: float) -> Grant | None:
        """Everything was refused for a while: so much had been accepted before, for so long."""
        if now < self._ignore_until:
            return None
        before, base = self.rate, self._base
        again = base / _ABOUT <= rate <= base * _ABOUT
        # A short time is rounded up to whole seconds, and says less.
        self._found = seconds >= _LONG_S or (
            before is not None and (again or rate >= before / _ABOUT)
        )
        return self._learned(rate, now)

    def _is_enough(self, over_s: float, now: float) -> bool:
        """Whether enough was seen to decide by."""
        if self._accepted >= _ENOUGH or over_s >= max(_MEASURE_MOST_S, self._some_s()):
            return True
        # To go a little slower, less is enough.
        again = self.rate is not None and now - self._cut_at <= self._again_within_s(self.rate)
        gently = self.rate is not None and not (again and self._cuts_in_a_row >= _GENTLE_CUTS)
        return gently and self._refused >= max(_MANY_MIN, self._accepted * _MANY)

    def _closed(self, seconds: float, now: float) -> Grant | None:
        """So long there were refusals among acceptances."""
        share = self._refused / (self._accepted + self._refused)
        enough = _SHARE_OF_A_LIMITER if self._found or self.rate is None else self._tolerated
        few = self._refused < (1 if self._of_a_user else _REFUSED_MIN) or share <= enough
        if few or not self._accepted or (share <= _SHARE_WHILE_UNUSED and not self._is_used(now)):
            return None
        at_a_time = self._divide()
        if at_a_time is not None:
            # Fewer at a time is all that it wants.
            self.rate = None
            return Grant(at_a_time=at_a_time)
        if now < self._ignore_until:
            return None
        return self._slower(self._accepted / seconds, share, now)

    def _slower(self, rate: float, share: float, now: float) -> Grant | None:
        """So many were accepted a second, while this share was refused."""
        before = self.rate
        if before is None or now - self._cut_at > self._again_within_s(before):
            self._cuts_in_a_row, self._share_at_first = 0, share
            self._before_cuts = before or rate
        if before is None:
            return self._learned(rate, now)
        gentle = before * (_GENTLY if self._found else _GENTLY_IN_SEARCH)
        self._found = True
        self._cuts_in_a_row += 1
        if self._cuts_in_a_row <= _GENTLE_CUTS:
            # A little too fast may cost much: of a bucket of one token, half of all requests.
            return self._learned(max(rate, gentle), now)
        if self._cuts_in_a_row > _CUTS_MAX and share >= _FUTILE_ABOVE * self._share_at_first:
            # As many are refused as at the first cut: this limits something else, or somebody else
            # is too fast. If all forgot the rate then, nobody would find it any more.
            if not self.alone:
                self._kept(share, now)
                return None
            self.rate = None
            self._ignore_until = now + _IGNORE_S
            return None
        # What was accepted may be less because the gate was closed for a while.
        return self._learned(max(rate, before * (1 - share)), now)

    def _kept(self, share: float, now: float) -> None:
        """Others may be too fast; or so many are refused whatever the rate is, if not by many."""
        tolerated = max(_SHARE_IN_SEARCH, _TOLERATED * share)
        if tolerated > _TOLERATED_MOST:
            self._held = [0, 0]
            return
        self._tolerated = tolerated
        self.rate = self._base = max(self._before_cuts, self.rate or 0.0)
        self._cut_at = self._grown_at = now
        self._cuts_in_a_row = 0
        self._found = False

    def _again_within_s(self, rate: float) -> float:
        """So long after a cut, one more is about the same refusals."""
        return _AGAIN_WITHIN_S if self._of_a_user else max(_AGAIN_WITHIN_S, _AGAIN_WITHIN / rate)

    def _learned(self, rate: float, now: float) -> Grant | None:
        if rate <= 0:
            return None
        if self.rate is not None:
            rate = min(rate, self.rate)
        # No wait is longer than what was asked for, or than a few seconds.
        self.rate = self._base = max(rate * _JUST_BELOW, 1 / max(_WAIT_MOST_S, self._asked_s))
        self._cut_at = self._grown_at = now
        return Grant(per_second=self.rate)

    def _divide(self) -> int | None:
        """How many may be under way: up to there it accepts, and above it refuses."""
        if self._refused < _LEVELS_MIN:
            return None
        accepted, refused = 0, self._refused
        for level in sorted(self._levels):
            accepted += self._levels[level][0]
            refused -= self._levels[level][1]
            if accepted >= _DIVIDED * self._accepted:
                return level if refused >= _DIVIDED * self._refused else None
        return None

    def _look(self, *, refused: bool) -> None:
        """While the rate is held: it may be cut again once fewer are refused."""
        held = self._held or [0, 0]
        held[refused] += 1
        if sum(held) < _LOOKED_AT_MIN:
            return
        fewer = held[1] <= _FEWER * self._share_at_first * sum(held)
        self._held = None if fewer else [0, 0]
        if fewer:
            self._cuts_in_a_row = 0

    def _grow(self, now: float) -> None:
        self._grown_at = now
        calm_s = now - self._cut_at
        if calm_s >= _FORGET_S * self._slowness:
            self.rate = self._held = None
            self._found = False
            self._tolerated = _SHARE_IN_SEARCH
        elif self._over_at is None and self._held is None:
            found_s = calm_s / self._slowness
            grown = 0.001 * found_s + 6.7e-6 * found_s**3 if self._found else 0.4 * calm_s
            rate = self._base * math.exp(min(grown, _GROWN_MAX))
            if not self._found:
                # No further than what is used: something else may be what limits it.
                rate = min(
                    rate, max(self._base, _ABOVE_USED * self.timeline.accepted_since(now - 1))
                )
            self.rate = rate
