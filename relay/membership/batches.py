"""Changes wait by member, are gathered into files, and are taken apart when a file fails. Pure.

A member is one user in one segment, and has a lane: the changes that wait for it, oldest first.
A file holds the newest change of each lane and nothing else of it, since nobody knows in which
order the platform reads the lines of a file. When the line is taken, everything before it is
settled as well: the member is as all of them together wanted. When the line is rejected, it alone
is, and the one before it is sent next.

A file that fails says nothing about its lines. It is tried again as it is; then a single line of it
shows whether anything succeeds at all; and only if something does is the rest taken apart, half by
half, until those that cannot be imported stand alone. So an outage takes nothing apart, however
long it lasts, and one bad line cannot hold up the others. A line that stands alone is given up
when it has failed often enough and for long enough, and others succeeded meanwhile.
"""

import random
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from relay.membership.mapping import Change, Member
from relay.membership.policy import MembershipPolicy
from relay.model import DeadLetterClass, Record
from relay.road.settling.assigned import Assigned
from relay.segments.isolator import apart

LineOf = Callable[[Change], bytes]


class DeadLetterReason(NamedTuple):
    """Why an event becomes a dead letter."""

    cls: DeadLetterClass
    code: str
    reason: str


@dataclass(slots=True, eq=False)
class Taken:
    """A record whose changes are under way. It meets its fate when none of them is open."""

    record: Record
    assigned: Assigned
    size_bytes: int
    open_changes: int
    reasons: dict[int, DeadLetterReason] = field(default_factory=dict)
    """Which of its events cannot be imported, and why; the one of a record of one event is 0."""
    events_total: int = 0
    """How many events the record holds, when these are several."""
    attempts: int = 0
    first_attempt_ms: int | None = None
    last_attempt_ms: int | None = None


@dataclass(slots=True, eq=False)
class Unit:
    """One change of one record."""

    held: Taken
    change: Change
    event: int = 0
    """Which event of the record asks for it, from 0."""
    over: bool = False
    """It has been settled, or its partition is gone."""
    reason: str | None = None
    """Why it was not taken, of one that has been settled."""


@dataclass(slots=True, eq=False)
class Lane:
    """The changes of one member that are not over, oldest first."""

    member: Member
    units: list[Unit] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Group:
    """Lanes that fly together. `baseline`: the successes there had been when it failed first."""

    lanes: list[Lane]
    failures: int = 0
    baseline: int | None = None
    failing_since: float = 0.0
    rest_until: float = 0.0
    apart: bool = False
    """Taken apart because others succeeded, or because the file was refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A file under way: for each lane its line, and the changes that the line settles."""

    group: Group
    flown: tuple[tuple[Unit, ...], ...]
    lines: tuple[bytes, ...] = field(repr=False)

    @property
    def is_stale(self) -> bool:
        """Whether somebody else may be sending what is in it by now."""
        return any(unit.over for units in self.flown for unit in units)

    def held(self) -> Iterator[Taken]:
        """The records that have something in it, each once."""
        return iter({id(u.held): u.held for units in self.flown for u in units}.values())


class Batches:
    """Several files may be under way, but only one line of a member. Times are steady seconds."""

    def __init__(self, policy: MembershipPolicy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self._lanes: dict[Member, Lane] = {}
        self._waiting: dict[Member, Lane] = {}
        self._gathering_since: float | None = None
        self._groups: deque[Group] = deque()
        self._group_flew_last = False
        self._rest_until = 0.0
        self.failures_in_a_row = 0
        self.successes = 0
        self.flying: list[Batch] = []

    @property
    def waiting(self) -> int:
        """Members that wait to be gathered."""
        return len(self._waiting)

    @property
    def in_trouble(self) -> int:
        """Members whose file failed, and who fly apart from the others."""
        return sum(len(group.lanes) for group in self._groups)

    def add(self, unit: Unit, now: float) -> None:
        """A change came."""
        member = unit.change.member
        lane = self._lanes.get(member)
        if lane is None:
            lane = self._lanes[member] = Lane(member)
            self._wait(lane, now)
        lane.units.append(unit)

    def drop(self, gone: Callable[[Unit], bool]) -> list[Unit]:
        """Take changes out whose partition left; a line that flies may land for nobody."""
        dropped = [unit for lane in self._lanes.values() for unit in lane.units if gone(unit)]
        for unit in dropped:
            unit.over = True
        for member in {unit.change.member for unit in dropped}:
            lane = self._lanes[member]
            lane.units = [unit for unit in lane.units if not unit.over]
            if not lane.units:
                del self._lanes[member]
                self._waiting.pop(member, None)
        if not self._waiting:
            self._gathering_since = None
        return dropped

    def wakes_at(self, *, hurry: bool) -> float | None:
        """When `next` may have something without anything else happening before."""
        if self._is_busy:
            return None
        due = self._due_at(hurry=hurry)
        moments = [group.rest_until for group in self._groups] + ([] if due is None else [due])
        return max(min(moments), self._rest_until) if moments else None

    def next(self, now: float, line_of: LineOf, *, hurry: bool = False) -> Batch | None:
        """The next file. `hurry`: do not wait for more, nothing more can come."""
        if self._is_busy or now < self._rest_until:
            return None
        while (group := self._next_group(now, hurry=hurry)) is not None:
            batch = self._take_off(group, line_of, now)
            if batch is not None:
                return batch
        return None

    def landed(self, batch: Batch, reason: str | None, now: float) -> list[Unit]:
        """Every line was taken; or all were rejected, for a reason. What is settled."""
        self._succeeded(batch)
        return self._settle(batch, reason, now)

    def unclear(self, batch: Batch, rejected: int, named: Collection[int]) -> None:
        """It succeeded but for some lines, and which cannot be told: take it apart.

        `named` are places of lines that may be meant: they fly apart from the rest.
        """
        self._succeeded(batch)
        self._part(batch.group, rejected, named)

    def refused(self, batch: Batch, reason: str, now: float) -> list[Unit]:
        """The platform does not take the file: its one line, or somebody in it, is at fault."""
        self.flying.remove(batch)
        if len(batch.lines) > 1:
            self._part(batch.group)
            return []
        return self._settle(batch, reason, now)

    def failed(self, batch: Batch, reason: str, now: float) -> list[Unit]:
        """An execution failed. What is over is what failed again and again while others did not."""
        self.flying.remove(batch)
        group = batch.group
        if group.baseline is None:
            group.baseline, group.failing_since = self.successes, now
        group.rest_until = now + self._wait_s(group.failures)
        group.failures += 1
        self._rest(now)
        enough = self._policy.attempts_max
        others_succeed = self.successes > group.baseline
        alone = len(group.lanes) == 1
        if group.failures < enough:
            self._groups.appendleft(group)
        elif alone and others_succeed and now - group.failing_since >= self._policy.give_up_s:
            return self._settle(batch, reason, now)
        elif alone:
            self._groups.append(group)
        elif others_succeed:
            self._part(group)
        else:
            probe, *rest = group.lanes
            self._groups.appendleft(replace(group, lanes=rest, failures=enough - 1))
            self._groups.appendleft(Group([probe]))
        return []

    def put_back(self, batch: Batch, failed_at: float | None = None) -> None:
        """It could not be sent, or its partitions left: what is left of it flies again.

        No fault of its own, so nothing is counted against it.
        """
        self.flying.remove(batch)
        if failed_at is not None:
            self._rest(failed_at)
        self._groups.appendleft(batch.group)

    # -- inside -------------------------------------------------------------------------------

    def _next_group(self, now: float, *, hurry: bool) -> Group | None:
        """By turns: what is in trouble must not starve the others, whose success it waits for."""
        due = self._due_at(hurry=hurry)
        gathered = due is not None and due <= now
        rested = next((group for group in self._groups if group.rest_until <= now), None)
        if rested is not None and not (gathered and self._group_flew_last):
            self._group_flew_last = True
            self._groups.remove(rested)
            return rested
        if not gathered:
            return None
        self._group_flew_last = False
        lanes = list(self._waiting.values())[: self._policy.commands_max]
        for lane in lanes:
            del self._waiting[lane.member]
        self._gathering_since = now if self._waiting else None
        return Group(lanes)

    def _due_at(self, *, hurry: bool) -> float | None:
        """When enough has been gathered."""
        if self._gathering_since is None:
            return None
        enough = hurry or len(self._waiting) >= self._policy.commands_max
        return self._gathering_since + (0.0 if enough else self._policy.gather_s)

    def _take_off(self, group: Group, line_of: LineOf, now: float) -> Batch | None:
        """As many lanes as one file may hold; the others stay a group, or wait on."""
        lanes = [lane for lane in group.lanes if lane.units]
        lines: list[bytes] = []
        size = 0
        for lane in lanes:
            line = line_of(lane.units[-1].change)
            size += len(line)
            if lines and size > self._policy.bytes_max:
                break
            lines.append(line)
        lanes, rest = lanes[: len(lines)], lanes[len(lines) :]
        if group.failures and rest:
            self._groups.appendleft(replace(group, lanes=rest))
        else:
            for lane in rest:
                self._wait(lane, now - self._policy.gather_s)
        if not lanes:
            return None
        group.lanes = lanes
        flown = tuple(tuple(lane.units) for lane in lanes)
        batch = Batch(group, flown, tuple(lines))
        self.flying.append(batch)
        return batch

    @property
    def _is_busy(self) -> bool:
        """Whether no further file may leave; one at a time while they fail."""
        return len(self.flying) >= (1 if self.failures_in_a_row else self._policy.in_flight_max)

    def _succeeded(self, batch: Batch) -> None:
        before = self.successes
        self.successes += 1
        self.flying.remove(batch)
        self.failures_in_a_row = 0
        self._rest_until = 0.0
        # What failed while nothing succeeded has most likely met an outage: together again.
        lost = [g for g in self._groups if g.failures and g.baseline == before and not g.apart]
        if len(lost) > 1:
            lanes = [lane for group in lost for lane in group.lanes]
            kept = [group for group in self._groups if group not in lost]
            enough = self._policy.attempts_max
            together = replace(lost[0], lanes=lanes, failures=enough - 1, rest_until=0.0)
            self._groups = deque([together, *kept])

    def _part(self, group: Group, rejected: int = 1, named: Collection[int] = ()) -> None:
        pieces = apart(len(group.lanes), rejected, named)
        for part in reversed([[group.lanes[place] for place in piece] for piece in pieces]):
            # One line alone has to fail as often as any; more are soon taken apart further.
            most = min(group.failures, self._policy.attempts_max - 1)
            failures = 0 if len(part) == 1 else most
            self._groups.appendleft(Group(part, failures, apart=True))

    def _settle(self, batch: Batch, reason: str | None, now: float) -> list[Unit]:
        """Its lanes are back: they wait again, or nothing of them is left."""
        settled: list[Unit] = []
        for lane, units in zip(batch.group.lanes, batch.flown, strict=True):
            done = [unit for unit in (units if reason is None else units[-1:]) if not unit.over]
            for unit in done:
                unit.over, unit.reason = True, reason
            settled += done
            lane.units = [unit for unit in lane.units if not unit.over]
            if lane.units:
                self._wait(lane, now)
            elif self._lanes.get(lane.member) is lane:
                del self._lanes[lane.member]
        return settled

    def _wait(self, lane: Lane, since: float) -> None:
        self._waiting[lane.member] = lane
        if self._gathering_since is None or since < self._gathering_since:
            self._gathering_since = since

    def _rest(self, now: float) -> None:
        self._rest_until = now + self._wait_s(self.failures_in_a_row)
        self.failures_in_a_row += 1

    def _wait_s(self, failures: int) -> float:
        ceiling = self._policy.backoff_s(failures)
        return self._rng.uniform(ceiling / 2, ceiling)
