"""Who has not answered for how long → whether that is an outage. Pure: the time is an argument.

While brokers are away aiokafka tries again without a word; after a while somebody should know.
What is expected: an answer for each of our partitions, or of any broker while there are none.
"""

from collections.abc import Collection

from relay.model import Partition

ALL_SILENT_S = 5.0
"""Nobody answers: there is nothing else that this could be."""
SOME_SILENT_S = 15.0
"""Some do: a broker that restarts is away as long, and an election takes about ten seconds."""

Expected = Partition | None
"""What an answer is for: a partition, or None for any broker."""
ANY_BROKER: Expected = None


class LastAnswers:
    """When the last answer for each came. Steady seconds."""

    def __init__(self) -> None:
        self._came_at: dict[Expected, float] = {}

    def expect(self, partitions: Collection[Partition], now: float) -> None:
        """Expect answers for these; for a new one from now on."""
        expected: Collection[Expected] = partitions or (ANY_BROKER,)
        # Brokers that were silent before an assignment did not answer by being assigned.
        since = min(self._came_at.values(), default=now)
        self._came_at = {one: self._came_at.get(one, since) for one in expected}

    def came(self, answer_for: Expected, now: float) -> None:
        """There was an answer. Late ones for what left meanwhile say nothing."""
        if answer_for in self._came_at:
            self._came_at[answer_for] = now

    def missing(self, since: float) -> tuple[Expected, ...]:
        """Those for which none came since then."""
        return tuple(one for one, at in self._came_at.items() if at < since)

    def silent_since(self, now: float) -> float | None:
        """Since when there is an outage, or None while there is none."""
        oldest = min(self._came_at.values(), default=now)
        newest = max(self._came_at.values(), default=now)
        outage = now - newest >= ALL_SILENT_S or now - oldest >= SOME_SILENT_S
        return oldest if outage else None
