"""Which partitions are ours, how far each is settled, and what awaits the dead-letter topic.

Every road from Kafka has one custody and an engine of its own beside it: the custody decides what
may be taken and what may be committed, the engine what becomes of a record in between. Pure: the
road's loop calls a method for each thing that happens, and every method runs to its end.

    admit ──▶ the engine holds the record ──▶ settle, or dead_letter ──▶ letters_written
                      │                   └─▶ give_back, when its partition leaves first
                      └─▶ await_schema, when it cannot be read yet: it was not taken
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Protocol

from pydantic import Field

from relay.errors import trace
from relay.model import Commit, Fate, Partition, Record, SchemaKey, Unmappable
from relay.road.consuming.intake import (
    IntakePolicy,
    SetAside,
    full,
    partition_allowance,
    room,
)
from relay.road.consuming.schema_waits import SchemaWait, SchemaWaits
from relay.road.facts import PartitionRewound, RecordDefective
from relay.road.settling.assigned import Assigned, Join, Part, PendingLetter
from relay.road.settling.commits import commit_of, is_closed, is_news, start_of
from relay.road.settling.frontier import Frontier
from relay.road.settling.ledger import Ledger
from relay.road.settling.offset_map import METADATA_BYTES_MAX, OffsetMap
from relay.telemetry.facts import Fact, RecordDeadLettered
from relay.telemetry.trace_context import trace_id_of


class CustodyPolicy(IntakePolicy):
    """The memory budget, and what a commit says beyond its offset."""

    offset_map: bool = Field(
        True,
        description="Store in each commit what is finished beyond it, so that a restart does not "
        "repeat it.",
    )
    map_bytes_max: ClassVar[int] = METADATA_BYTES_MAX


class Holder(Protocol):
    """The engine of a road: it holds what was admitted until it is settled."""

    def give_back(self, partitions: Collection[Assigned]) -> None:
        """These partitions leave, or are gone: forget what waits, and call `gave_back` for it."""
        ...

    @property
    def under_way(self) -> int:
        """Requests or files under way, those of partitions that are gone included."""
        ...

    def is_busy(self, partitions: Collection[Assigned]) -> bool:
        """Whether something of these partitions is under way."""
        ...

    def let_go(self, letter: PendingLetter) -> None:
        """This letter was confirmed, or belongs to nobody any more."""
        ...

    def is_crowded(self, assigned: Assigned) -> bool:
        """Whether nothing more of this partition should come, for a reason of the engine's."""
        ...

    def set_aside(self) -> SetAside:
        """The part of what is held that will be held for long, as far as is known."""
        ...

    def pinned(self, assigned: Assigned) -> None:
        """Another record than before keeps this partition's commit from moving."""
        ...


class Custody:
    """See the module's docstring. Times are steady seconds."""

    def __init__(self, policy: CustodyPolicy, holder: Holder) -> None:
        self.policy = policy
        self._holder = holder
        self.facts: list[Fact] = []
        self.ledger = Ledger()
        self.joined = Ledger()
        """The records of `ledger` that hold several events."""
        self.parts = Ledger()
        """Their events."""
        self.schemas = SchemaWaits()
        """Partitions that wait for the schema of their next record."""
        self.assigned: dict[Partition, Assigned] = {}
        self.letters: deque[PendingLetter] = deque()
        self.letters_blocked: str | None = None
        self.letters_blocked_since = 0.0
        self.commits_blocked: str | None = None
        """Why Kafka takes no commit now; None while it does, or nothing waits to be committed."""
        self.commits_blocked_since = 0.0
        self.commits_confirmed = 0
        self.stopped = False
        self.closes = False
        """Whether the last commit of a partition says that nothing of it is under way."""
        self.is_full = False
        """Whether the whole budget was used at the last look."""
        # Of hundreds of partitions few change between two looks. In the order of their changes.
        self._grown: dict[Assigned, None] = {}
        """Those that may hold too much: what came to them since the last look, or still is."""
        self._moved: dict[Assigned, None] = {}
        """Those whose commit may be another than the last that was confirmed."""

    # -- partitions come and go ---------------------------------------------------------------

    def assign(self, commits: Mapping[Partition, Commit | None], epoch: int, now: float) -> None:
        """These partitions are ours from the offsets that were committed for them."""
        # After a lost session there was no revoke in between.
        self.drop([partition for partition in commits if partition in self.assigned])
        for partition, commit in commits.items():
            known = commit
            if commit is not None and not self.policy.offset_map:
                known = Commit(commit.offset)
            start = start_of(partition, known, self.facts.append)
            assigned = Assigned(
                partition, epoch, Frontier(start), last_commit=commit, pinned_since=now
            )
            assigned.past_is_open = not is_closed(commit)
            self._own(assigned)

    def leave(self, partitions: Collection[Partition]) -> None:
        """These partitions will leave: what waits is given back, what is under way may end."""
        those = self._assigned_of(partitions)
        for assigned in those:
            assigned.leaving = True
            self._moved[assigned] = None
        self._holder.give_back(those)

    def drop(self, partitions: Collection[Partition]) -> None:
        """These partitions are gone: what is still out belongs to nobody and is fenced."""
        those = self._assigned_of(partitions)
        for assigned in those:
            del self.assigned[assigned.partition]
            assigned.gone = True
            self._grown.pop(assigned, None)
            self._moved.pop(assigned, None)
        self.schemas.forget(partitions)
        self._holder.give_back(those)
        kept: deque[PendingLetter] = deque()
        for letter in self.letters:
            if letter.assigned in those:
                # A letter of a whole record gives back the record; one of some events of it gives
                # back each of these, and the join gives back the record with its last event.
                if letter.join is None:
                    self.ledger.gave_back(letter.size_bytes)
                else:
                    for _ in letter.letter.events:
                        self.part_gave_back(letter.join)
                self._holder.let_go(letter)
            else:
                kept.append(letter)
        self.letters = kept
        if not kept:
            self.letters_blocked = None

    def is_busy(self, partitions: Collection[Partition]) -> bool:
        """Whether something of these partitions is under way, or an unconfirmed dead letter."""
        those = self._assigned_of(partitions)
        return self._holder.is_busy(those) or any(
            letter.assigned in those for letter in self.letters
        )

    def open_in(self, partitions: Collection[Partition]) -> int:
        """Records of these partitions that were taken and have no fate."""
        return sum(assigned.frontier.open_count for assigned in self._assigned_of(partitions))

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way and no dead letter unconfirmed.

        An attempt for a partition that is gone counts: it could arrive after what its next owner
        sends, so a stop waits for it as well.
        """
        return not self._holder.under_way and not self.letters

    def stop(self) -> None:
        """Take nothing more; what was taken may be settled."""
        self.stopped = True
        self._moved = dict.fromkeys(self.assigned.values())

    # -- records come and meet their fate -----------------------------------------------------

    # A record that was read, the first case that holds:
    #
    #     its partition waits for a schema      not taken: the source puts it back behind that
    #                                           record
    #     the partition is not ours, or leaves, fenced: a later assignment reads it again
    #     or it was read for an earlier one
    #     it stands before one that was taken   the log was cut and grew again: all that is known is
    #                                           about other records, so the partition begins anew
    #     an earlier process settled it         skipped; it counts as taken, so that the sum holds
    #     else                                  it is open from now on, and the engine's
    #
    # Holds after it: offsets of one assignment are taken in ascending order (`Frontier.taken`).
    def admit(self, record: Record, now: float) -> Assigned | None:
        """The partition of a record that somebody must settle now, or None.

        None: it belongs to an earlier assignment, an earlier process settled it, or it stands
        behind a record that waits for its schema, and comes again.
        """
        assigned = self.assigned.get(record.tp)
        if self.schemas.waits and assigned is not None and assigned.partition in self.schemas.waits:
            return None
        if assigned is None or assigned.leaving or assigned.epoch != record.epoch:
            self.ledger.fenced += 1
            return None
        offset = record.offset
        if assigned.frontier.is_rewind(offset):
            assigned = self._rewind(assigned, offset, now)
        known = assigned.frontier.seen_before(offset)
        assigned.frontier.taken(offset)
        self._grown[assigned] = self._moved[assigned] = None
        if known:
            self.ledger.took(0)
            self.ledger.settled(Fate.SKIPPED, "settled_before_restart", 0)
            return None
        return assigned

    def await_schema(self, assigned: Assigned, record: Record, key: SchemaKey, now: float) -> None:
        """A record that was just admitted cannot be read yet: its partition waits for the schema.

        It was not taken after all: the source puts it back.
        """
        assigned.frontier.withdraw(record.offset)
        self.schemas.begin(SchemaWait(assigned.partition, assigned.epoch, record.offset, key, now))

    def defect(self, record: Record, error: Exception) -> Unmappable:
        """Relay itself failed at a record: told with the place, and one dead letter."""
        self.facts.append(
            RecordDefective(
                position=record.position,
                error=type(error).__name__,
                trace=trace(error),
                trace_id=trace_id_of(record.headers),
            )
        )
        return Unmappable("defect", f"a defect of Relay ({type(error).__name__}): please report it")

    def settle(
        self, assigned: Assigned, offset: int, size_bytes: int, fate: Fate, code: str
    ) -> None:
        """A record met its fate. A partition may be gone by then: then nothing is settled."""
        assigned.frontier.finished(offset)
        assigned.settled_since_commit += 1
        self._moved[assigned] = None
        self.ledger.settled(fate, code, size_bytes)

    def took_joined(self, assigned: Assigned, record: Record, size_bytes: int, total: int) -> Join:
        """A record came that holds several events; `size_bytes` is the weight of all together."""
        self.ledger.took(size_bytes)
        self.joined.took(size_bytes)
        for _ in range(total):
            self.parts.took(0)
        return Join(assigned, record.offset, size_bytes, total, total)

    def settle_part(self, part: Part, fate: Fate, code: str) -> None:
        """One event of a record met its fate; with the last, the record does."""
        self.parts.settled(fate, code, 0)
        join = part.join
        join.settled(part.index, fate, code)
        self._end_joined(join)

    def part_gave_back(self, join: Join) -> None:
        """A partition leaves before one event of a record met a fate."""
        self.parts.gave_back(0)
        join.gave_back()
        self._end_joined(join)

    def dead_letter(self, pending: PendingLetter) -> None:
        """A record ends as a dead letter: settled when the broker has confirmed it."""
        self.letters.append(pending)

    def room(self) -> int:
        """How many records to ask for at once."""
        return room(self.policy, self.ledger.open)

    def paused(self) -> set[Partition]:
        """The partitions from which nothing may be taken now."""
        policy, ledger = self.policy, self.ledger
        aside = self._holder.set_aside()
        self.is_full = full(
            policy, ledger.open, ledger.open_bytes, was_full=self.is_full, aside=aside
        )
        # Paused are all, when the budget is used up or a stop has begun; else those that hold too
        # much (their offset map fills, or a user's lane is long), and those that wait for a schema.
        if self.is_full or self.stopped:
            return set(self.assigned)
        self._grown = {assigned: None for assigned in self._grown if self._holds_too_much(assigned)}
        return {assigned.partition for assigned in self._grown} | self.schemas.waits.keys()

    # -- dead letters -------------------------------------------------------------------------

    def next_letters(self, most: int) -> list[PendingLetter]:
        """Dead letters to be written, oldest first. They stay until `letters_written`."""
        return [self.letters[i] for i in range(min(most, len(self.letters)))]

    def letters_written(self, written: Sequence[PendingLetter]) -> None:
        """The broker confirmed these."""
        confirmed = set(written)
        self.letters = deque(letter for letter in self.letters if letter not in confirmed)
        self.letters_blocked = None
        for pending in written:
            letter = pending.letter
            # The broker has it, and the partition went while it was being written: whoever has the
            # partition now comes to its own conclusion. A letter too many, never a record too few.
            if pending.assigned.gone:
                self.ledger.fenced += 1
                continue
            self._holder.let_go(pending)
            cls, join = str(letter.cls), pending.join
            if join is None:
                self.settle(
                    pending.assigned,
                    letter.record.offset,
                    pending.size_bytes,
                    Fate.DEAD_LETTERED,
                    cls,
                )
            else:
                for index in letter.events:
                    self.settle_part(Part(join, index), Fate.DEAD_LETTERED, cls)
            self.facts.append(
                RecordDeadLettered(
                    position=letter.record.position,
                    cls=letter.cls,
                    code=letter.code,
                    reason=letter.reason,
                    status=letter.status,
                    attempts=letter.attempts,
                    trace_id=trace_id_of(letter.record.headers),
                )
            )

    def letters_failed(self, reason: str, now: float) -> None:
        """The broker did not confirm: nothing may pass until it does."""
        if not self.letters:
            return  # their partitions left while they were being written
        if self.letters_blocked is None:
            self.letters_blocked_since = now
        self.letters_blocked = reason

    # -- commits ------------------------------------------------------------------------------

    def commits(self, now: float) -> dict[Partition, Commit]:
        """What has changed since the last commit that was confirmed."""
        changed: dict[Partition, Commit] = {}
        # `closed`: it is the last commit of a partition, and nothing of it is under way, so its
        # next owner need not wait for answers that may still come (`Assigned.past_is_open`).
        for assigned in list(self._moved):
            ends = self.closes and (self.stopped or assigned.leaving)
            closed = ends and not self._holder.is_busy({assigned})
            policy = self.policy
            # A partition is looked at again while its commit may still change:
            #
            #     it moved, and the commit is news         sent; looked at again when it was
            #                                              confirmed
            #     it is leaving, and something is busy     looked at again: the mark "closed" is to
            #                                              come
            #     else                                     not before something of it is settled
            commit = commit_of(
                assigned, policy.map_bytes_max, with_map=policy.offset_map, closed=closed
            )
            self._grown[assigned] = None  # a fuller map leaves room for less
            self._note_pin(assigned, now)
            if is_news(assigned, commit):
                changed[assigned.partition] = commit
                assigned.settled_in_commit = assigned.settled_since_commit
            elif closed == ends:
                del self._moved[assigned]
        return changed

    def committed(self, commits: Mapping[Partition, Commit]) -> None:
        """The broker confirmed these, which were sent together."""
        self.commits_confirmed += 1
        for partition, commit in commits.items():
            assigned = self.assigned.get(partition)
            if assigned is not None:
                assigned.last_commit = commit
                assigned.settled_since_commit -= assigned.settled_in_commit
                assigned.settled_in_commit = 0

    def commit_failed(self, reason: str, now: float) -> None:
        """The broker did not confirm a commit; the next one holds all that it held."""
        if self.commits_blocked is None:
            self.commits_blocked_since = now
        self.commits_blocked = reason

    @property
    def by_event(self) -> Ledger:
        """The ledger of records, counted by event: most records are one."""
        return self.ledger.by_event(self.joined, self.parts)

    @property
    def uncommitted(self) -> int:
        """Records that were settled and that no confirmed commit covers."""
        return sum(assigned.settled_since_commit for assigned in self.assigned.values())

    # -- inside -------------------------------------------------------------------------------

    def _end_joined(self, join: Join) -> None:
        """Once, with the last event: the record is settled, or given back with what was not."""
        if join.open:
            return
        if join.returned:
            self.ledger.gave_back(join.size_bytes)
            self.joined.gave_back(join.size_bytes)
        else:
            self.settle(join.assigned, join.offset, join.size_bytes, join.fate, join.code)
            self.joined.settled(join.fate, join.code, join.size_bytes)

    def _assigned_of(self, partitions: Collection[Partition]) -> set[Assigned]:
        return {self.assigned[p] for p in partitions if p in self.assigned}

    def _own(self, assigned: Assigned) -> None:
        self.assigned[assigned.partition] = assigned
        self._moved[assigned] = None

    def _rewind(self, assigned: Assigned, offset: int, now: float) -> Assigned:
        """The log was cut and grew again: what is known of its offsets is about other records."""
        self.facts.append(
            PartitionRewound(
                partition=str(assigned.partition),
                expected=assigned.frontier.next_offset,
                offset=offset,
            )
        )
        self.drop([assigned.partition])
        fresh = Assigned(
            assigned.partition,
            assigned.epoch,
            Frontier(OffsetMap(offset, offset)),
            pinned_since=now,
        )
        self._own(fresh)
        return fresh

    def _note_pin(self, assigned: Assigned, now: float) -> None:
        pinned = assigned.frontier.lowest_open
        if pinned != assigned.pinned_at:
            assigned.pinned_at, assigned.pinned_since = pinned, now
            self._holder.pinned(assigned)

    def _holds_too_much(self, assigned: Assigned) -> bool:
        allowance = partition_allowance(self.policy, assigned.map_fill)
        return self._holder.is_crowded(assigned) or assigned.frontier.open_count >= allowance
