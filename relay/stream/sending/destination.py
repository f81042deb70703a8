"""Everything that decides whether one more request may leave for the destination now.

The gate (is it there?), the routes (what does each of them say?), the concurrency limit (how much
can it take?), the rate (how much do we want?) and the retry budget (how much of it may be
repetition?) learn from the same verdicts.
"""

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from relay.model import DEFAULT_DESTINATION, NoAnswer, RequestKind, Verdict, VerdictKind
from relay.stream.facts import (
    DestinationDown,
    DestinationHeld,
    DestinationResumed,
    DestinationThrottled,
)
from relay.stream.sending.brake import Brake, BrakePolicy
from relay.stream.sending.gate import Gate, GatePolicy, GateState
from relay.stream.sending.granted import Grant
from relay.stream.sending.limit import AdaptiveLimit, LimitPolicy
from relay.stream.sending.pacing import RateLimiter, RatePolicy
from relay.stream.sending.retries import RetryBudget, RetryPolicy
from relay.stream.sending.route import Route
from relay.stream.sending.scope import Lately, RowPolicy, Scope, scope_of
from relay.telemetry.facts import Fact

_OVERLOAD_CODES = frozenset({"http_503", "http_504", str(NoAnswer.TIMEOUT)})
_LONG_PAUSE_S = 1.0  # shorter ones come many times a minute, and would fill the log
_UNAUTHORISED = 401
# users who are remembered; whoever is forgotten holds the destination once more
_UNAUTHORISED_MAX = 100
ALL_ROUTES = "all"
# Asked of each event, and Python 3.11 takes 80 ns to find a member of an enumeration.
_ACTIVITY = RequestKind.ACTIVITY
_DELIVERED = VerdictKind.DELIVERED


@dataclass(frozen=True, slots=True)
class DestinationPolicy:
    """The policies of the parts."""

    gate: GatePolicy = field(default_factory=GatePolicy)
    limit: LimitPolicy = field(default_factory=LimitPolicy)
    rate: RatePolicy = field(default_factory=RatePolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    brake: BrakePolicy = field(default_factory=BrakePolicy)


class Left(NamedTuple):
    """What is to be told with the answer to a request that left.

    Numbers of probes, or 0; and how many were in flight with it, or 0 where nobody counted.
    """

    probe: int = 0
    route_probe: int = 0
    in_flight: int = 0


class Learned(NamedTuple):
    """What an answer was about, and whether the destination has come back with it."""

    scope: Scope
    came_back: bool = False


class _Landed(NamedTuple):
    """An attempt that ended, with all that is known of it."""

    verdict: Verdict
    lane: Hashable | None
    kind: RequestKind
    left: Left
    left_at: float
    now: float


ORDINARY = Learned(Scope.RECORD)
"""What is learned by nearly every answer: nothing."""
NO_PROBES = Left()


class Destination:
    """One API, as seen from here."""

    def __init__(
        self,
        policy: DestinationPolicy,
        rng: random.Random,
        tell: Callable[[Fact], None],
        name: str = DEFAULT_DESTINATION,
    ) -> None:
        self.name = name
        self.gate = Gate(policy.gate, rng)
        self.routes = {kind: Route(policy.gate, rng) for kind in RequestKind}
        self._activities = self.routes[RequestKind.ACTIVITY]
        self._points = self.routes[RequestKind.USER_POINT]
        self._is_calm = True
        """Whether every gate flows, nothing failed lately and no limiter was met: what most
        requests find. Kept, since it is asked four times for each; looked at anew with each answer
        that is out of the ordinary."""
        self.limit = AdaptiveLimit(policy.limit)
        self.rate = RateLimiter(policy.rate)
        self.budget = RetryBudget(policy.retry)
        self._brake = Brake(policy.brake)
        self._braked = False
        self._row = RowPolicy(policy.gate.down_after_failures, policy.gate.down_after_alone_s)
        self._pause_max_s = policy.gate.pause_max_s
        self._unauthorised: set[Hashable | None] = set()
        """Users who met a 401."""
        self._tell = tell
        self._away_since: dict[str, float] = {}
        """Since when a scope was down or held, until it has been told that it is back."""

    def share(self, fraction: float) -> None:
        """Our part of what the group sends there, 0 to 1."""
        self.rate.share(fraction)
        for route in self.routes.values():
            route.alone(fraction >= 1)

    # -- leaving ------------------------------------------------------------------------------

    def opens_at(self, in_flight: int, now: float) -> float | None:
        """When one more may leave, with `in_flight` under way; None: when one of those lands."""
        if in_flight >= self.limit.value:
            return None
        if self._is_calm:
            return self.rate.opens_at(now)
        self._settle_pause(self.gate, ALL_ROUTES, now)
        gate = self.gate.opens_at(now)
        return None if gate is None else self.rate.opens_at(gate)

    def route_opens_at(self, kind: RequestKind, now: float) -> float | None:
        """When one more may leave on this route, as far as the route goes."""
        if self._is_calm:
            return now
        route = self.route(kind)
        self._settle_pause(route.gate, kind, now)
        return route.opens_at(now)

    def left(
        self,
        now: float,
        kind: RequestKind = RequestKind.ACTIVITY,
        in_flight: int = 1,
        *,
        more: bool = True,
    ) -> Left:
        """A request leaves, which makes `in_flight` of them; `more`: others could, too.

        Returns what to give to `judged`.
        """
        self.rate.left(now)
        route = self.route(kind)
        if self._is_calm:
            route.in_flight += 1
            return NO_PROBES
        route_probe = route.left(now, more=more)
        probe = self.gate.left()
        if probe or route_probe or route.watched:
            return Left(probe, route_probe, in_flight)
        return NO_PROBES

    def route(self, kind: RequestKind) -> Route:
        """The route of such requests."""
        # Not looked up in the dictionary: hashing an enum costs more than all the rest.
        return self._activities if kind is _ACTIVITY else self._points

    def flows(self, kind: RequestKind) -> bool:
        """Whether it takes requests on this route."""
        return not (self.gate.is_closed or self.routes[kind].gate.is_closed)

    def pause_s(self, asked_s: float) -> float:
        """How long a pause that was asked for is obeyed."""
        return min(asked_s, self._pause_max_s)

    # -- landing ------------------------------------------------------------------------------

    def judged(
        self,
        verdict: Verdict,
        round_trip_s: float,
        in_flight: int,
        now: float,
        *,
        left: Left = NO_PROBES,
        lane: Hashable | None = None,
        kind: RequestKind = RequestKind.ACTIVITY,
    ) -> Learned:
        """Learn from an attempt; `in_flight` counts it, `lane` is whose it was."""
        route = self.route(kind)
        route.in_flight -= 1
        # Calm means: all gates flow, nothing failed lately, no limiter was met. A success then
        # teaches the limit, the budget and its route; everything else goes the long way.
        if verdict.kind is _DELIVERED:
            # Only what was done says how long doing it takes: failures come back sooner.
            self.limit.sample(round_trip_s, in_flight, now)
            self.budget.succeeded()
            if self._is_calm and verdict.retry_after_s is None and not self._brake.refused:
                route.accepted_in_calm(now)
                return ORDINARY
        elif verdict.code in _OVERLOAD_CODES and verdict.kind is VerdictKind.UNAVAILABLE:
            self.limit.backpressure(round_trip_s, now, verdict.code)
        learned = self._learned_from(_Landed(verdict, lane, kind, left, now - round_trip_s, now))
        self._is_calm = self._looks_calm()
        return learned

    # -- inside -------------------------------------------------------------------------------

    def _looks_calm(self) -> bool:
        flows = self.gate.state is GateState.FLOWING
        return flows and all(route.is_calm for route in self.routes.values())

    def _learned_from(self, landed: _Landed) -> Learned:
        verdict, left = landed.verdict, landed.left
        spaces = self.gate.landed(left.probe)
        route_spaces = self.routes[landed.kind].gate.landed(left.route_probe)
        match verdict.kind:
            case VerdictKind.DELIVERED:
                return self._accepted(landed)
            case VerdictKind.REFUSED:
                return self._refused(landed, spaces=spaces)
            case VerdictKind.THROTTLED:
                return self._throttled(landed)
            case VerdictKind.UNAVAILABLE | VerdictKind.MISCONFIGURED:
                return self._failed(landed, spaces=spaces, route_spaces=route_spaces)

    def _accepted(self, landed: _Landed) -> Learned:
        self._brake.accepted()
        self._braked = False
        self._learn(self._accepted_on_route(landed), landed.now)
        return Learned(Scope.USER, self._reopen(landed))

    def _refused(self, landed: _Landed, *, spaces: bool) -> Learned:
        now = landed.now
        # What a refusal is about, by what the brake knows of those before:
        #
        #     nearly all are refused     nothing is given up; the gate is held, and probes go on
        #     else                       about the record; and a sign of life, as good as a success
        if not self._braked and self._brake.refuses():
            self._braked = True
        if self._braked:
            if spaces:
                says = _braked(landed.verdict)
                self._close(self.gate, ALL_ROUTES, GateState.HELD, says, now)
            return Learned(Scope.EVERYTHING)
        # The API itself has spoken: it is there, and took the request for one of its own.
        self._learn(self._accepted_on_route(landed), now)
        return Learned(Scope.RECORD, self._reopen(landed))

    def _accepted_on_route(self, landed: _Landed) -> Grant | None:
        route = self.routes[landed.kind]
        return route.accepted(landed.lane, landed.left.in_flight, landed.now)

    def _throttled(self, landed: _Landed) -> Learned:
        verdict, now = landed.verdict, landed.now
        route = self.routes[landed.kind]
        asked_s = self.pause_s(verdict.retry_after_s or 0.0)
        learned = route.refused(landed.lane, asked_s, landed.left.in_flight, landed.left_at, now)
        self._learn(learned, now)
        came_back = self._reopen(landed, asked=True)
        self.limit.refused(now)
        return Learned(self._ask(verdict, landed.kind, now), came_back)

    # Unavailable, or the token or the address is wrong. Where it happened decides what it says:
    #
    #     the gate is closed             about everything, which was known; a probe spaces the next
    #     the route's gate is closed,    about the route, which was known
    #     and this is no probe of it
    #     else                           counted in the route's row; `scope_of` says whether the
    #                                    gate closes, the route's does, or it is about the record
    #
    # When everything is down the gates of the routes open: one probe at a time is enough for all,
    # and a route that is down by itself is found again after that.
    def _failed(self, landed: _Landed, *, spaces: bool, route_spaces: bool) -> Learned:
        verdict, kind, now = landed.verdict, landed.kind, landed.now
        route = self.routes[kind]
        closes = _CLOSES[verdict.kind]
        if self.gate.is_closed:
            if spaces:
                self._close(self.gate, ALL_ROUTES, closes, verdict, now)
            return Learned(Scope.EVERYTHING)
        if route.gate.is_closed and not route_spaces:
            return Learned(Scope.ROUTE)
        route.lately.fails(landed.lane, now)
        scope = scope_of(
            verdict.kind,
            route.lately,
            self._others(route),
            self._row,
            route.in_flight + 1,
            now,
            token=self._is_about_the_token(landed),
        )
        if scope is Scope.EVERYTHING:
            self._close(self.gate, ALL_ROUTES, closes, verdict, now)
            for other in self.routes.values():
                other.gate.open(now)
        elif scope is Scope.ROUTE:
            self._close(route.gate, kind, closes, verdict, now)
        return Learned(scope)

    def _is_about_the_token(self, landed: _Landed) -> bool:
        if landed.verdict.status != _UNAUTHORISED or landed.lane in self._unauthorised:
            return False
        if len(self._unauthorised) >= _UNAUTHORISED_MAX:
            self._unauthorised.clear()
        self._unauthorised.add(landed.lane)
        return True

    def _others(self, route: Route) -> list[Lately]:
        return [other.lately for other in self.routes.values() if other is not route]

    def _ask(self, verdict: Verdict, kind: RequestKind, now: float) -> Scope:
        """A limiter refused: all wait, the route, or its user only."""
        route = self.routes[kind]
        route.lately.asks()
        in_flight = route.in_flight + 1
        scope = scope_of(
            VerdictKind.THROTTLED,
            route.lately,
            self._others(route),
            self._row,
            in_flight,
            now,
            each_user=route.limits_each_user(),
        )
        if scope is Scope.EVERYTHING:
            self._pause(self.gate, ALL_ROUTES, verdict, now)
        elif scope is Scope.ROUTE:
            self._pause(route.gate, kind, verdict, now)
        return scope

    def _pause(self, gate: Gate, where: str, verdict: Verdict, now: float) -> None:
        if gate.is_closed:
            return
        before = gate.state
        gate.pause(verdict.retry_after_s, verdict.reason, now)
        pause_s = gate.paused_until - now
        if before is GateState.FLOWING and pause_s >= _LONG_PAUSE_S:
            self._tell(
                DestinationThrottled(
                    destination=self.name, scope=where, code=verdict.code, pause_s=pause_s
                )
            )

    def _reopen(self, landed: _Landed, *, asked: bool = False) -> bool:
        """An answer that is no failure. Returns whether something has come back with it."""
        kind, verdict, now = landed.kind, landed.verdict, landed.now
        came_back = False
        for gate, where in ((self.gate, ALL_ROUTES), (self.routes[kind].gate, str(kind))):
            before, since = gate.state, gate.since
            # |              | a 429                           | any other answer of the API's    |
            # |--------------|---------------------------------|----------------------------------|
            # | down or held | back, and paused as asked       | back; flows, or a pause goes on  |
            # | else         | left to `_ask`, which knows who | no change but the count of waits |
            # |              | has to wait                     | that nobody asked for            |
            if asked and gate.is_closed:
                # An outage may end with a 429 and the pause that it asks for.
                gate.pause(verdict.retry_after_s, verdict.reason, now)
            elif not asked:
                gate.accepted(now)
            if before in (GateState.DOWN, GateState.HELD):
                came_back = True
                self._away_since.setdefault(where, since)
                # What it takes now is found out anew.
                self.limit.restart(now, f"after {before}")
                if gate.state is GateState.FLOWING:
                    self._is_back(where, now)
        return came_back

    def _close(
        self, gate: Gate, where: str, state: GateState, verdict: Verdict, now: float
    ) -> None:
        before, since = gate.state, gate.since
        gate.close(state, verdict.reason, now)
        if before is state:
            return
        if before in (GateState.DOWN, GateState.HELD):
            self._away_since.setdefault(where, since)
        wait_s = (gate.opens_at(now) or now) - now
        if state is GateState.DOWN:
            self._tell(
                DestinationDown(
                    destination=self.name,
                    scope=where,
                    code=verdict.code,
                    reason=verdict.reason,
                    probe_in_s=wait_s,
                )
            )
        else:
            self._tell(
                DestinationHeld(
                    destination=self.name, scope=where, code=verdict.code, reason=verdict.reason
                )
            )

    def _learn(self, grant: Grant | None, now: float) -> None:
        if grant is not None and grant.at_a_time is not None:
            self.limit.granted(grant.at_a_time, now)

    def _settle_pause(self, gate: Gate, where: str, now: float) -> None:
        # Its length as it was set: nobody may have looked for long after its end.
        pause_s = gate.paused_until - gate.since
        if gate.tick(now) is None:
            return
        if where in self._away_since:
            self._is_back(where, now)
        elif pause_s >= _LONG_PAUSE_S:
            self._tell(DestinationResumed(destination=self.name, scope=where, after_s=pause_s))

    def _is_back(self, where: str, now: float) -> None:
        since = self._away_since.pop(where, None)
        if since is not None:
            self._tell(DestinationResumed(destination=self.name, scope=where, after_s=now - since))


def _braked(verdict: Verdict) -> Verdict:
    reason = (
        "nearly every record is refused, so no more are dead-lettered (delivery.brake); each is "
        f"tried again, one at a time; the last: {verdict.reason}"
    )
    return Verdict(verdict.kind, verdict.code, reason, verdict.status)


_CLOSES = {
    VerdictKind.UNAVAILABLE: GateState.DOWN,
    VerdictKind.MISCONFIGURED: GateState.HELD,
}
