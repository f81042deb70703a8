"""One route of a destination: its gate, the rate it is granted, and who is refused there."""

import random
from collections import OrderedDict
from collections.abc import Hashable

from relay.stream.sending.at_a_time import AtATime
from relay.stream.sending.each_user import EachUser
from relay.stream.sending.gate import Gate, GatePolicy, GateState
from relay.stream.sending.granted import Grant, GrantedRate
from relay.stream.sending.scope import ASKED_MIN, Lately
from relay.stream.sending.timeline import Timeline

_TURN_S = 5.0
_USERS_MAX = 10_000
_USER_MARKS = 64


class Route:
    """What is known of one route."""

    def __init__(self, policy: GatePolicy, rng: random.Random) -> None:
        self.gate = Gate(policy, rng)
        self.lately = Lately()
        self.in_flight = 0
        self.timeline = Timeline()
        self._granted = GrantedRate(0.0, self.timeline)
        self._at_a_time = AtATime()
        self._users: OrderedDict[Hashable, GrantedRate] = OrderedDict()
        self._watched_until = 0.0
        # Users who were accepted and not refused since, of this turn and the last.
        self._served: set[Hashable] = set()
        self._served_before: set[Hashable] = set()
        self._turn_ends = 0.0
        self._each_user = EachUser()

    @property
    def rate(self) -> float | None:
        """Requests a second that the route is known to grant."""
        return self._granted.rate

    @property
    def watched(self) -> bool:
        """Whether a limiter was met lately."""
        return self._watched_until > 0

    @property
    def is_calm(self) -> bool:
        """Whether it flows, nothing failed lately and no limiter was met.

        Then no probe is out, no rate is kept to, and acceptances need only be counted.
        """
        lately = self.lately
        disturbed = self._watched_until or lately.row or lately.asked
        return self.gate.state is GateState.FLOWING and not disturbed

    def alone(self, is_alone: bool) -> None:
        """Whether nobody else of our group sends on it."""
        self._granted.alone = is_alone

    def opens_at(self, now: float) -> float | None:
        """When the next request may leave; None: when a probe is back."""
        if self.in_flight and self.lately.asked >= ASKED_MIN:
            return None  # nothing but refusals lately: one at a time, until one is accepted
        gate_at = self.gate.opens_at(now)
        if gate_at is None or self._granted.rate is None:
            return gate_at
        return self._granted.opens_at(gate_at)

    def left(self, now: float, *, more: bool = True) -> int:
        """A request leaves; `more`: others could, too. Returns the number of the probe, or 0."""
        self.in_flight += 1
        self._granted.left(now, more=more)
        return self.gate.left()

    def accepted_in_calm(self, now: float) -> None:
        """A request was accepted while `is_calm`."""
        self.lately.accepted += 1
        timeline = self.timeline
        if now >= timeline.mark_at:
            timeline.mark(now)
        timeline.count += 1

    def accepted(self, lane: Hashable, in_flight: int, now: float) -> Grant | None:
        """A request was accepted, before which `in_flight` were. Returns what was learned."""
        if self.is_calm:
            self.accepted_in_calm(now)
            return None
        self.lately.accepts()
        self._turn(now)
        self._each_user.add(now, fresh=not self._was_served(lane), refused=False)
        self._served.add(lane)
        limits_each_user = self.limits_each_user()
        if (user := self._users.get(lane)) is not None:
            # A rate that is not kept to is not too high because its user is refused.
            user.accepted(in_flight, now, learns=limits_each_user or user.rate is None)
        found = self._granted.accepted(in_flight, now, learns=not limits_each_user)
        return self._divided(in_flight, now, refused=False) or found

    def refused(
        self, lane: Hashable, asked_s: float, in_flight: int, left_at: float, now: float
    ) -> Grant | None:
        """A request was refused by a limiter, which asked to wait so long, or 0.

        Returns what was learned.
        """
        if not self._watched_until:
            self._turn_ends = now + _TURN_S
        self._watched_until = now + 2 * _TURN_S
        self._turn(now)
        self._each_user.add(now, fresh=not self._was_served(lane), refused=True)
        self._served.discard(lane)
        self._served_before.discard(lane)
        learned = self._divided(in_flight, now, refused=True)
        if in_flight > (self._at_a_time.number or in_flight):
            return learned  # that explains it: neither the rate was too high nor the user too fast
        user = self._users.get(lane)
        if user is None:
            user = self._users[lane] = GrantedRate(now, Timeline(_USER_MARKS), of_a_user=True)
            if len(self._users) > _USERS_MAX:
                self._users.popitem(last=False)
        user.refused(asked_s, in_flight, left_at, now)
        self._granted.refused(asked_s, in_flight, left_at, now)
        return learned

    def user_interval_s(self, lane: Hashable) -> float:
        """How long it is between two requests that this user is granted; 0: not known."""
        user = self._users.get(lane)
        if user is None or user.rate is None or not self.limits_each_user():
            return 0.0
        return 1 / user.rate

    def user_rests_until(self, lane: Hashable, now: float) -> float | None:
        """Until when the user waits, by what that user alone is granted; None: no longer."""
        user = self._users.get(lane)
        if user is None or user.rate is None or not self.limits_each_user():
            return None
        user.left(now)
        at = user.opens_at(now)
        return at if at > now else None

    def limits_each_user(self) -> bool:
        """Whether only users are refused who were just served: each has a limit of their own."""
        return self._each_user.found

    # -- inside -------------------------------------------------------------------------------

    def _divided(self, in_flight: int, now: float, *, refused: bool) -> Grant | None:
        """Whether the limiter is one of concurrency: then no rate is kept to."""
        if self.limits_each_user():
            return None
        granted = self._granted
        paced = granted.rate is not None and now >= granted.settled_at
        if self._at_a_time.number is None and not paced:
            self._at_a_time.forget()
            return None
        number = self._at_a_time.add(in_flight, refused=refused)
        if number is None:
            return None
        self._granted = GrantedRate(now, self.timeline)
        self._granted.alone = granted.alone
        return Grant(at_a_time=number)

    def _was_served(self, lane: Hashable) -> bool:
        return lane in self._served or lane in self._served_before

    def _turn(self, now: float) -> None:
        if now < self._turn_ends:
            return
        for lane in [lane for lane, user in self._users.items() if user.idle]:
            del self._users[lane]
        idle = self._granted.idle and not (self._users and self.limits_each_user())
        if now > self._watched_until and idle:
            self._forget()
            return
        self._turn_ends = now + _TURN_S
        self._served_before, self._served = self._served, set()
        if not idle:
            self._watched_until = max(self._watched_until, now + _TURN_S)

    def _forget(self) -> None:
        """All has been well for a while."""
        self._watched_until = 0.0
        self._served.clear()
        self._served_before.clear()
        self._users.clear()
        self._each_user = EachUser()
