"""Flights and verdicts of one destination: what leaves for it, and what its answers mean.

Each destination has a sender of its own, with its own lanes, gate, limit, pacing and retry budget:
what one of them meets says nothing about another. What they share is the custody. No I/O, no clock,
no async; see `relay.stream.engine`.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from relay.model import (
    Activity,
    Answer,
    DeadLetter,
    DeadLetterClass,
    Fate,
    Moment,
    Parcel,
    Request,
    RequestKind,
    Unmappable,
    Verdict,
    VerdictKind,
)
from relay.road.custody import Custody
from relay.road.settling.assigned import Assigned, Part, PendingLetter
from relay.section import bound
from relay.stream.duplicates import Place, RecentKeys
from relay.stream.facts import TroubleIsolated
from relay.stream.letters import events_of_letter, letter_of
from relay.stream.mapping.requests import activity_request
from relay.stream.parking import ParkedUsers
from relay.stream.policy import TRACKING, EnginePolicy, OnDeadLetter
from relay.stream.sending.coalescing import Load, merge
from relay.stream.sending.destination import NO_PROBES, ORDINARY, Destination, Learned, Left
from relay.stream.sending.gate import GateState
from relay.stream.sending.lanes import Lanes, Waiting
from relay.stream.sending.pacing import PACING_HEADERS
from relay.stream.sending.retries import backoff_s, exhausted
from relay.stream.sending.scope import Scope
from relay.stream.sending.verdicts import (
    DEFAULT_RULES,
    excerpt,
    explained,
    is_plain_success,
    judge,
)
from relay.stream.shares import Held
from relay.telemetry.histogram import Histogram


@dataclass(slots=True, eq=False)
class Flight:
    """A request under way, and the parcels that it settles."""

    members: tuple[Waiting, ...]
    request: Request
    left_at: float
    left: Left = NO_PROBES


TakeAnswer: TypeAlias = Callable[[Flight, Answer, Moment], None]
"""An attempt ended, at a time."""


class Sender:
    """See the module's docstring. Times are steady seconds; `Moment` adds the wall clock."""

    def __init__(
        self, name: str, policy: EnginePolicy, custody: Custody, rng: random.Random
    ) -> None:
        self.name = name
        """That of its destination."""
        self.policy = policy
        self._users = bound(policy.users)
        self._coalescing = bound(policy.coalescing)
        self._user_records_max = policy.custody.user_records_max
        self.custody = custody
        self.take_answer: TakeAnswer = self.answered
        """What the carrier calls: `answered`, or whoever looks on and calls that."""
        self._rng = rng
        # A deployment may have a rule of its own about 200: then every answer goes by the table.
        about_200 = next((rule for rule in policy.rules if 200 in rule.statuses), None)  # noqa: PLR2004
        self._knows_plain = about_200 is DEFAULT_RULES[0]
        self._names_settings_anew = policy.section != TRACKING
        self.destination = Destination(policy.destination, rng, custody.facts.append, name)
        self.lanes = Lanes()
        self.round_trips = Histogram()
        self.lateness = Histogram()
        self.verdicts: dict[tuple[VerdictKind, str], int] = {}
        self.requests = 0
        self.retries = 0
        self.delivered = 0
        """Events that it accepted for partitions that were ours."""
        self.notes: Counter[str] = Counter()
        self._groups = 0
        self._load: Load | None = None
        self._parked = ParkedUsers(self._users.park_s)
        self._recent = RecentKeys(self._users.duplicates_window)

    # -- for the engine -----------------------------------------------------------------------

    def give_back(self, partitions: Collection[Assigned]) -> None:
        """What flies may land, and is fenced if its partition is gone."""
        for waiting in self.lanes.drop(lambda w: w.assigned in partitions):
            self._forget_key(waiting.parcel, waiting.part)
            self._gave_back(waiting)
        if self._recent:
            for waiting in self.lanes.flying():
                if waiting.assigned.gone:
                    self._forget_key(waiting.parcel, waiting.part)

    def held(self) -> Held:
        """Count what it holds. Looks at all of it."""
        records, size_bytes = 0, 0.0
        partitions: set[Assigned] = set()
        for some in (self.lanes.queued(), self.lanes.flying()):
            for waiting in some:
                records += 1
                size_bytes += waiting.size_bytes
                if waiting.part is not None:
                    join = waiting.part.join
                    size_bytes += join.size_bytes / join.total
                partitions.add(waiting.assigned)
        return Held(records, int(size_bytes), frozenset(partitions))

    # An event that is to be sent, the first case that holds:
    #
    #     the same key came lately, from another place   skipped as a duplicate
    #     it has no lane (`order_by: none`)              a lane of its own, named by its place
    #     its user is parked behind a dead letter        a dead letter that says that it follows
    #     else                                           the end of its user's lane
    def admit(
        self, parcel: Parcel, assigned: Assigned, now: float, part: Part | None = None
    ) -> None:
        """An event came that is to be sent: it waits in its lane, or has met its fate."""
        record, lane, size = parcel.record, parcel.lane, 0
        if part is None:
            size = parcel.size_bytes
            self.custody.ledger.took(size)
        for note in parcel.payload.notes:
            self.notes[note] += 1
        if self._users.duplicates_window and self._is_duplicate(parcel, part):
            if part is None:
                self.custody.settle(assigned, record.offset, size, Fate.SKIPPED, "duplicate")
            else:
                self.custody.settle_part(part, Fate.SKIPPED, "duplicate")
            return
        if lane is None:
            lane = _place(parcel, part)
        elif self._parked and self._is_parked(lane, now):
            self._follow(Waiting(parcel, lane, assigned, size, part=part))
            return
        waiting = Waiting(parcel, lane, assigned, size, part=part)
        if isinstance(parcel.payload, Request):
            waiting.route = parcel.payload.kind
        length = self.lanes.add(waiting)
        if length >= self._user_records_max:
            assigned.crowded.add((self.name, lane))

    # -- requests leave and answers come ------------------------------------------------------

    def next_flight(self, now: Moment) -> Flight | None:
        """The next request that may leave now, or None: see `wakes_at`."""
        if not self._may_fly():
            return None
        if not self.lanes.none_sleeps:
            self._wake_rested(now.steady)
        routes = self.lanes.ready_routes()
        if not routes:
            return None
        in_flight = self.lanes.in_flight
        route = self._open_route(routes, in_flight, now.steady)
        # Holds here: a lane flies once at a time (`Lanes.take`), so what is counted into these
        # members now is counted out again by `answered` before any of them can leave anew.
        members = None if route is None else self.lanes.take(self._joins, route)
        if route is None or members is None:
            return None
        self._groups += 1
        delivered = self.delivered
        for waiting in members:
            waiting.attempts += 1
            waiting.group = self._groups
            waiting.last_attempt_ms = now.wall_ms
            if waiting.first_attempt_ms is None:
                waiting.first_attempt_ms = now.wall_ms
                waiting.tried_since = now.steady
                waiting.others_delivered = delivered
            waiting.assigned.in_flight += 1
        self.requests += 1
        self.retries += members[0].attempts > 1
        more = self.lanes.has_backlog
        left = self.destination.left(now.steady, route, in_flight + 1, more=more)
        return Flight(tuple(members), self._request(members), now.steady, left)

    def wakes_at(self, now: float) -> float | None:
        """When `next_flight` may have something without anything else happening before."""
        if not self._may_fly():
            return None
        lanes = self.lanes
        opens_at = self._opens_at(lanes.ready_routes(), now)
        if lanes.none_sleeps:
            return opens_at
        rested = lanes.next_alarm()
        if rested is not None and lanes.has_ready:
            rested = max(rested, self.destination.budget.available_at(now))
        return _earliest(opens_at, rested, lanes.next_pause_end())

    # What becomes of the flight:
    #
    #     all its partitions are gone           fenced: their next owner sends these records again
    #     else, the answer nearly all get       delivered, nothing else to do
    #     else                                  by the verdict: `_landed`
    #
    # A flight may hold records of several partitions: `_delivered` and `_put_back` look again.
    def answered(self, flight: Flight, answer: Answer, now: Moment) -> None:
        """An attempt ended: settle its records, or put them back at the head of their lane."""
        round_trip_s = now.steady - flight.left_at
        if self._is_plain(answer):
            verdict = _DELIVERED
        else:
            # While nothing is accepted, an unknown user may be an unknown datamart.
            held = self.destination.gate.state is GateState.HELD
            about = RequestKind.ACTIVITY if held else flight.request.kind
            verdict = judge(answer, self.policy.rules, now.wall_ms, about)
            verdict = explained(verdict, answer, flight.request, self.policy.redact)
            if self._names_settings_anew:
                reason = verdict.reason.replace(f"{TRACKING}.", f"{self.policy.section}.")
                verdict = replace(verdict, reason=reason)
        counted = (verdict.kind, verdict.code)
        self.verdicts[counted] = self.verdicts.get(counted, 0) + 1
        self.round_trips.add(round_trip_s)
        lane = flight.members[0].lane
        # From here on the order matters: the destination learns before the flight is settled,
        # because where its records go depends on what the answer was about (`learned.scope`).
        learned = self.destination.judged(
            verdict,
            round_trip_s,
            self.lanes.in_flight,
            now.steady,
            left=flight.left,
            lane=lane,
            kind=flight.request.kind,
        )
        somebody_waits = False
        for waiting in flight.members:
            assigned = waiting.assigned
            assigned.in_flight -= 1
            waiting.last_code = verdict.code
            somebody_waits |= not assigned.gone
        if somebody_waits and learned is ORDINARY:
            self._delivered(flight, lane, None, now)
        elif somebody_waits:
            self._landed(flight, lane, verdict, answer, learned, now)
        else:
            self.lanes.done(lane)
            for waiting in flight.members:
                self._fence(waiting)
        if learned.came_back:
            self.lanes.wake_all()

    # -- inside -------------------------------------------------------------------------------

    def _landed(  # noqa: PLR0917 - all that is known of an attempt
        self,
        flight: Flight,
        lane: Hashable,
        verdict: Verdict,
        answer: Answer,
        learned: Learned,
        now: Moment,
    ) -> None:
        # What becomes of the records, by the verdict:
        #
        #     delivered       settled; the lane waits first when the answer asked for it
        #     refused         a dead letter, unless nearly all are refused: none is given up then
        #     throttled       back to the head of the lane after a pause; not counted
        #     unavailable,    back to the head of the lane after a rest; counted against the record
        #     misconfigured   only when others were delivered in between (`_failed`)
        match verdict.kind:
            case VerdictKind.DELIVERED:
                paused_until = self._lane_paused_until(flight, lane, verdict, now.steady)
                self._delivered(flight, lane, paused_until, now)
            case VerdictKind.REFUSED if learned.scope is Scope.EVERYTHING:
                # Nearly all are refused: none is dead-lettered until one is accepted.
                self._put_back(flight, lane, None)
            case VerdictKind.REFUSED if len(flight.members) > 1:
                # One of them is bad: each flies alone, so that only that one is dead-lettered.
                self._put_back(flight, lane, None, split=True)
            case VerdictKind.REFUSED:
                self._give_up(flight, DeadLetterClass.REFUSED, verdict, answer, now)
            case VerdictKind.THROTTLED:
                self._throttled(flight, lane, verdict, now)
            case VerdictKind.UNAVAILABLE | VerdictKind.MISCONFIGURED:
                self._failed(flight, lane, verdict, answer, now)
        if learned.scope in _NARROW and verdict.kind in _TROUBLE:
            self._tell_isolated(flight.members[0], verdict, learned)

    def _is_plain(self, answer: Answer) -> bool:
        """Whether this is the success that nearly every attempt has, which asks for nothing."""
        return (
            self._knows_plain
            and is_plain_success(answer)
            and PACING_HEADERS.isdisjoint(answer.headers)
        )

    def _may_fly(self) -> bool:
        return not self.custody.stopped and self.custody.letters_blocked is None

    def _open_route(
        self, routes: list[RequestKind], in_flight: int, now: float
    ) -> RequestKind | None:
        """Of these routes the one on which a request may leave now, beside so many."""
        opens_at = self.destination.opens_at(in_flight, now)
        if opens_at is None or opens_at > now:
            return None
        if len(routes) > 1 and self.requests % 2:
            routes.reverse()  # they take turns
        for route in routes:
            at = self.destination.route_opens_at(route, now)
            if at is not None and at <= now:
                return route
        return None

    def _opens_at(self, routes: Sequence[RequestKind], now: float) -> float | None:
        """When a request may leave on one of these routes; None: when one of those out lands."""
        opens_at = self.destination.opens_at(self.lanes.in_flight, now) if routes else None
        if opens_at is None:
            return None
        route_opens_at = self.destination.route_opens_at
        at = _earliest(*[route_opens_at(route, now) for route in routes])
        return None if at is None else max(opens_at, at)

    def _is_duplicate(self, parcel: Parcel, part: Part | None) -> bool:
        return self._recent.is_duplicate(parcel.payload.unique_key, _place(parcel, part))

    def _forget_key(self, parcel: Parcel, part: Part | None) -> None:
        self._recent.forget(parcel.payload.unique_key, _place(parcel, part))

    def _joins(self, members: list[Waiting], candidate: Waiting) -> bool:
        first = members[0]
        # What flew together is tried again together and with nothing else: under another set of
        # members the merged `$unique_key` would be another, and the platform could not know it
        # again (`coalescing.merge`). `group` is 0 until the first flight.
        if first.group or candidate.group:
            return first.group == candidate.group > 0
        policy, payload = self._coalescing, candidate.parcel.payload
        if policy.events_max <= 1 or not isinstance(payload, Activity):
            return False
        if len(members) == 1:  # the first question about this flight
            head = first.parcel.payload
            self._load = Load(policy, head) if isinstance(head, Activity) else None
        if self._load is None:
            return False
        one, other = first.part, candidate.part
        return self._load.takes(
            payload, of_one_record=one is not None and other is not None and one.join is other.join
        )

    def _request(self, members: Sequence[Waiting]) -> Request:
        payload = members[0].parcel.payload
        if isinstance(payload, Request):
            return payload
        activity = payload if len(members) == 1 else merge(_activities(members))
        return activity_request(self.policy.activities_path, activity)

    def _wake_rested(self, now: float) -> None:
        """Make lanes ready whose rest is over, as far as there is budget for retries.

        The budget keeps retries from crowding out what was not tried yet. When nothing else is
        ready there is nothing to crowd out: to wait then would only make the whole stream as slow
        as the budget.
        """
        self.lanes.wake_paused(now)
        budget = self.destination.budget
        while (alarm := self.lanes.next_alarm()) is not None and alarm <= now:
            if self.lanes.has_ready and budget.available_at(now) > now:
                return
            budget.take(now)
            self.lanes.wake_next()

    def _fence(self, waiting: Waiting) -> None:
        """An answer came for a partition that is no longer ours, or is ours anew."""
        self.custody.ledger.fenced += 1
        self._gave_back(waiting)

    def _gave_back(self, waiting: Waiting) -> None:
        if waiting.part is None:
            self.custody.ledger.gave_back(waiting.size_bytes)
        else:
            self.custody.part_gave_back(waiting.part.join)

    def _delivered(
        self, flight: Flight, lane: Hashable, paused_until: float | None, now: Moment
    ) -> None:
        self.lanes.done(lane, paused_until)
        settle = self.custody.settle
        for waiting in flight.members:
            if waiting.assigned.gone:
                self._fence(waiting)
                continue
            self.delivered += 1
            record = waiting.parcel.record
            if record.timestamp_ms >= 0:  # -1 is Kafka's word for none
                self.lateness.add((now.wall_ms - record.timestamp_ms) / 1000)
            if waiting.part is None:
                settle(waiting.assigned, record.offset, waiting.size_bytes, _FATE_DELIVERED, "")
            else:
                self.custody.settle_part(waiting.part, _FATE_DELIVERED, "")

    def _lane_paused_until(
        self, flight: Flight, lane: Hashable, verdict: Verdict, now: float
    ) -> float | None:
        """Until when a lane waits whose request was accepted: as it was asked, or paced by it."""
        paced = self.destination.route(flight.request.kind).user_rests_until(lane, now)
        if verdict.retry_after_s:
            asked = now + self.destination.pause_s(verdict.retry_after_s)
            return asked if paced is None else max(asked, paced)
        return paced

    def _throttled(self, flight: Flight, lane: Hashable, verdict: Verdict, now: Moment) -> None:
        """A limiter is not the record's fault: nothing is counted, and at least its lane waits."""
        first = flight.members[0]
        # It waits, by what the answer said:
        #
        #     a time to wait       that, up to `pause_max_s`
        #     nothing, or zero     the longer of a backoff that counts this record's refusals, and
        #                          the interval at which this user was measured to be served
        first.throttled += 1
        asked = verdict.retry_after_s
        if asked:
            pause_s = self.destination.pause_s(asked)
        else:
            pause_s = max(
                backoff_s(self.policy.destination.retry, first.throttled, self._rng),
                self.destination.route(flight.request.kind).user_interval_s(lane),
            )
        self._put_back(flight, lane, None, now.steady + pause_s)

    def _failed(
        self, flight: Flight, lane: Hashable, verdict: Verdict, answer: Answer, now: Moment
    ) -> None:
        """Unavailable or misconfigured: mostly not the record's fault.

        A failure counts against a record only if others were delivered since its last one.
        """
        first = flight.members[0]
        rest_until = None
        delivered = self.delivered
        # Whether it counts, and how long it rests:
        #
        #     | since its last failure | the route | counted | rests                            |
        #     |------------------------|-----------|---------|----------------------------------|
        #     | another was delivered  | flows     | yes     | backoff of its counted failures  |
        #     | none was               | flows     | no      | the same, as if there was one    |
        #     | either                 | is closed | no      | the same, if one ever counted;   |
        #     |                        |           |         | else none: the gate spaces its   |
        #     |                        |           |         | probes                           |
        #
        # Then, when attempts and age are both used up: several that flew together are split, each
        # with attempts of its own; one alone is a dead letter. Without the second column an outage
        # would use up the attempts of whatever happened to be in flight.
        others = delivered > first.others_delivered and self.destination.flows(flight.request.kind)
        for waiting in flight.members:
            waiting.failures += others
            waiting.others_delivered = delivered
        retry = self.policy.destination.retry
        if exhausted(retry, first.failures, now.steady - first.tried_since):
            if len(flight.members) > 1:
                self._put_back(flight, lane, None, split=True)
                return
            misconfigured = verdict.kind is VerdictKind.MISCONFIGURED
            cls = DeadLetterClass.REFUSED if misconfigured else DeadLetterClass.EXHAUSTED
            self._give_up(flight, cls, verdict, answer, now)
            return
        if self.destination.flows(flight.request.kind) or first.failures:
            wait_s = backoff_s(retry, max(1, first.failures), self._rng)
            rest_until = now.steady + wait_s
        self._put_back(flight, lane, rest_until)

    def _put_back(
        self,
        flight: Flight,
        lane: Hashable,
        rest_until: float | None,
        paused_until: float | None = None,
        *,
        split: bool = False,
    ) -> None:
        self.lanes.back(lane, rest_until, paused_until)
        # Holds here: the members stand at the head of their lane again, in their order. Apart, each
        # has a group of its own, so that `_joins` never puts them together again.
        if split:
            for waiting in flight.members:
                self._groups += 1
                waiting.group = self._groups
                waiting.failures = 0  # those were the group's: alone, each has attempts of its own
        leaving = {w.assigned for w in flight.members if w.assigned.leaving or w.assigned.gone}
        if leaving:
            self.give_back(leaving)

    def _give_up(
        self,
        flight: Flight,
        cls: DeadLetterClass,
        verdict: Verdict,
        answer: Answer,
        now: Moment,
    ) -> None:
        (waiting,) = flight.members
        lane = waiting.lane
        followers: list[Waiting] = []
        if self._users.on_dead_letter is OnDeadLetter.PARK_USER and waiting.parcel.lane is not None:
            self._parked.park(lane, now.steady)
            followers = self.lanes.followers(lane)
        # The lane is held until the broker has confirmed the letter. Were its next record sent
        # before, and the process killed then, the dead one would be tried after its successor.
        self.lanes.hold(lane)
        letter = DeadLetter(
            waiting.parcel.record,
            cls,
            verdict.code,
            verdict.reason,
            status=answer.status,
            excerpt=excerpt(answer, self.policy.redact),
            attempts=waiting.attempts,
            first_attempt_ms=waiting.first_attempt_ms,
            last_attempt_ms=waiting.last_attempt_ms,
            destination=self.name,
            **events_of_letter(waiting.part),
        )
        self._dead_letter(waiting, letter, holds=True)
        for follower in followers:
            self._follow(follower)

    def _follow(self, waiting: Waiting) -> None:
        """A dead letter, because an earlier record of its user is one."""
        record, part = waiting.parcel.record, waiting.part
        letter = letter_of(record, DeadLetterClass.FOLLOWED, FOLLOWED, part, self.name)
        self._dead_letter(waiting, letter)

    def _dead_letter(self, waiting: Waiting, letter: DeadLetter, *, holds: bool = False) -> None:
        self._forget_key(waiting.parcel, waiting.part)
        join = None if waiting.part is None else waiting.part.join
        assigned, size, lane = waiting.assigned, waiting.size_bytes, waiting.lane
        self.custody.dead_letter(PendingLetter(letter, assigned, size, lane, holds, join))

    def _tell_isolated(self, first: Waiting, verdict: Verdict, learned: Learned) -> None:
        """Once for each record: it may be tried many times."""
        if first.told:
            return
        first.told = True
        self.custody.facts.append(
            TroubleIsolated(
                destination=self.name,
                scope=learned.scope,
                code=verdict.code,
                reason=verdict.reason,
                position=first.parcel.record.position,
            )
        )

    def _is_parked(self, lane: Hashable, now: float) -> bool:
        letters = self.custody.letters
        ours = (item.lane for item in letters if item.letter.destination == self.name)
        return self._parked.is_parked(lane, now, ours)


def _activities(members: Sequence[Waiting]) -> list[Activity]:
    return [m.parcel.payload for m in members if isinstance(m.parcel.payload, Activity)]


def _earliest(*times: float | None) -> float | None:
    return min([at for at in times if at is not None], default=None)


def _place(parcel: Parcel, part: Part | None) -> Place:
    """Where an event stands, so that it is known again when its record is read again."""
    position = parcel.record.position
    return position if part is None else (position, part.index)


_NARROW = frozenset({Scope.RECORD, Scope.USER})
_TROUBLE = frozenset({VerdictKind.THROTTLED, VerdictKind.UNAVAILABLE, VerdictKind.MISCONFIGURED})
_FATE_DELIVERED = Fate.DELIVERED  # found once: Python 3.11 takes 80 ns to find a member
_DELIVERED = Verdict(VerdictKind.DELIVERED, "http_200", "200 accepted", 200)
FOLLOWED = Unmappable("follows_dead_letter", "an earlier record of this user is a dead letter")
