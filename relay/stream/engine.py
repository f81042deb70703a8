"""The state of the road of one event, and every change to it. No I/O, no clock, no async.

The pipeline calls a method for each thing that happens (records came, an answer came, a dead
letter was confirmed, a partition was assigned) and asks what may be done next (`next_flight`,
`next_letters`, `commits`, `paused`). Every method runs to its end, so there is nothing to lock, and
the whole can be driven by a table, a property or a simulation.
"""

import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from relay.model import (
    Activity,
    Answer,
    Commit,
    DeadLetter,
    DeadLetterClass,
    Fate,
    Moment,
    Parcel,
    Partition,
    Position,
    Record,
    Request,
    RequestKind,
    Undecodable,
    Unmappable,
    Unwanted,
    Verdict,
    VerdictKind,
)
from relay.road.consuming.intake import IntakePolicy, full, partition_allowance, room
from relay.road.settling.assigned import Assigned
from relay.road.settling.commits import commit_of, is_news, start_of
from relay.road.settling.frontier import Frontier
from relay.road.settling.ledger import Ledger
from relay.road.settling.offset_map import METADATA_BYTES_MAX, OffsetMap
from relay.stream.interpret import Interpret
from relay.stream.mapping.requests import activity_request
from relay.stream.sending.coalescing import CoalescingPolicy, Load, merge
from relay.stream.sending.destination import Destination, DestinationPolicy
from relay.stream.sending.gate import GateState
from relay.stream.sending.lanes import Lanes, Waiting
from relay.stream.sending.pacing import PACING_HEADERS
from relay.stream.sending.retries import backoff_s, exhausted
from relay.stream.sending.verdicts import DEFAULT_RULES, Rule, excerpt, is_plain_success, judge
from relay.telemetry.facts import Fact, PartitionRewound, RecordDeadLettered
from relay.telemetry.histogram import Histogram


class OnDeadLetter(StrEnum):
    """What becomes of the later records of a user whose record was dead-lettered."""

    CONTINUE = "continue"
    PARK_USER = "park_user"


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """The policies of the parts, and the few that are the engine's own."""

    destination: DestinationPolicy = field(default_factory=DestinationPolicy)
    intake: IntakePolicy = field(default_factory=IntakePolicy)
    coalescing: CoalescingPolicy = field(default_factory=lambda: CoalescingPolicy(events_max=1))
    rules: tuple[Rule, ...] = DEFAULT_RULES
    on_dead_letter: OnDeadLetter = OnDeadLetter.CONTINUE
    park_s: float = 3600.0
    offset_map: bool = True
    map_bytes_max: int = METADATA_BYTES_MAX
    duplicates_window: int = 0
    activities_path: str = "/v1/datamarts/0/user_activities"
    redact: Callable[[str], str] = str


@dataclass(slots=True, eq=False)
class Flight:
    """A request under way, and the parcels that it settles."""

    members: tuple[Waiting, ...]
    request: Request
    left_at: float
    probe: int = 0


@dataclass(slots=True, eq=False)
class Letter:
    """A dead letter that the broker has not confirmed yet."""

    letter: DeadLetter
    home: Assigned = field(repr=False)
    size_bytes: int
    lane: Hashable | None = field(default=None, repr=False)
    holds: bool = False
    """Whether its lane waits for it: were a successor sent and then the process killed, the record
    would be tried again, after its successor."""


class Engine:
    """See the module's docstring. Times are steady seconds; `Moment` adds the wall clock."""

    def __init__(self, policy: EnginePolicy, interpret: Interpret, rng: random.Random) -> None:
        self.policy = policy
        self._interpret = interpret
        self._rng = rng
        # A deployment may have a rule of its own about 200: then every answer goes by the table.
        about_200 = next((rule for rule in policy.rules if 200 in rule.statuses), None)  # noqa: PLR2004
        self._knows_plain = about_200 is DEFAULT_RULES[0]
        self.facts: list[Fact] = []
        self.destination = Destination(policy.destination, rng, self.facts.append)
        self.lanes = Lanes()
        self.ledger = Ledger()
        self.assigned: dict[Partition, Assigned] = {}
        self.letters: deque[Letter] = deque()
        self.letters_blocked: str | None = None
        self.letters_blocked_since = 0.0
        self.round_trips = Histogram()
        self.lateness = Histogram()
        self.verdicts: dict[tuple[VerdictKind, str], int] = {}
        self.requests = 0
        self.retries = 0
        self.notes: Counter[str] = Counter()
        self.metadata_ignored = 0
        self.maps_truncated = 0
        self._stopped = False
        self._full = False
        # Of hundreds of partitions few change between two looks. In the order of their changes.
        self._grown: dict[Assigned, None] = {}
        """Those that may hold too much: what came to them since the last look, or still is."""
        self._moved: dict[Assigned, None] = {}
        """Those whose commit may be another than the last that was confirmed."""
        self._groups = 0
        self._load: Load | None = None
        self._parked: OrderedDict[Hashable, float] = OrderedDict()
        self._seen: OrderedDict[str, Position] = OrderedDict()

    # -- partitions come and go ---------------------------------------------------------------

    def assign(self, commits: Mapping[Partition, Commit | None], epoch: int, now: float) -> None:
        """These partitions are ours from the offsets that were committed for them."""
        # A session that was lost tells nobody that they had left in between.
        self.drop([partition for partition in commits if partition in self.assigned])
        for partition, commit in commits.items():
            known = commit
            if commit is not None and not self.policy.offset_map:
                known = Commit(commit.offset)
            start = start_of(partition, known, self._ignored)
            self._own(
                Assigned(partition, epoch, Frontier(start), last_commit=commit, pinned_since=now)
            )

    def leave(self, partitions: Collection[Partition]) -> None:
        """These partitions will leave: give back what waits, let land what flies."""
        homes = {home for p in partitions if (home := self.assigned.get(p)) is not None}
        for home in homes:
            home.leaving = True
        self._give_back_waiting(homes)

    def drop(self, partitions: Collection[Partition]) -> None:
        """These partitions are gone: what is still out belongs to nobody and is fenced."""
        homes = {self.assigned.pop(p) for p in partitions if p in self.assigned}
        for home in homes:
            home.gone = True
            self._grown.pop(home, None)
            self._moved.pop(home, None)
        self._give_back_waiting(homes)
        kept: deque[Letter] = deque()
        for letter in self.letters:
            if letter.home in homes:
                self.ledger.gave_back(letter.size_bytes)
                self._release(letter)
            else:
                kept.append(letter)
        self.letters = kept
        if not kept:
            self.letters_blocked = None

    def busy(self, partitions: Collection[Partition]) -> bool:
        """Whether something of these partitions is in flight or on its way to the dead letters."""
        homes = {self.assigned[p] for p in partitions if p in self.assigned}
        return any(home.in_flight for home in homes) or any(
            letter.home in homes for letter in self.letters
        )

    def stop(self) -> None:
        """Start nothing new; what is in flight may land."""
        self._stopped = True

    # -- records come -------------------------------------------------------------------------

    def admit(self, record: Record, now: Moment) -> None:
        """A record was read: it waits in its lane, or has met its fate."""
        home = self.assigned.get(record.tp)
        if home is None or home.leaving or home.epoch != record.epoch:
            self.ledger.fenced += 1
            return
        offset = record.offset
        if home.frontier.is_rewind(offset):
            home = self._rewind(home, offset, now.steady)
        known = home.frontier.seen_before(offset)
        home.frontier.taken(offset)
        self._grown[home] = self._moved[home] = None
        if known:
            self.ledger.took(0)
            self.ledger.settled(Fate.SKIPPED, "settled_before_restart", 0)
            return
        outcome = self._interpret(record, now.wall_ms)
        if isinstance(outcome, Parcel):
            self._admit_parcel(outcome, home, now.steady)
            return
        size = record.size_bytes
        self.ledger.took(size)
        match outcome:
            case Unwanted():
                self._settle(home, record, size, Fate.SKIPPED, outcome.code)
            case Undecodable():
                self._bury(home, size, _letter(record, DeadLetterClass.UNDECODABLE, outcome))
            case Unmappable():
                self._bury(home, size, _letter(record, DeadLetterClass.UNMAPPABLE, outcome))

    def room(self) -> int:
        """How many records to ask for at once."""
        return room(self.policy.intake, self.ledger.open)

    def paused(self) -> set[Partition]:
        """The partitions from which nothing may be taken now."""
        policy, ledger = self.policy.intake, self.ledger
        self._full = full(policy, ledger.open, ledger.open_bytes, was_full=self._full)
        if self._full or self._stopped:
            return set(self.assigned)
        self._grown = {home: None for home in self._grown if self._is_full(home)}
        return {home.partition for home in self._grown}

    # -- requests leave and answers come ------------------------------------------------------

    def next_flight(self, now: Moment) -> Flight | None:
        """The next request that may leave now, or None: see `wakes_at`."""
        if not self._may_fly():
            return None
        self._wake_rested(now.steady)
        if not self.lanes.has_ready:
            return None
        opens_at = self.destination.opens_at(self.lanes.in_flight, now.steady)
        if opens_at is None or opens_at > now.steady:
            return None
        members = self.lanes.take(self._joins)
        if members is None:
            return None
        self._groups += 1
        delivered = self.ledger.delivered
        for waiting in members:
            waiting.attempts += 1
            waiting.group = self._groups
            waiting.last_attempt_ms = now.wall_ms
            if waiting.first_attempt_ms is None:
                waiting.first_attempt_ms = now.wall_ms
                waiting.tried_since = now.steady
                waiting.others_delivered = delivered
            waiting.home.in_flight += 1
        self.requests += 1
        self.retries += members[0].attempts > 1
        probe = self.destination.left(now.steady)
        return Flight(tuple(members), self._request(members), now.steady, probe)

    def wakes_at(self, now: float) -> float | None:
        """When `next_flight` may have something without anything else happening before."""
        if not self._may_fly():
            return None
        alarm = self.lanes.next_alarm()
        if not self.lanes.has_ready:
            return alarm
        if alarm is not None:
            alarm = max(alarm, self.destination.budget.available_at(now))
        opens_at = self.destination.opens_at(self.lanes.in_flight, now)
        if opens_at is None or (alarm is not None and alarm < opens_at):
            return alarm
        return opens_at

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
        counted = (verdict.kind, verdict.code)
        self.verdicts[counted] = self.verdicts.get(counted, 0) + 1
        self.round_trips.add(round_trip_s)
        lane = flight.members[0].lane
        came_back = self.destination.judged(
            verdict,
            round_trip_s,
            self.lanes.in_flight,
            now.steady,
            probe=flight.probe,
            lane=lane,
        )
        somebody_waits = False
        for waiting in flight.members:
            home = waiting.home
            home.in_flight -= 1
            waiting.last_code = verdict.code
            somebody_waits |= not home.gone
        if not somebody_waits:
            self.lanes.done(lane)
            for waiting in flight.members:
                self._fence(waiting)
        elif verdict.kind is VerdictKind.DELIVERED:
            self._delivered(flight, lane, now)
        elif verdict.kind is VerdictKind.REFUSED:
            self._refused(flight, lane, verdict, answer, now)
        else:
            self._failed(flight, lane, verdict, answer, now)
        if came_back:
            self.lanes.wake_all()

    # -- dead letters and commits -------------------------------------------------------------

    def next_letters(self, most: int) -> list[Letter]:
        """Dead letters to be written, oldest first. They stay until `letters_written`."""
        return [self.letters[i] for i in range(min(most, len(self.letters)))]

    def letters_written(self, written: Sequence[Letter]) -> None:
        """The broker confirmed these."""
        confirmed = set(written)
        self.letters = deque(letter for letter in self.letters if letter not in confirmed)
        self.letters_blocked = None
        for item in written:
            letter = item.letter
            if item.home.gone:
                self.ledger.fenced += 1
                continue
            self._release(item)
            self._settle(
                item.home, letter.record, item.size_bytes, Fate.DEAD_LETTERED, str(letter.cls)
            )
            self.facts.append(
                RecordDeadLettered(
                    position=letter.record.position,
                    cls=letter.cls,
                    code=letter.code,
                    reason=letter.reason,
                    status=letter.status,
                    attempts=letter.attempts,
                )
            )

    def letters_failed(self, reason: str, now: float) -> None:
        """The broker did not confirm: nothing may pass until it does."""
        if not self.letters:
            return  # their partitions left while they were being written
        if self.letters_blocked is None:
            self.letters_blocked_since = now
        self.letters_blocked = reason

    def commits(self, now: float) -> dict[Partition, Commit]:
        """What has changed since the last commit that was confirmed."""
        changed: dict[Partition, Commit] = {}
        for home in list(self._moved):
            commit, truncated = commit_of(
                home, self.policy.map_bytes_max, with_map=self.policy.offset_map
            )
            self.maps_truncated += truncated
            self._grown[home] = None  # a fuller map leaves room for less
            self._note_pin(home, now)
            if is_news(home, commit):
                changed[home.partition] = commit
                home.settled_in_commit = home.settled_since_commit
            else:
                del self._moved[home]
        return changed

    def committed(self, commits: Mapping[Partition, Commit]) -> None:
        """The broker confirmed these."""
        for partition, commit in commits.items():
            home = self.assigned.get(partition)
            if home is not None:
                home.last_commit = commit
                home.settled_since_commit -= home.settled_in_commit
                home.settled_in_commit = 0

    # -- inside -------------------------------------------------------------------------------

    def _is_plain(self, answer: Answer) -> bool:
        """Whether this is the success that nearly every attempt has, which asks for nothing."""
        return (
            self._knows_plain
            and is_plain_success(answer)
            and PACING_HEADERS.isdisjoint(answer.headers)
        )

    def _may_fly(self) -> bool:
        return not self._stopped and self.letters_blocked is None

    def _ignored(self, fact: Fact) -> None:
        self.metadata_ignored += 1
        self.facts.append(fact)

    def _rewind(self, home: Assigned, offset: int, now: float) -> Assigned:
        """The log was cut and grew again: what is known of its offsets is about other records."""
        self.facts.append(
            PartitionRewound(
                partition=str(home.partition), expected=home.frontier.next_offset, offset=offset
            )
        )
        self.drop([home.partition])
        self._seen.clear()  # they may be what comes again
        fresh = Assigned(
            home.partition, home.epoch, Frontier(OffsetMap(offset, offset)), pinned_since=now
        )
        self._own(fresh)
        return fresh

    def _own(self, home: Assigned) -> None:
        self.assigned[home.partition] = home
        self._moved[home] = None

    def _admit_parcel(self, parcel: Parcel, home: Assigned, now: float) -> None:
        record, lane, size = parcel.record, parcel.lane, parcel.size_bytes
        self.ledger.took(size)
        if parcel.payload.notes:
            self.notes.update(parcel.payload.notes)
        if self._is_duplicate(parcel):
            self._settle(home, record, size, Fate.SKIPPED, "duplicate")
            return
        if lane is None:
            lane = record.position
        elif self._is_parked(lane, now):
            self._bury(home, size, _letter(record, DeadLetterClass.FOLLOWED, _FOLLOWED), lane)
            return
        length = self.lanes.add(Waiting(parcel, lane, home, size))
        if length >= self.policy.intake.lane_records_max:
            home.crowded.add(lane)

    def _is_duplicate(self, parcel: Parcel) -> bool:
        """Whether another record with the same key was taken lately."""
        window, key = self.policy.duplicates_window, parcel.payload.unique_key
        if not window or key is None:
            return False
        # The same position again is not a duplicate but the same record, read again.
        first = self._seen.setdefault(key, parcel.record.position)
        if len(self._seen) > window:
            self._seen.popitem(last=False)
        return first != parcel.record.position

    def _is_full(self, home: Assigned) -> bool:
        policy = self.policy.intake
        if home.crowded:
            enough = policy.lane_records_max * policy.resume_below
            home.crowded = {lane for lane in home.crowded if self.lanes.length(lane) > enough}
        allowance = partition_allowance(policy, home.map_fill)
        return bool(home.crowded) or home.frontier.open_count >= allowance

    def _joins(self, members: list[Waiting], candidate: Waiting) -> bool:
        first = members[0]
        if first.group or candidate.group:
            return first.group == candidate.group > 0
        policy = self.policy.coalescing
        payload = candidate.parcel.payload
        if policy.events_max <= 1 or not isinstance(payload, Activity):
            return False
        if len(members) == 1:  # the first question about this flight
            head = first.parcel.payload
            self._load = Load(policy, head) if isinstance(head, Activity) else None
        return self._load is not None and self._load.takes(payload)

    def _request(self, members: Sequence[Waiting]) -> Request:
        payload = members[0].parcel.payload
        if isinstance(payload, Request):
            return payload
        return activity_request(self.policy.activities_path, merge(_activities(members)))

    def _wake_rested(self, now: float) -> None:
        """Make lanes ready whose rest is over, as far as there is budget for retries.

        The budget keeps retries from crowding out what was not tried yet. When nothing else is
        ready there is nothing to crowd out: to wait then would only make the whole stream as slow
        as the budget.
        """
        budget = self.destination.budget
        while (alarm := self.lanes.next_alarm()) is not None and alarm <= now:
            if self.lanes.has_ready and budget.available_at(now) > now:
                return
            budget.take(now)
            self.lanes.wake_next()

    def _fence(self, waiting: Waiting) -> None:
        """An answer came for a partition that is no longer ours, or is ours anew."""
        self.ledger.fenced += 1
        self.ledger.gave_back(waiting.size_bytes)

    def _delivered(self, flight: Flight, lane: Hashable, now: Moment) -> None:
        self.lanes.done(lane)
        for waiting in flight.members:
            if waiting.home.gone:
                self._fence(waiting)
                continue
            record = waiting.parcel.record
            self.lateness.add((now.wall_ms - record.timestamp_ms) / 1000)
            self._settle(waiting.home, record, waiting.size_bytes, Fate.DELIVERED, "")

    def _refused(
        self, flight: Flight, lane: Hashable, verdict: Verdict, answer: Answer, now: Moment
    ) -> None:
        if len(flight.members) > 1:
            # One of them is bad: each flies alone, so that only that one is dead-lettered.
            self._put_back(flight, lane, None, split=True)
            return
        self._give_up(flight, DeadLetterClass.REFUSED, verdict, answer, now)

    def _failed(
        self, flight: Flight, lane: Hashable, verdict: Verdict, answer: Answer, now: Moment
    ) -> None:
        """Throttled, unavailable or misconfigured: mostly not the record's fault.

        A failure counts against a record only if others were delivered since its last one.
        """
        first = flight.members[0]
        rest_until = None
        if verdict.kind is not VerdictKind.THROTTLED:
            others = self.ledger.delivered > first.others_delivered
            for waiting in flight.members:
                waiting.failures += others
                waiting.others_delivered = self.ledger.delivered
            retry = self.policy.destination.retry
            if exhausted(retry, first.failures, now.steady - first.tried_since):
                if len(flight.members) > 1:
                    self._put_back(flight, lane, None, split=True)
                else:
                    self._give_up(flight, DeadLetterClass.EXHAUSTED, verdict, answer, now)
                return
            if self.destination.flowing or first.failures:
                wait_s = backoff_s(retry, max(1, first.failures), self._rng)
                rest_until = now.steady + wait_s
        self._put_back(flight, lane, rest_until)

    def _put_back(
        self, flight: Flight, lane: Hashable, rest_until: float | None, *, split: bool = False
    ) -> None:
        self.lanes.back(lane, rest_until)
        if split:
            for waiting in flight.members:
                self._groups += 1
                waiting.group = self._groups
        leaving = {w.home for w in flight.members if w.home.leaving or w.home.gone}
        if leaving:
            self._give_back_waiting(leaving)

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
        if self.policy.on_dead_letter is OnDeadLetter.PARK_USER and waiting.parcel.lane is not None:
            self._park(lane, now.steady)
            followers = self.lanes.followers(lane)
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
        )
        self._bury(waiting.home, waiting.size_bytes, letter, lane, holds=True)
        for follower in followers:
            followed = _letter(follower.parcel.record, DeadLetterClass.FOLLOWED, _FOLLOWED)
            self._bury(follower.home, follower.size_bytes, followed, lane)

    def _park(self, lane: Hashable, now: float) -> None:
        self._parked[lane] = now + self.policy.park_s
        if len(self._parked) > _PARKED_MAX:
            self._parked.popitem(last=False)

    def _is_parked(self, lane: Hashable, now: float) -> bool:
        if not self._parked:
            return False
        until = self._parked.get(lane)
        if until is None:
            return False
        # Whoever followed and is not confirmed would be tried again after a crash.
        if until > now or any(item.lane == lane for item in self.letters):
            return True
        del self._parked[lane]
        return False

    def _give_back_waiting(self, homes: Collection[Assigned]) -> None:
        for waiting in self.lanes.drop(lambda w: w.home in homes):
            self.ledger.gave_back(waiting.size_bytes)

    def _bury(
        self,
        home: Assigned,
        size_bytes: int,
        letter: DeadLetter,
        lane: Hashable | None = None,
        *,
        holds: bool = False,
    ) -> None:
        self.letters.append(Letter(letter, home, size_bytes, lane, holds))

    def _release(self, letter: Letter) -> None:
        if letter.holds:
            self.lanes.release(letter.lane)

    def _settle(self, home: Assigned, record: Record, size: int, fate: Fate, code: str) -> None:
        home.frontier.finished(record.offset)
        home.settled_since_commit += 1
        self._moved[home] = None
        self.ledger.settled(fate, code, size)

    def _note_pin(self, home: Assigned, now: float) -> None:
        pinned = home.frontier.lowest_open
        if pinned != home.pinned_at:
            home.pinned_at = pinned
            home.pinned_since = now
            home.requests_when_pinned = self.requests
            home.lanes_when_pinned = self.lanes.count


def _activities(members: Sequence[Waiting]) -> list[Activity]:
    return [m.parcel.payload for m in members if isinstance(m.parcel.payload, Activity)]


def _letter(record: Record, cls: DeadLetterClass, why: Undecodable | Unmappable) -> DeadLetter:
    return DeadLetter(record, cls, why.code, why.reason)


_DELIVERED = Verdict(VerdictKind.DELIVERED, "http_200", "200 accepted", 200)
_FOLLOWED = Unmappable("follows_dead_letter", "an earlier record of this user is a dead letter")
_PARKED_MAX = 100_000
