"""What was produced to each partition lately → which part of the group's work is ours. Pure.

Partitions are seldom equal. A member whose partitions get more than others needs more of a rate
that the whole group shares, and what the others are given beyond their need is used by nobody. All
members read the same ends of the same logs, so each can work out its own part, and the parts add up
to one without a word between the members.

Counted is what was produced in about the last minute, and a tenth of a record more for each
partition: where nothing was produced, or nothing is known yet, the number of partitions decides.
A member that has just begun looks again after a second, then later and later.
"""

import math
from collections.abc import Collection, Mapping

from relay.model import Partition

_LATELY_S = 60.0
"""What was produced so long ago counts a third of what is produced now."""
_EACH = 0.1  # of a record, for each partition: decides only where next to nothing is produced
_LOOK_FIRST_S = 1.0  # two looks are needed before anything is known
_LOOK_EVERY_S = 10.0  # a share that is some seconds old is wrong by little


class ProducedShare:
    """Told where all partitions end, every few seconds. Steady seconds."""

    def __init__(self) -> None:
        self._ends: dict[Partition, int] = {}
        self._produced: dict[Partition, float] = {}
        self._total = 0.0
        self._told_at = 0.0
        self._next_s = _LOOK_FIRST_S

    def told(self, ends: Mapping[Partition, int], now: float) -> None:
        """Brokers named the ends of these; one of which nothing was heard is counted later."""
        kept = math.exp((self._told_at - now) / _LATELY_S)
        self._told_at = now
        for partition in self._produced:
            self._produced[partition] *= kept
        for partition, end in ends.items():
            before = self._ends.get(partition, end)
            # A topic that was made anew begins at 0.
            produced = self._produced.get(partition, 0.0) + max(0, end - before)
            self._produced[partition] = produced
            self._ends[partition] = end
        self._total = sum(self._produced.values())

    def look_again_s(self) -> float:
        """How long after this look the next one is due."""
        wait_s, self._next_s = self._next_s, min(2 * self._next_s, _LOOK_EVERY_S)
        return wait_s

    def keep(self, partitions: Collection[Partition]) -> None:
        """Forget all others: their topics are gone."""
        for partition in self._ends.keys() - set(partitions):
            del self._ends[partition], self._produced[partition]

    def of(self, ours: Collection[Partition], partitions: int) -> float:
        """Our part, 0 to 1, of what that many partitions get; 1 where there are none."""
        if len(ours) >= partitions:
            return 1.0
        produced = sum(self._produced.get(partition, 0.0) for partition in ours)
        return min(1.0, (produced + _EACH * len(ours)) / (self._total + _EACH * partitions))
