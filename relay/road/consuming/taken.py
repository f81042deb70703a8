"""How far each partition has been handed out, and how much of that is not committed. Pure."""

from collections.abc import Iterable

from relay.model import Partition


class Taken:
    """Since each came to us. Counts offsets, which is at most a little more than records."""

    def __init__(self) -> None:
        self._next: dict[Partition, int] = {}
        self._open: dict[Partition, int] = {}
        """For each partition the lowest offset that no commit has passed."""

    def begins(self, partition: Partition, offset: int) -> None:
        """Reading begins there, unless something was handed out already."""
        self._next.setdefault(partition, offset)

    def took(self, partition: Partition, first: int, last: int) -> None:
        """Records from `first` to `last` were handed out."""
        self._open.setdefault(partition, first)
        self._next[partition] = last + 1

    def put_back(self, partition: Partition, offset: int) -> None:
        """From `offset` on it will be handed out again."""
        self._next[partition] = offset

    def committed(self, partition: Partition, offset: int) -> None:
        """A commit was sent; what lies before it has its fate, whether Kafka takes it or not."""
        if offset > self._open.get(partition, offset):
            self._open[partition] = offset

    def next_offset(self, partition: Partition) -> int:
        """One past the last record that was handed out, or where reading begins; 0 if unknown."""
        return self._next.get(partition, 0)

    def position(self, partition: Partition) -> int | None:
        """Where reading goes on; None before it has begun."""
        return self._next.get(partition)

    def uncommitted(self, partitions: Iterable[Partition]) -> dict[str, int]:
        """For each topic of these, how much was handed out and is not committed."""
        found: dict[str, int] = {}
        for tp in partitions:
            count = max(0, self._next[tp] - self._open[tp]) if tp in self._open else 0
            found[tp.topic] = found.get(tp.topic, 0) + count
        return found

    def moved(self, partition: Partition, offset: int) -> None:
        """Reading goes on there instead."""
        self._next[partition] = offset

    def forget(self, partitions: Iterable[Partition]) -> None:
        """They have left, or have come anew."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._open.pop(partition, None)
