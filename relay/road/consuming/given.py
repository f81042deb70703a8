"""Records that are given once, without a consumer group: lines of a file, chosen dead letters.

To the road they look like any source: they stand in partitions, in order. Nothing is committed; a
restart begins anew.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Collection, Sequence

from relay.model import Partition, Record
from relay.road.consuming.no_kafka import NoKafka
from relay.road.consuming.source import AssignmentListener

EPOCH = 1
"""That of every record that is given."""


class GivenRecords(NoKafka):
    """A `RecordSource` over `records`, which carry `EPOCH`; at most `per_second` are taken."""

    def __init__(
        self,
        partitions: Sequence[Partition],
        records: AsyncGenerator[Record],
        per_second: float | None = None,
    ) -> None:
        self._partitions = frozenset(partitions)
        self._records = records
        self._per_second = per_second
        self._listener: AssignmentListener | None = None
        self._paused: set[Partition] = set()
        self._batch: list[Record] = []
        self._waiting: deque[Record] = deque()
        self._reading: asyncio.Task[Record | None] | None = None
        self._began = 0.0
        self._taken = 0
        self._ended = False
        self.exhausted = False
        """Whether all was handed out and nothing of it put back."""

    async def start(self, listener: AssignmentListener) -> None:
        """All partitions are ours at once: there is no group."""
        self._listener = listener
        self._began = asyncio.get_running_loop().time()
        await listener.on_assigned(self._partitions, EPOCH)

    async def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        """The next ones, as many as the rate allows and as have come."""
        until = asyncio.get_running_loop().time() + timeout_s
        records: list[Record] = []
        self._batch = records
        # From the first that holds: what was put back, in its order; what comes, for as long as
        # `poll` may wait, and without waiting once there is something; nothing. A record of a
        # partition that is paused goes back to the front and ends the batch, since those behind it
        # must not pass.
        while len(records) < min(records_max, self._allowed()):
            if self._waiting:
                record = self._waiting.popleft()
            elif self._ended or (read := await self._read(0.0 if records else timeout_s)) is None:
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
            await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))
        return records

    def pause(self, partitions: Collection[Partition]) -> None:
        """Take nothing from these until `resume`."""
        self._paused.update(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        """Take from these again."""
        self._paused.difference_update(partitions)

    def put_back(self, partition: Partition, offset: int, epoch: int) -> bool:
        """Hand out again from `offset` on; `RecordSource.put_back`."""
        if epoch != EPOCH:
            return False
        again = [r for r in self._batch if r.tp == partition and r.offset >= offset]
        self._taken -= len(again)
        self._waiting.extendleft(reversed(again))
        return True

    async def stop(self) -> None:
        """Read no more."""
        if self._listener is not None:
            await self._listener.on_revoked(self._partitions)
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        await self._records.aclose()

    def _allowed(self) -> int:
        if self._per_second is None:
            return 2**31
        passed_s = asyncio.get_running_loop().time() - self._began
        return int(passed_s * self._per_second) + 1 - self._taken

    async def _read(self, timeout_s: float) -> Record | None:
        """The next one; None when none comes in time, or none is left.

        A record that is late keeps coming: a generator cannot be cancelled and asked again.
        """
        if self._reading is None:
            # Its parent is this source, which no block of code spans: `stop` ends it.
            self._reading = asyncio.create_task(self._following())  # noqa: TID251
        done, _ = await asyncio.wait({self._reading}, timeout=timeout_s)
        if not done:
            return None
        record, self._reading = self._reading.result(), None
        self._ended = record is None
        return record

    async def _following(self) -> Record | None:
        return await anext(self._records, None)
