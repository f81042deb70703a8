"""Dead letters → the pipeline of `relay run`, without going through their topic again.

A record that fails again is dead-lettered with its original position, so its history continues.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from relay.dead_letters.stored import OwnLetter
from relay.model import DeadLetter, Partition, Position, Record
from relay.road.consuming.given import EPOCH, GivenRecords
from relay.road.letter_writer import DeadLetterSink


class ReplaySource(GivenRecords):
    """A `RecordSource` over chosen dead letters."""

    def __init__(
        self,
        partitions: Sequence[Partition],
        letters: AsyncGenerator[OwnLetter],
        per_second: float | None = None,
    ) -> None:
        self.names: dict[Position, Position] = {}
        """Where each record that was handed out stood before it died."""
        super().__init__(partitions, self._replayed(letters), per_second)

    async def _replayed(self, letters: AsyncGenerator[OwnLetter]) -> AsyncGenerator[Record]:
        async with aclosing(letters):
            async for letter in letters:
                stored = letter.stored
                self.names[stored.position] = letter.last.position
                yield Record(
                    topic=stored.position.topic,
                    partition=stored.position.partition,
                    offset=stored.position.offset,
                    timestamp_ms=letter.deaths[0].timestamp_ms,
                    key=stored.key,
                    value=stored.value,
                    headers=stored.headers,
                    epoch=EPOCH,
                )


class ReplaySink:
    """Writes failed replays with their original position."""

    def __init__(self, sink: DeadLetterSink, names: Mapping[Position, Position]) -> None:
        self._sink = sink
        self._names = names

    async def start(self) -> None:
        """Connect."""
        await self._sink.start()

    async def write(self, letters: Collection[DeadLetter]) -> None:
        """Return when the broker has confirmed every one of them."""
        await self._sink.write([self._renamed(letter) for letter in letters])

    async def stop(self) -> None:
        """Close the connections."""
        await self._sink.stop()

    def _renamed(self, letter: DeadLetter) -> DeadLetter:
        topic, partition, offset = self._names[letter.record.position]
        record = letter.record._replace(topic=topic, partition=partition, offset=offset)
        return replace(letter, record=record)
