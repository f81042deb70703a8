"""Who has not answered for how long → whether that is an outage. Pure: the time is an argument.

While brokers are away aiokafka tries again without a word; after a while somebody should know.
What is listened for: an answer for each of our partitions, or of any broker while there are none.
"""

from collections.abc import Collection

from relay.model import Partition

ALL_SILENT_S = 5.0
"""Nobody answers: there is nothing else that this could be."""
SOME_SILENT_S = 15.0
"""Some do: a broker that restarts is away as long, and an election takes about ten seconds."""

Voice = Partition | None
"""What may be heard: an answer for a partition; None for any broker."""
ANY_BROKER: Voice = None


class Hearing:
    """When each was heard last. Steady seconds."""

    def __init__(self) -> None:
        self._heard_at: dict[Voice, float] = {}

    def listen(self, partitions: Collection[Partition], now: float) -> None:
        """Listen for these; for a new one from now on."""
        voices: Collection[Voice] = partitions or (ANY_BROKER,)
        # Brokers that were silent before an assignment were not heard by being assigned.
        since = min(self._heard_at.values(), default=now)
        self._heard_at = {voice: self._heard_at.get(voice, since) for voice in voices}

    def heard(self, voice: Voice, now: float) -> None:
        """There was an answer. Late ones for what left meanwhile say nothing."""
        if voice in self._heard_at:
            self._heard_at[voice] = now

    def unheard(self, since: float) -> tuple[Voice, ...]:
        """Those not heard since then."""
        return tuple(voice for voice, at in self._heard_at.items() if at < since)

    def silent_since(self, now: float) -> float | None:
        """Since when there is an outage, or None while there is none."""
        oldest = min(self._heard_at.values(), default=now)
        newest = max(self._heard_at.values(), default=now)
        outage = now - newest >= ALL_SILENT_S or now - oldest >= SOME_SILENT_S
        return oldest if outage else None
