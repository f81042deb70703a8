"""What the custody keeps: a partition that is ours, a record of several events, a letter."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from relay.model import Commit, DeadLetter, Fate, Partition
from relay.road.settling.frontier import Frontier


@dataclass(slots=True, eq=False)
class Assigned:
    """A partition that is ours. Late results of an earlier assignment belong to another object."""

    partition: Partition
    epoch: int
    frontier: Frontier
    leaving: bool = False
    gone: bool = False
    in_flight: int = 0
    map_fill: float = 0.0
    crowded: set[tuple[str, Hashable]] = field(default_factory=set)
    """Lanes that hold too much, each with the name of its destination."""
    last_commit: Commit | None = None
    past_is_open: bool = False
    """Something of its earlier owner may still be under way."""
    settled_since_commit: int = 0
    settled_in_commit: int = 0
    pinned_at: int | None = None
    pinned_since: float = 0.0
    when_pinned: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Requests so far and lanes of each destination, when the frontier was pinned."""


_WEIGHT = {Fate.SKIPPED: 0, Fate.DELIVERED: 1, Fate.DEAD_LETTERED: 2}


@dataclass(slots=True, eq=False)
class Join:
    """A record that holds several events: its fate comes when the last of them has one.

    The fates of its events, in any order of their coming → the fate of the record:

    - one of them dead-lettered: dead-lettered, with the code of the first such event;
    - else one of them delivered: delivered;
    - else skipped, with the code of the first event.

    One of them given back, because the partition leaves: the record is given back, whatever became
    of the others. It comes again as a whole.
    """

    assigned: Assigned
    offset: int
    size_bytes: int
    """What the record and all its events weigh; released when the last has its fate."""
    total: int
    open: int
    returned: bool = False
    fate: Fate = Fate.SKIPPED
    code: str = ""
    _decided_by: int = -1

    def settled(self, index: int, fate: Fate, code: str) -> None:
        """One event met its fate."""
        self.open -= 1
        # The heavier fate decides; of equal ones, that of the earliest event, whichever came first:
        # after a restart the same record must end with the same code.
        more = _WEIGHT[fate] - _WEIGHT[self.fate]
        if self._decided_by < 0 or more > 0 or (more == 0 and index < self._decided_by):
            self.fate, self.code, self._decided_by = fate, code, index

    def gave_back(self) -> None:
        """The partition left before one event met a fate."""
        self.open -= 1
        self.returned = True


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One event of a record that holds several: which, from 0, in the order of the record."""

    join: Join
    index: int


@dataclass(slots=True, eq=False)
class PendingLetter:
    """A dead letter that the broker has not confirmed yet."""

    letter: DeadLetter
    assigned: Assigned = field(repr=False)
    size_bytes: int
    lane: Hashable | None = field(default=None, repr=False)
    holds: bool = False
    """Whether its lane waits for it: were a successor sent and then the process killed, the record
    would be tried again, after its successor."""
    join: Join | None = field(default=None, repr=False)
    """The record whose events `letter.events` are, when it holds several."""


def lags(
    assigned: Mapping[Partition, Assigned], ends: Mapping[Partition, int]
) -> dict[Partition, int]:
    """Records of each partition that are not settled: not read yet, or read and open."""
    return {
        partition: max(0, end - one.frontier.next_offset) + one.frontier.open_count
        for partition, end in ends.items()
        if (one := assigned.get(partition)) is not None
    }
