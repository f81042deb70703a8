"""The custody's record of one assigned partition, and of one dead letter that waits."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from relay.model import Commit, DeadLetter, Partition
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
    crowded: set[Hashable] = field(default_factory=set)
    last_commit: Commit | None = None
    past_is_open: bool = False
    """Something of its earlier owner may still be under way."""
    settled_since_commit: int = 0
    settled_in_commit: int = 0
    pinned_at: int | None = None
    pinned_since: float = 0.0
    requests_when_pinned: int = 0
    lanes_when_pinned: int = 0


@dataclass(slots=True, eq=False)
class PendingLetter:
    """A dead letter that the broker has not confirmed yet."""

    letter: DeadLetter
    home: Assigned = field(repr=False)
    size_bytes: int
    lane: Hashable | None = field(default=None, repr=False)
    holds: bool = False
    """Whether its lane waits for it: were a successor sent and then the process killed, the record
    would be tried again, after its successor."""


def lags(
    assigned: Mapping[Partition, Assigned], ends: Mapping[Partition, int]
) -> dict[Partition, int]:
    """Records of each partition that are not settled: not read yet, or read and open."""
    return {
        partition: max(0, end - home.frontier.next_offset) + home.frontier.open_count
        for partition, end in ends.items()
        if (home := assigned.get(partition)) is not None
    }
