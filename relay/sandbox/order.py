"""Whether a user's events were stored in their order: sequence numbers or times in, breaks out.

The sandbox does not know what order a producer had in mind unless the events say so. An event may
carry a number that grows with each event of its user (the *sequence*, see
`SandboxOptions.order_property`); an event without one is judged by its `$ts`. The two are kept
apart: a sequence is compared with sequences, a time with times.

Only what is stored for the first time is judged. A sequence number that the user has already is
a repeated event, not a break.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from relay.sandbox.journal import EventSeen

# A user's known sequence numbers are cut to the upper half above this, so that memory is bounded.
KNOWN_MAX = 100_000


@dataclass(frozen=True, slots=True)
class OrderBreak:
    """An event that was stored after one that it should have preceded."""

    by: str
    value: int
    after: int


@dataclass(slots=True)
class OrderMarks:
    """The highest sequence number and time stored for one user."""

    seq: int | None = None
    ts: int | None = None
    known: set[int] = field(default_factory=set)

    def absorb(self, other: "OrderMarks") -> None:
        """The two users turn out to be one."""
        self.seq = _highest(self.seq, other.seq)
        self.ts = _highest(self.ts, other.ts)
        self.known |= other.known


@dataclass(slots=True)
class OrderJudgement:
    """What judging one request found."""

    breaks: list[OrderBreak] = field(default_factory=list)
    repeated_events: int = 0


def judge(marks: OrderMarks, events: Iterable[EventSeen]) -> OrderJudgement:
    """Judge `events`, now stored for the first time, against `marks`, and move the marks."""
    judgement = OrderJudgement()
    for event in events:
        # By the number where the event has one, else by its time; never one against the other.
        # Equal times are in order: many events happen within a millisecond.
        if event.seq is not None:
            _judge_sequence(marks, event.seq, judgement)
        elif event.ts is not None:
            if marks.ts is not None and event.ts < marks.ts:
                judgement.breaks.append(OrderBreak("ts", event.ts, marks.ts))
            marks.ts = _highest(marks.ts, event.ts)
    return judgement


def _judge_sequence(marks: OrderMarks, seq: int, judgement: OrderJudgement) -> None:
    if seq in marks.known:
        judgement.repeated_events += 1
        return
    if marks.seq is not None and seq < marks.seq:
        judgement.breaks.append(OrderBreak("seq", seq, marks.seq))
    marks.seq = _highest(marks.seq, seq)
    marks.known.add(seq)
    if len(marks.known) > KNOWN_MAX:
        marks.known = set(sorted(marks.known)[KNOWN_MAX // 2 :])


def _highest(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)
