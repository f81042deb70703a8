"""The state of the road of membership events, and every change to it. No I/O, no clock, no async.

As in `relay.stream.engine`: the loop calls a method for each thing that happens and asks what may
be done next; every method runs to its end.
"""

import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from relay.membership.batches import Batch, Batches, Held, Over, Unit
from relay.membership.mapping import Change, Changing, command
from relay.membership.policy import MembershipCode, MembershipPolicy
from relay.membership.verdict import Failed, Landed, Unclear
from relay.model import (
    Commit,
    DeadLetter,
    DeadLetterClass,
    Fate,
    Moment,
    Partition,
    Record,
    Unmappable,
    Unwanted,
)
from relay.road.consuming.intake import full, partition_allowance, room
from relay.road.settling.assigned import Assigned
from relay.road.settling.commits import commit_of, is_news, start_of
from relay.road.settling.frontier import Frontier
from relay.road.settling.ledger import Ledger
from relay.road.settling.offset_map import OffsetMap
from relay.segments.formats import encoder
from relay.segments.model import SegmentCommand
from relay.telemetry.facts import Fact, PartitionRewound, RecordDeadLettered

_OVERHEAD_BYTES = 2500
"""The objects around the bytes of a record that waits: record, change, lane, open offset."""


@dataclass(slots=True, eq=False)
class Letter:
    """A dead letter that the broker has not confirmed yet."""

    letter: DeadLetter
    home: Assigned = field(repr=False)
    size_bytes: int


class MembershipEngine:
    """See the module's docstring. Times are steady seconds; `Moment` adds the wall clock."""

    def __init__(self, policy: MembershipPolicy, changing: Changing, rng: random.Random) -> None:
        self.policy = policy
        self._changing = changing
        self.batches = Batches(policy.gather, policy.trouble, rng)
        self.facts: list[Fact] = []
        self.ledger = Ledger()
        self.assigned: dict[Partition, Assigned] = {}
        self.letters: deque[Letter] = deque()
        self.letters_blocked: str | None = None
        self.letters_blocked_since = 0.0
        self.imports: dict[str, int] = {}
        """Executions that ended, by outcome."""
        self.commands = 0
        """Lines that were sent, each time counted."""
        self.held_because: str | None = None
        self.held_since = 0.0
        form = policy.changes.form
        # Every column in every file: which ones a file needs is known only when it is whole.
        self._codec = encoder(form, tuple(SegmentCommand.model_fields))
        self._full = False
        self._stopped = False

    @property
    def header(self) -> bytes:
        """What opens each file."""
        return self._codec.header

    # -- partitions come and go ---------------------------------------------------------------

    def assign(self, commits: Mapping[Partition, Commit | None], epoch: int, now: float) -> None:
        """These partitions are ours from the offsets that were committed for them."""
        self.drop([partition for partition in commits if partition in self.assigned])
        for partition, commit in commits.items():
            start = start_of(partition, commit, self.facts.append)
            self.assigned[partition] = Assigned(
                partition, epoch, Frontier(start), last_commit=commit, pinned_since=now
            )

    def leave(self, partitions: Collection[Partition]) -> None:
        """These partitions will leave: what waits is given back, what flies may land."""
        homes = {self.assigned[p] for p in partitions if p in self.assigned}
        for home in homes:
            home.leaving = True
        flying = set() if self.batches.flying is None else set(self.batches.flying.held())
        self._forget(lambda held: held.home in homes and held not in flying)

    def drop(self, partitions: Collection[Partition]) -> None:
        """These partitions are gone: what is still out belongs to nobody."""
        homes = {self.assigned.pop(p) for p in partitions if p in self.assigned}
        self._forget(lambda held: held.home in homes)
        for letter in [letter for letter in self.letters if letter.home in homes]:
            self.ledger.gave_back(letter.size_bytes)
        self.letters = deque(letter for letter in self.letters if letter.home not in homes)
        if not self.letters:
            self.letters_blocked = None

    def busy(self, partitions: Collection[Partition]) -> bool:
        """Whether something of these partitions flies, or is on its way to the dead letters."""
        homes = {self.assigned[p] for p in partitions if p in self.assigned}
        flying = self.batches.flying
        return any(letter.home in homes for letter in self.letters) or (
            flying is not None and any(held.home in homes for held in flying.held())
        )

    def stop(self) -> None:
        """Start nothing new; what flies may land."""
        self._stopped = True

    # -- records come -------------------------------------------------------------------------

    def admit(self, record: Record, now: Moment) -> None:
        """A record was read: its changes wait, or it has met its fate."""
        home = self.assigned.get(record.tp)
        if home is None or home.leaving or home.epoch != record.epoch:
            self.ledger.fenced += 1
            return
        if home.frontier.is_rewind(record.offset):
            home = self._rewind(home, record.offset, now.steady)
        known = home.frontier.seen_before(record.offset)
        home.frontier.taken(record.offset)
        if known:
            self.ledger.took(0)
            self.ledger.settled(Fate.SKIPPED, "settled_before_restart", 0)
            return
        outcome = self._changing(record, now.wall_ms)
        match outcome:
            case Unwanted():
                self.ledger.took(0)
                self._settle(home, record, 0, Fate.SKIPPED, outcome.code)
            case Unmappable():
                self.ledger.took(record.size_bytes)
                self._bury(
                    Held(record, home, record.size_bytes, 0),
                    DeadLetterClass.UNMAPPABLE,
                    outcome.code,
                    outcome.reason,
                )
            case changes:
                size = record.size_bytes + _OVERHEAD_BYTES * len(changes)
                self.ledger.took(size)
                held = Held(record, home, size, len(changes))
                for change in changes:
                    self.batches.add(Unit(held, change), now.steady)

    def room(self) -> int:
        """How many records to ask for at once."""
        return room(self.policy.intake, self.ledger.open)

    def paused(self) -> set[Partition]:
        """The partitions from which nothing may be taken now."""
        policy, ledger = self.policy.intake, self.ledger
        self._full = full(policy, ledger.open, ledger.open_bytes, was_full=self._full)
        if self._full or self._stopped:
            return set(self.assigned)
        return {
            partition
            for partition, home in self.assigned.items()
            if home.frontier.open_count >= partition_allowance(policy, home.map_fill)
        }

    # -- files leave and executions end -------------------------------------------------------

    def next_batch(self, now: Moment) -> Batch | None:
        """The next file, or None: see `wakes_at`."""
        if not self._may_fly():
            return None
        batch = self.batches.next(
            now.steady, lambda change: self._line(change, now.wall_ms), hurry=self._hurry
        )
        if batch is not None:
            self.commands += len(batch.lines)
            for held in batch.held():
                held.attempts += 1
                held.last_attempt_ms = now.wall_ms
                held.first_attempt_ms = held.first_attempt_ms or now.wall_ms
        return batch

    def wakes_at(self) -> float | None:
        """When `next_batch` may have something without anything else happening before."""
        if not self._may_fly():
            return None
        return self.batches.wakes_at(hurry=self._hurry)

    def ended(self, batch: Batch, verdict: Landed | Unclear | Failed, now: float) -> None:
        """An execution came to its end."""
        self.held_because = None
        match verdict:
            case Landed(reasons):
                rejected = any(reason is not None for reason in reasons)
                self._count("rejections" if rejected else "succeeded")
                self._finish(
                    self.batches.landed(batch, reasons, now),
                    DeadLetterClass.REFUSED,
                    MembershipCode.LINE_REJECTED,
                )
            case Unclear(suspects):
                self._count("unclear")
                self.batches.unclear(batch, suspects)
            case Failed(reason):
                self._count("failed")
                over = self.batches.failed(batch, reason, now)
                self._finish(over, DeadLetterClass.EXHAUSTED, MembershipCode.IMPORT_FAILED)

    def refused(self, batch: Batch, reason: str, now: float) -> None:
        """The platform did not take the file."""
        self.held_because = None
        self._count("refused")
        over = self.batches.refused(batch, reason, now)
        self._finish(over, DeadLetterClass.REFUSED, MembershipCode.IMPORT_REFUSED)

    def held_up(self, batch: Batch, reason: str, now: float) -> None:
        """The file could not be sent, by no fault of its own."""
        self.held(reason, now)
        self.batches.put_back(batch, now)

    def held(self, reason: str, now: float) -> None:
        """The platform cannot be asked."""
        if self.held_because is None:
            self.held_since = now
        self.held_because = reason

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
            if self.assigned.get(item.home.partition) is not item.home:
                self.ledger.fenced += 1
                continue
            record = letter.record
            self._settle(item.home, record, item.size_bytes, Fate.DEAD_LETTERED, str(letter.cls))
            self.facts.append(
                RecordDeadLettered(
                    position=record.position,
                    cls=letter.cls,
                    code=letter.code,
                    reason=letter.reason,
                    status=letter.status,
                    attempts=letter.attempts,
                )
            )

    def commits(self) -> dict[Partition, Commit]:
        """What has changed since the last commit that was confirmed."""
        changed: dict[Partition, Commit] = {}
        for partition, home in self.assigned.items():
            commit, _ = commit_of(home, self.policy.map_bytes_max)
            if is_news(home, commit):
                changed[partition] = commit
        return changed

    def committed(self, commits: Mapping[Partition, Commit]) -> None:
        """The broker confirmed these."""
        for partition, commit in commits.items():
            home = self.assigned.get(partition)
            if home is not None:
                home.last_commit = commit

    def letters_failed(self, reason: str, now: float) -> None:
        """The broker did not confirm: nothing flies until it does."""
        if self.letters and self.letters_blocked is None:
            self.letters_blocked_since = now
        self.letters_blocked = reason if self.letters else None

    # -- inside -------------------------------------------------------------------------------

    def _may_fly(self) -> bool:
        # Nothing may pass a dead letter that is not confirmed: were we killed then, its record
        # would be tried again behind what came after it.
        leaving = any(home.leaving for home in self.assigned.values())
        return not (self._stopped or self.letters or leaving)

    def _forget(self, gone: Callable[[Held], bool]) -> None:
        """Give records back whose partition leaves."""
        dropped = self.batches.drop(lambda unit: gone(unit.held))
        for held in {id(unit.held): unit.held for unit in dropped}.values():
            self.ledger.gave_back(held.size_bytes)

    def _rewind(self, home: Assigned, offset: int, now: float) -> Assigned:
        """The log was cut and grew again: what is known of its offsets is about other records."""
        self.facts.append(
            PartitionRewound(
                partition=str(home.partition), expected=home.frontier.next_offset, offset=offset
            )
        )
        self.drop([home.partition])
        fresh = Assigned(
            home.partition, home.epoch, Frontier(OffsetMap(offset, offset)), pinned_since=now
        )
        self.assigned[home.partition] = fresh
        return fresh

    @property
    def _hurry(self) -> bool:
        """Nothing more can come until something is settled."""
        return self._full

    def _line(self, change: Change, now_ms: int) -> bytes:
        return self._codec.line(command(change, self.policy.changes.expiration_minutes, now_ms))

    def _count(self, outcome: str) -> None:
        self.imports[outcome] = self.imports.get(outcome, 0) + 1

    def _finish(self, over: Iterable[Over], cls: DeadLetterClass, code: str) -> None:
        """Changes are settled; a record whose last one that was meets its fate."""
        for item in over:
            held = item.unit.held
            held.open_changes -= 1
            if item.reason is not None and held.letter is None:
                held.letter = self._letter(held, cls, code, item.reason)
            if held.open_changes:
                continue
            if held.letter is None:
                self._settle(held.home, held.record, held.size_bytes, Fate.DELIVERED, "")
            else:
                self.letters.append(Letter(held.letter, held.home, held.size_bytes))

    def _bury(self, held: Held, cls: DeadLetterClass, code: str, reason: str) -> None:
        letter = self._letter(held, cls, code, reason)
        self.letters.append(Letter(letter, held.home, held.size_bytes))

    def _letter(self, held: Held, cls: DeadLetterClass, code: str, reason: str) -> DeadLetter:
        return DeadLetter(
            held.record,
            cls,
            code,
            reason,
            attempts=held.attempts,
            first_attempt_ms=held.first_attempt_ms,
            last_attempt_ms=held.last_attempt_ms,
        )

    def _settle(self, home: Assigned, record: Record, size: int, fate: Fate, code: str) -> None:
        home.frontier.finished(record.offset)
        self.ledger.settled(fate, code, size)
