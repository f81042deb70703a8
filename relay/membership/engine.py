"""Files of segment commands: what becomes of a membership event. No I/O, no clock, no async.

As in `relay.stream.engine`, the custody beside it holds partitions, commits and dead letters; the
loop calls a method for each thing that happens and asks what may be done next.
"""

import random
from collections.abc import Collection, Iterable, Sequence

from relay.membership.batches import Batch, Batches, DeadLetterReason, Taken, Unit
from relay.membership.mapping import OTHER_EVENT, Change, Changes, Changing, Several, command
from relay.membership.policy import MembershipCode, MembershipPolicy
from relay.model import (
    DeadLetter,
    DeadLetterClass,
    Fate,
    Moment,
    NeedsSchema,
    Record,
    Unmappable,
    Unwanted,
)
from relay.road.consuming.intake import SetAside
from relay.road.custody import Custody
from relay.road.settling.assigned import Assigned, PendingLetter
from relay.road.settling.commits import is_closed
from relay.segments.formats import encoder
from relay.segments.hints import Hints
from relay.segments.model import SegmentCommand
from relay.segments.outcome import Failed, Landed, Unclear

_OVERHEAD_BYTES = 2500
"""The objects around the bytes of a record that waits: record, change, lane, open offset."""


class MembershipEngine:
    """See the module's docstring. Times are steady seconds; `Moment` adds the wall clock."""

    def __init__(self, policy: MembershipPolicy, changing: Changing, rng: random.Random) -> None:
        self.policy = policy
        self._changing = changing
        self.batches = Batches(policy, rng)
        self.custody = Custody(policy.custody, self)
        self.custody.closes = True
        self.imports: dict[str, int] = {}
        """Executions that ended, by outcome."""
        self.commands = 0
        """Lines that were sent, each time counted."""
        self.held_because: str | None = None
        self.held_since = 0.0
        form = policy.changes.form
        # Every column in every file: which ones a file needs is known only when it is whole.
        self._codec = encoder(form, tuple(SegmentCommand.model_fields))

    @property
    def header(self) -> bytes:
        """What opens each file."""
        return self._codec.header

    # -- for the custody ----------------------------------------------------------------------

    def give_back(self, partitions: Collection[Assigned]) -> None:
        """`Holder.give_back`: what flies may end, until its partition is gone."""
        under_way = {held for batch in self.batches.flying for held in batch.held()}

        def leaves(unit: Unit) -> bool:
            assigned = unit.held.assigned
            return assigned in partitions and (assigned.gone or unit.held not in under_way)

        dropped = {id(unit.held): unit.held for unit in self.batches.drop(leaves)}
        for held in dropped.values():
            self.custody.ledger.gave_back(held.size_bytes)

    def let_go(self, letter: PendingLetter) -> None:
        """`Holder.let_go`: nothing waits for a single letter here, see `_may_fly`."""

    def set_aside(self) -> SetAside:
        """`Holder.set_aside`: nothing, there is one place to go."""
        return SetAside()

    def is_crowded(self, _assigned: Assigned) -> bool:
        """`Holder.is_crowded`: never, however many changes one member has."""
        return False

    def pinned(self, assigned: Assigned) -> None:
        """`Holder.pinned`: nothing is counted from here on."""

    @property
    def under_way(self) -> int:
        """`Holder.under_way`: the files that fly."""
        return len(self.batches.flying)

    def is_busy(self, partitions: Collection[Assigned]) -> bool:
        """`Holder.is_busy`: whether something of these partitions flies."""
        return any(
            held.assigned in partitions for batch in self.batches.flying for held in batch.held()
        )

    # -- records come -------------------------------------------------------------------------

    def admit(self, record: Record, now: Moment) -> None:
        """A record was read: its changes wait, or it has met its fate."""
        assigned = self.custody.admit(record, now.steady)
        if assigned is None:
            return
        outcome: Changes | Several | NeedsSchema
        try:
            outcome = self._changing(record, now.wall_ms)
        except Exception as error:  # noqa: BLE001 - a defect at one record must not stop the others
            outcome = self.custody.defect(record, error)
        if isinstance(outcome, NeedsSchema):
            self.custody.await_schema(assigned, record, outcome.key, now.steady)
            return
        held = Taken(record, assigned, record.size_bytes, 0)
        if isinstance(outcome, Several):
            held.events_total = len(outcome.outcomes)
            self._admit(held, outcome.outcomes, now)
        else:
            self._admit(held, (outcome,), now)

    def _admit(self, held: Taken, outcomes: Sequence[Changes], now: Moment) -> None:
        """What each event of a record asks for; the record meets its fate with the last change.

        - changes of any event: they wait, whatever is wrong with other events;
        - else an event that cannot be imported: a dead letter;
        - else it is skipped, as a segment event if one of them is.
        """
        units: list[Unit] = []
        skipped = OTHER_EVENT
        for event, outcome in enumerate(outcomes):
            match outcome:
                case Unwanted():
                    skipped = outcome if skipped is OTHER_EVENT else skipped
                case Unmappable():
                    held.reasons[event] = DeadLetterReason(
                        DeadLetterClass.UNMAPPABLE, outcome.code, outcome.reason
                    )
                case changes:
                    units += [Unit(held, change, event) for change in changes]
        ledger = self.custody.ledger
        if not units and not held.reasons:
            ledger.took(0)
            self.custody.settle(held.assigned, held.record.offset, 0, Fate.SKIPPED, skipped.code)
            return
        held.open_changes = len(units)
        held.size_bytes += _OVERHEAD_BYTES * len(units)
        ledger.took(held.size_bytes)
        for unit in units:
            self.batches.add(unit, now.steady)
        if not units:
            self._end(held)

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

    def ended(
        self, batch: Batch, outcome: Landed | Unclear | Failed, hints: Hints, now: float
    ) -> None:
        """A file came to its end; `hints` are about the lines that were rejected."""
        batches = self.batches
        match outcome:
            case Landed(_, rejected):
                self._count("rejections" if rejected else "succeeded")
                settled = batches.landed(batch, hints.why if rejected else None, now)
                self._finish(settled, DeadLetterClass.REFUSED, MembershipCode.LINE_REJECTED)
            case Unclear(_, rejected):
                self._count("unclear")
                batches.unclear(batch, rejected, hints.named)
            case Failed(reason, refused=None):
                self._count("failed")
                settled = batches.failed(batch, reason, now)
                self._finish(settled, DeadLetterClass.EXHAUSTED, MembershipCode.IMPORT_FAILED)
            case Failed(reason):
                self._count("refused")
                settled = batches.refused(batch, reason, now)
                self._finish(settled, DeadLetterClass.REFUSED, MembershipCode.IMPORT_REFUSED)

    def held(self, reason: str, now: float) -> None:
        """The platform cannot be asked."""
        if self.held_because is None:
            self.held_since = now
        self.held_because = reason

    # -- inside -------------------------------------------------------------------------------

    def _may_fly(self) -> bool:
        # Nothing may pass a dead letter that is not confirmed: were we killed then, its record
        # would be tried again behind what came after it.
        custody = self.custody
        if custody.stopped or custody.letters:
            return False
        # Nor may anything fly while a commit says that nothing does: the next one, within a
        # second, takes that back.
        return not any(
            assigned.leaving or (is_closed(assigned.last_commit) and assigned.frontier.open_count)
            for assigned in custody.assigned.values()
        )

    @property
    def _hurry(self) -> bool:
        """Nothing more can come until something is settled."""
        return self.custody.is_full

    def _line(self, change: Change, now_ms: int) -> bytes:
        return self._codec.line(command(change, self.policy.changes.expiration_minutes, now_ms))

    def _count(self, outcome: str) -> None:
        self.held_because = None
        self.imports[outcome] = self.imports.get(outcome, 0) + 1

    def _finish(self, settled: Iterable[Unit], cls: DeadLetterClass, code: str) -> None:
        """Changes are settled; a record whose last one that was meets its fate."""
        for unit in settled:
            held = unit.held
            held.open_changes -= 1
            if unit.reason is not None:
                held.reasons.setdefault(unit.event, DeadLetterReason(cls, code, unit.reason))
            if not held.open_changes:
                self._end(held)

    def _end(self, held: Taken) -> None:
        """Nothing of the record is open: it is settled, or one letter names what died of it."""
        if not held.reasons:
            self.custody.settle(
                held.assigned, held.record.offset, held.size_bytes, Fate.DELIVERED, ""
            )
            return
        events = tuple(sorted(held.reasons))
        why = held.reasons[events[0]]
        letter = DeadLetter(
            held.record,
            why.cls,
            why.code,
            why.reason,
            attempts=held.attempts,
            first_attempt_ms=held.first_attempt_ms,
            last_attempt_ms=held.last_attempt_ms,
            events=events if held.events_total else (),
            events_total=held.events_total,
            codes=tuple((event, held.reasons[event].code) for event in events)
            if len(events) > 1
            else (),
        )
        self.custody.dead_letter(PendingLetter(letter, held.assigned, held.size_bytes))
