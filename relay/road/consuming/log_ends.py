"""Where partitions end, as brokers told when they were asked. Pure: the time is an argument.

A partition has two ends. What lies before its last stable offset can be read; what lies between
that and its high watermark waits for a producer's transaction to end.
"""

from collections.abc import Collection

from relay.model import Partition


class LogEnds:
    """The ends of the partitions that are ours. Steady seconds."""

    def __init__(self) -> None:
        self._readable: dict[Partition, int] = {}
        self.held_back: dict[Partition, int] = {}
        """Records between the two ends, where there are any."""
        self.held_since: dict[Partition, float] = {}
        """Since when the first of the two ends has stood still, for the same partitions."""

    def keep(self, partitions: Collection[Partition]) -> None:
        """Forget all others."""
        for known in (self._readable, self.held_back, self.held_since):
            for partition in known.keys() - set(partitions):
                del known[partition]

    def told(self, partition: Partition, readable: int, written: int, now: float) -> None:
        """A broker named both ends."""
        # A transaction hangs while the end that can be read stands still and something is behind
        # it; each step of that end begins the time anew.
        held = max(0, written - readable)
        moved = readable != self._readable.get(partition)
        self._readable[partition] = readable
        if not held:
            self.held_back.pop(partition, None)
            self.held_since.pop(partition, None)
            return
        self.held_back[partition] = held
        if moved or partition not in self.held_since:
            self.held_since[partition] = now

    def readable(self, partition: Partition) -> int | None:
        """One past the last record that may be read; None before a broker told."""
        return self._readable.get(partition)
