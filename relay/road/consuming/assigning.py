"""Who of a consumer group gets which partitions: as few as possible move, and none too early. Pure.

Kafka's own way takes every partition from every member at each change, so nobody reads until
the slowest has finished what it has under way. Here each member says in its request to join what
it holds, and keeps that unless the group is out of balance. A partition that has to move is given
to nobody at first: its holder sees that it is missing, finishes, commits, and joins again without
it; then it is free. (What Kafka calls cooperative rebalancing, KIP-429.)

| a partition is held by | and should go to | this time it is given to |
|---|---|---|
| nobody | M | M |
| M | M | M |
| M | N | nobody |
| M and N, by different generations | | decided as if by the later one only |
| M and N, by the same generation | | nobody: both give it up |
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from relay.model import Partition


@dataclass(frozen=True, slots=True)
class Member:
    """What a member says when it joins: what it reads, and what it holds since when."""

    topics: frozenset[str]
    holds: frozenset[Partition] = frozenset()
    generation: int = -1


def assign(
    members: Mapping[str, Member], partitions: Collection[Partition]
) -> dict[str, set[Partition]]:
    """What each member has from now on. Every member comes to the same result."""
    holders, disputed = _holders(members, partitions)
    target = _keep(members, holders, len(partitions))
    for partition in _in_turn(set(partitions) - {p for held in target.values() for p in held}):
        readers = [name for name, member in members.items() if partition.topic in member.topics]
        if readers:
            target[_least_loaded(readers, target, partition)].add(partition)
    return {
        name: {p for p in given if p not in disputed and holders.get(p, name) == name}
        for name, given in target.items()
    }


def _holders(
    members: Mapping[str, Member], partitions: Collection[Partition]
) -> tuple[dict[Partition, str], set[Partition]]:
    """Who holds what, and what two members hold."""
    # By the generation, the newest first: a member that was away claims what the others have been
    # given since, and its claim is older.
    there = set(partitions)
    holders: dict[Partition, str] = {}
    disputed: set[Partition] = set()
    for name, member in sorted(members.items(), key=lambda item: -item[1].generation):
        for partition in member.holds & there:
            other = holders.setdefault(partition, name)
            if other != name and members[other].generation == member.generation:
                disputed.add(partition)
    return holders, disputed


def _keep(
    members: Mapping[str, Member], holders: Mapping[Partition, str], count: int
) -> dict[str, set[Partition]]:
    """What each holds and may keep: at most its share, and of each topic as many as of others."""
    held: dict[str, set[Partition]] = {name: set() for name in members}
    for partition, name in holders.items():
        if partition.topic in members[name].topics:
            held[name].add(partition)
    # `more` members may have one above the share. Who holds more than may keep gives up one after
    # the other, always of the topic of which it holds most: so topics are spread as well.
    share, more = divmod(count, len(members)) if members else (0, 0)
    # Those that hold most are the ones that may have one more: nothing moves for it.
    for name in sorted(held, key=lambda name: (-len(held[name]), name)):
        room = share + (more > 0)
        more -= len(held[name]) > share and more > 0
        while len(held[name]) > room:
            held[name].remove(_of_the_fullest_topic(held[name]))
    return held


def _of_the_fullest_topic(held: Collection[Partition]) -> Partition:
    per_topic = Counter(partition.topic for partition in held)
    return max(held, key=lambda partition: (per_topic[partition.topic], partition))


def _in_turn(partitions: Collection[Partition]) -> list[Partition]:
    """By number, so that the topics take turns."""
    return sorted(partitions, key=lambda partition: (partition.number, partition.topic))


def _least_loaded(
    readers: Collection[str], target: Mapping[str, set[Partition]], partition: Partition
) -> str:
    def load(name: str) -> tuple[int, int, str]:
        same = sum(other.topic == partition.topic for other in target[name])
        return len(target[name]), same, name

    return min(readers, key=load)
