"""Which partitions a member of the group holds, and by which assignment. Pure.

| a partition | is ours | is read | is claimed when we join |
|---|---|---|---|
| comes to us | from now on | once the listener knows | yes |
| stays with us | on | on | yes |
| leaves us | until the listener is done with it | no more | until it is done with |
| was ours when the group forgot us | until the listener is done with it | until then | no |

The group gives nobody what another member claims (`relay.road.consuming.assigning`).
"""

from collections.abc import Collection, Mapping

from relay.model import Partition

NONE: frozenset[Partition] = frozenset()


class Held:
    """Of one member. `epoch` counts the assignments that brought something."""

    def __init__(self) -> None:
        self.all = NONE
        """Ours, until we have finished with them."""
        self.coming = NONE
        """Of these, what the listener is being told of."""
        self.read = NONE
        """Of these, what records may be taken from."""
        self.epoch = 0
        self.forgotten = False
        """Whether the group does not know us any more: another may be given what is ours."""
        self._epochs: dict[Partition, int] = {}
        self._generation = -1

    def claim(self, *, is_member: bool) -> tuple[frozenset[Partition], int]:
        """What to say when we join: what is ours, and the generation that gave it to us."""
        if not is_member:
            self.forget()
        return (NONE, -1) if self.forgotten else (self.all, self._generation)

    def forget(self) -> None:
        """The group does not know us any more."""
        self.forgotten = bool(self.all)

    def rebalanced(self, generation: int) -> bool:
        """A rebalance is over; whether the first since we began."""
        is_first, self._generation = self._generation < 0, generation
        return is_first

    def begin(self, partitions: Collection[Partition]) -> int:
        """These are ours from now on; the number of their assignment."""
        self.epoch += 1
        self.coming = frozenset(partitions)
        self.all |= self.coming
        self._epochs.update(dict.fromkeys(partitions, self.epoch))
        return self.epoch

    def begun(self) -> None:
        """The listener knows of those that were coming."""
        self.read |= self.coming
        self.coming = NONE

    def leave(self, partitions: Collection[Partition]) -> None:
        """Nothing is taken from these any more."""
        self.read -= frozenset(partitions)

    def left(self, partitions: Collection[Partition]) -> None:
        """The listener has finished with these."""
        self.all -= frozenset(partitions)
        for partition in partitions:
            self._epochs.pop(partition, None)

    def epoch_of(self, partition: Partition) -> int:
        """By which assignment it is ours; 0 when it is not."""
        return self._epochs.get(partition, 0)

    def epochs(self, partitions: Collection[Partition]) -> Mapping[Partition, int] | None:
        """By which assignment each of these is ours; None when one is not surely so."""
        if self.forgotten or not self.all.issuperset(partitions):
            return None
        return {partition: self._epochs[partition] for partition in partitions}
