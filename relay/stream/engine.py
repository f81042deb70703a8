"""What becomes of a record of the stream. No I/O, no clock, no async.

A record that holds several events meets its fate with the last of them (`Join`); each has a lane,
attempts and a letter of its own.

The engine reads each record and hands what is to be sent to the sender of its destination
(`relay.stream.sender`): one for each, all under one custody (`relay.road.custody`), which holds
partitions, commits and dead letters. The loop calls a method for each thing that happens (a record
came, an answer came) and asks what may leave next (`Sender.next_flight`). Every method runs to its
end, so there is nothing to lock, and the whole can be driven by a table, a property or a
simulation.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from relay.model import (
    DEFAULT_DESTINATION,
    DeadLetter,
    Fate,
    Moment,
    NeedsSchema,
    Parcel,
    Record,
    Undecodable,
    Unmappable,
    Unwanted,
)
from relay.road.consuming.intake import SetAside
from relay.road.custody import Custody
from relay.road.settling.assigned import Assigned, Part, PendingLetter
from relay.stream.interpret import Events, Interpret, Interpretation, Outcome
from relay.stream.letters import class_of, letter_of
from relay.stream.policy import EnginePolicy
from relay.stream.sender import Sender
from relay.stream.shares import NOTHING, Shares

Other: TypeAlias = Events | NeedsSchema | Undecodable | Unmappable | Unwanted
"""What a record may become that is not one event to be sent."""
TakeOther: TypeAlias = Callable[[Record, Other, Assigned, Moment], None]
_NO_OTHERS: Mapping[str, EnginePolicy] = MappingProxyType({})


class Engine:
    """See the module's docstring. Times are steady seconds; `Moment` adds the wall clock."""

    def __init__(
        self,
        policy: EnginePolicy,
        interpret: Interpret,
        rng: random.Random,
        *,
        name: str = DEFAULT_DESTINATION,
        others: Mapping[str, EnginePolicy] = _NO_OTHERS,
    ) -> None:
        """`policy` is that of the destination `name`, `others` those of further ones by name."""
        self.policy = policy
        self.interpret = interpret
        """Record → what it becomes."""
        self.take_other: TakeOther = self._take_other
        """What takes a record that is not one event to be sent; or whoever looks on and calls it.

        Nearly all records are one: those are looked at when they are answered
        (`Sender.take_answer`).
        """
        self.custody = Custody(policy.custody, self)
        self.sender = Sender(name, policy, self.custody, rng)
        """That of the first destination: of the only one, where there is one."""
        self.senders = {name: self.sender} | {
            other: Sender(other, its, self.custody, rng) for other, its in others.items()
        }
        self._shares: Shares | None = None
        # With one destination there is nothing to choose for each event.
        self._admit_parcel: Callable[[Parcel, Assigned, float, Part | None], None] = (
            self.sender.admit
        )
        if others:
            self._choose_for_each()
        self._rng = rng

    def add(self, others: Mapping[str, EnginePolicy]) -> None:
        """Further destinations, while it runs. What is on its way to one that was there goes on.

        `interpret` must name them from the same moment on, or after it.
        """
        made = {name: Sender(name, its, self.custody, self._rng) for name, its in others.items()}
        if made:
            self.senders = self.senders | made
            self._choose_for_each()

    def _choose_for_each(self) -> None:
        self._shares = Shares(self.policy.custody, tuple(self.senders.values()))
        self._admit_parcel = self._admit_to_its_sender

    # -- for the custody ----------------------------------------------------------------------

    def give_back(self, partitions: Collection[Assigned]) -> None:
        """`Holder.give_back`: what flies may land, and is fenced if its partition is gone."""
        for sender in self.senders.values():
            sender.give_back(partitions)

    def let_go(self, letter: PendingLetter) -> None:
        """`Holder.let_go`."""
        if letter.holds:
            self.senders[letter.letter.destination].lanes.release(letter.lane)

    # A partition is crowded when
    #
    #     it holds records for a destination that has used up its share of the budget (several
    #     destinations only: `relay.stream.shares`), or
    #     the lane of one of its users is as long as `user_records_max`.
    #
    # The second ends at a part of that length (`resume_below`), so that the partition is not paused
    # and resumed with every record. `Sender.admit` puts lanes in; they are taken out here only.
    def is_crowded(self, assigned: Assigned) -> bool:
        """`Holder.is_crowded`: too much waits for one user, or for one of its destinations."""
        if self._shares is not None and self._shares.is_fed_by(assigned):
            return True
        if not assigned.crowded:
            return False
        policy = self.policy.custody
        enough = policy.user_records_max * policy.resume_below
        assigned.crowded = {
            (name, lane)
            for name, lane in assigned.crowded
            if self.senders[name].lanes.length(lane) > enough
        }
        return bool(assigned.crowded)

    def set_aside(self) -> SetAside:
        """`Holder.set_aside`: what belongs to destinations that have used up their share."""
        if self._shares is None:
            return NOTHING
        ledger = self.custody.ledger
        return self._shares.look(ledger.open, ledger.open_bytes)

    def has_used_up_its_share(self, name: str) -> bool:
        """Whether nothing more of this destination's is taken, for the sake of the others."""
        return self._shares is not None and self._shares.is_used_up(self.senders[name])

    def pinned(self, assigned: Assigned) -> None:
        """`Holder.pinned`: from here on it is counted how long its turn may take."""
        assigned.when_pinned = {
            name: (sender.requests, sender.lanes.count) for name, sender in self.senders.items()
        }

    @property
    def under_way(self) -> int:
        """`Holder.under_way`: requests in flight."""
        return sum(sender.lanes.in_flight for sender in self.senders.values())

    def is_busy(self, partitions: Collection[Assigned]) -> bool:
        """`Holder.is_busy`: whether something of these partitions is in flight."""
        return any(assigned.in_flight for assigned in partitions)

    # -- records come -------------------------------------------------------------------------

    # A record that the custody lets in becomes one of these:
    #
    #     one event to be sent       a parcel in the lane of its user (nearly all of them)
    #     several events             each of them in its lane, or with a fate at once
    #     nothing to be sent         skipped, with the code of the reason
    #     unreadable, or unmappable  a dead letter with the reason
    #     a defect of ours           a dead letter that names the exception; the others go on
    #     of an unknown schema       not taken: its partition waits, and it comes again
    #
    # Only the first has a call of its own: what looks on at the others (`take_other`) costs it
    # nothing.
    def admit(self, record: Record, now: Moment) -> None:
        """A record was read: it waits in its lane, or has met its fate, or waits to be read."""
        assigned = self.custody.admit(record, now.steady)
        if assigned is None:
            return
        outcome: Interpretation
        try:
            outcome = self.interpret(record, now.wall_ms)
        except Exception as error:  # noqa: BLE001 - a defect at one record must not stop the others
            outcome = self.custody.defect(record, error)
        if isinstance(outcome, Parcel):
            self._admit_parcel(outcome, assigned, now.steady, None)
        else:
            self.take_other(record, outcome, assigned, now)

    # -- inside -------------------------------------------------------------------------------

    def _take_other(self, record: Record, outcome: Other, assigned: Assigned, now: Moment) -> None:
        if isinstance(outcome, Events):
            self._admit_events(record, outcome.outcomes, assigned, now.steady)
            return
        if isinstance(outcome, NeedsSchema):
            self.custody.await_schema(assigned, record, outcome.key, now.steady)
            return
        size = record.size_bytes
        self.custody.ledger.took(size)
        match outcome:
            case Unwanted():
                self.custody.settle(assigned, record.offset, size, Fate.SKIPPED, outcome.code)
            case Undecodable() | Unmappable():
                letter = letter_of(record, class_of(outcome), outcome)
                self.custody.dead_letter(PendingLetter(letter, assigned, size))

    def _admit_to_its_sender(
        self, parcel: Parcel, assigned: Assigned, now: float, part: Part | None
    ) -> None:
        sender = self.senders[parcel.destination]
        sender.admit(parcel, assigned, now, part)
        if self._shares is not None:
            self._shares.came(sender, assigned)

    def _admit_events(
        self, record: Record, outcomes: Sequence[Outcome], assigned: Assigned, now: float
    ) -> None:
        """A record of several events: all of them enter in their order, or have met their fate.

        Those that cannot be read or mapped share one letter, since all are known now.
        """
        # The weight of the record is counted once, beside what each parcel adds to it; the parts
        # are counted with no bytes of their own (`Custody.took_joined`).
        size = own = record.size_bytes
        for outcome in outcomes:
            size += outcome.size_bytes - own if isinstance(outcome, Parcel) else 0
        join = self.custody.took_joined(assigned, record, size, len(outcomes))
        # Holds here: the join counts all events before the first of them enters, so it cannot end
        # before the last did, even if every one of them meets its fate in this loop.
        dead: list[tuple[int, Undecodable | Unmappable]] = []
        for index, outcome in enumerate(outcomes):
            part = Part(join, index)
            if isinstance(outcome, Parcel):
                self._admit_parcel(outcome, assigned, now, part)
            elif isinstance(outcome, Unwanted):
                self.custody.settle_part(part, Fate.SKIPPED, outcome.code)
            else:
                dead.append((index, outcome))
        if not dead:
            return
        why = dead[0][1]
        letter = DeadLetter(
            record,
            class_of(why),
            why.code,
            why.reason,
            events=tuple(index for index, _ in dead),
            events_total=join.total,
            codes=tuple((index, one.code) for index, one in dead) if len(dead) > 1 else (),
        )
        self.custody.dead_letter(PendingLetter(letter, assigned, 0, join=join))
