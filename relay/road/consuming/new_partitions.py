"""Where reading of a partition without a commit begins, and whether it has to wait. Pure.

A partition may have no commit for three reasons:

| the group has committed | the partition | begins | waits |
|---|---|---|---|
| nothing of the topic | is there since before the group | where the settings say | no |
| other partitions of the topic | was added later | at its beginning | yes |
| other topics of the pattern | is of a topic that was found later | at its beginning | no |

When partitions are added, the keys of some users move. What they did before lies in old
partitions, perhaps in a backlog. So a partition that was added waits until the group has committed
what the old ones held when it was found; by then every earlier event has its fate.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from relay.model import Partition


class Begun:
    """Which topics the group has begun to read, as looked up before each join.

    Before, because the members of one assignment commit where they begin: looked up later, the
    commit of a faster member would make all other partitions seem to have been added.
    """

    def __init__(self, *, by_pattern: bool) -> None:
        self._by_pattern = by_pattern
        self._topics: set[str] = set()

    def unknown(self, topics: Collection[str]) -> set[str]:
        """Of these, the topics to look up: once begun, a topic stays so."""
        return set(topics) - self._topics

    def found(self, committed: Collection[Partition]) -> None:
        """These partitions have a commit of the group."""
        self._topics.update(partition.topic for partition in committed)

    def added(self, partition: Partition) -> bool:
        """Whether a partition without a commit was added to a topic that is being read."""
        return partition.topic in self._topics

    def begins_at_first(self, partition: Partition) -> bool:
        """Whether a partition without a commit begins at its beginning, whatever the settings."""
        later = self._by_pattern and bool(self._topics)
        return self.added(partition) or later


@dataclass(frozen=True, slots=True)
class Wait:
    """What a partition that was added waits for. Steady seconds."""

    since: float
    targets: Mapping[Partition, int]
    """For each old partition, one past what it held when the new one was found."""

    def missing(self, passed: Mapping[Partition, int]) -> int:
        """Records that the group has still to pass; `passed` has an offset for each partition."""
        return sum(max(0, end - passed.get(tp, 0)) for tp, end in self.targets.items())
