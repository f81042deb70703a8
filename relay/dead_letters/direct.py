"""Dead letters → the pipeline of `relay run`, without going through their topic again.

To the pipeline the dead-letter topic looks like any source: its records stand in its partitions, in
order. Nothing is committed, since they stay where they are; a restart begins anew. A record that
dies again is buried under the name that it came with, so that its history goes on.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import replace

from relay.dead_letters.buried import Letter
from relay.model import Commit, DeadLetter, Partition, Position, Record
from relay.road.consuming.source import AssignmentListener, SourceState
from relay.road.settling.letter_writer import DeadLetterSink

_EPOCH = 1


class ReplaySource:
    """A `RecordSource` over chosen dead letters."""

    def __init__(
        self,
        partitions: Sequence[Partition],
        letters: AsyncGenerator[Letter],
        per_second: float | None = None,
    ) -> None:
        self._partitions = frozenset(partitions)
        self._letters = letters
        self._per_second = per_second
        self._listener: AssignmentListener | None = None
        self._paused: set[Partition] = set()
        self._batch: list[Record] = []
        self._waiting: deque[Record] = deque()
        self._began = 0.0
        self._taken = 0
        self._ended = False
        self.exhausted = False
        """Whether all was handed out and nothing of it put back."""
        self.names: dict[Position, Position] = {}
        """Where each record that was handed out stood before it died."""

    async def start(self, listener: AssignmentListener) -> None:
        """All partitions are ours at once: there is no group."""
        self._listener = listener
        self._began = asyncio.get_running_loop().time()
        await listener.on_assigned(self._partitions, _EPOCH)

    async def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        """The next letters, as many as the rate allows."""
        records: list[Record] = []
        self._batch = records
        while len(records) < min(records_max, self._allowed()):
            if self._waiting:
                record = self._waiting.popleft()
            elif self._ended or (read := await self._read()) is None:
                break
            else:
                record = read
            if record.tp in self._paused:
                self._waiting.appendleft(record)
                break
            records.append(record)
        self._taken += len(records)
        # Not with the last records: they may be put back before the next poll.
        self.exhausted = self._ended and not records and not self._waiting
        if not records:
            await asyncio.sleep(timeout_s)
        return records

    def pause(self, partitions: Collection[Partition]) -> None:
        """Take nothing from these until `resume`."""
        self._paused.update(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        """Take from these again."""
        self._paused.difference_update(partitions)

    def put_back(self, partition: Partition, offset: int, epoch: int) -> bool:
        """Hand out again from `offset` on; `RecordSource.put_back`."""
        if epoch != _EPOCH:
            return False
        again = [r for r in self._batch if r.tp == partition and r.offset >= offset]
        self._taken -= len(again)
        self._waiting.extendleft(reversed(again))
        return True

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        """Nothing to store: the letters stay."""

    async def committed(
        self, partitions: Collection[Partition]
    ) -> Mapping[Partition, Commit | None]:
        """Never anything."""
        return dict.fromkeys(partitions)

    def ends(self) -> Mapping[Partition, int]:
        """Not known: which letters are meant turns out as they are read."""
        return {}

    def state(self) -> SourceState:
        """Whoever reads the letters for us tells its troubles itself."""
        return SourceState()

    def share(self) -> float:
        """Nobody shares the rate with us."""
        return 1.0

    async def stop(self) -> None:
        """Read no more."""
        if self._listener is not None:
            await self._listener.on_revoked(self._partitions)
        await self._letters.aclose()

    def _allowed(self) -> int:
        if self._per_second is None:
            return 2**31
        passed_s = asyncio.get_running_loop().time() - self._began
        return int(passed_s * self._per_second) + 1 - self._taken

    async def _read(self) -> Record | None:
        letter = await anext(self._letters, None)
        if letter is None:
            self._ended = True
            return None
        buried = letter.buried
        self.names[buried.position] = letter.last.position
        return Record(
            topic=buried.position.topic,
            partition=buried.position.partition,
            offset=buried.position.offset,
            timestamp_ms=letter.deaths[0].timestamp_ms,
            key=buried.key,
            value=buried.value,
            headers=buried.headers,
            epoch=_EPOCH,
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
