"""Partitions of an assignment that have no usable offset → where each begins, and when.

Works beside `poll`: until a partition's position is known nothing is taken from it, and all others
go on. Brokers are asked apart, and one that does not answer delays its own partitions only. What
is decided, and why a partition may have to wait: `relay.road.consuming.new_partitions`.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from relay.errors import KafkaError
from relay.kafka_client.errors import translated
from relay.model import Commit, Partition
from relay.road.consuming.consumer_internals import ConsumerInternals
from relay.road.consuming.facts import NewPartitionsRead, NewPartitionsWait
from relay.road.consuming.new_partitions import Begun, Wait
from relay.road.consuming.own_task import OwnTask
from relay.road.consuming.policy import ConsumerPolicy, OffsetReset
from relay.road.consuming.source import CommitRefused
from relay.telemetry.facts import Emit

LOOK_UP_S = 5.0  # of one question to one broker, which other partitions do not wait for
AGAIN_S = 1.0  # between two attempts: a leader is elected, or a coordinator found, meanwhile


class FirstPositions:
    """One for a source. The calls are those of its task; the work is done by a task of its own."""

    def __init__(
        self,
        policy: ConsumerPolicy,
        emit: Emit,
        internals: ConsumerInternals,
        *,
        commit: Callable[[Mapping[Partition, Commit]], Awaitable[None]],
        committed: Callable[[Collection[Partition]], Awaitable[Mapping[Partition, Commit | None]]],
        passed: Callable[[Partition, int], int],
        found: Callable[[Mapping[Partition, int], Mapping[Partition, int]], None],
        told: Callable[[KafkaError, float], None],
    ) -> None:
        """What the source does for us.

        Args:
            policy: Where to begin, and how long a new partition may wait.
            emit: Takes facts.
            internals: The consumer.
            commit: Stores where a partition begins, before anything is taken from it.
            committed: Looks up commits of the group, also of other members' partitions.
            passed: For a commit of ours, how far nothing is left to deliver.
            found: Goes to these offsets; for each partition that had one, the offset that is lost.
            told: Tells of an error, and when the next attempt is made.
        """
        self._policy = policy
        self._emit = emit
        self._internals = internals
        self._commit = commit
        self._committed = committed
        self._passed = passed
        self._found = found
        self._told = told
        self._begun = Begun(by_pattern=policy.topic_pattern is not None)
        self._pending: dict[Partition, int | None] = {}
        self._taken: set[Partition] = set()
        self._alone: set[Partition] = set()
        self._waits: dict[Partition, Wait] = {}
        self._released: set[Partition] = set()
        self._wake = asyncio.Event()
        self._task = OwnTask("first-positions")

    @property
    def pending(self) -> AbstractSet[Partition]:
        """Partitions that nothing may be taken from yet."""
        return self._pending.keys()

    async def look_before_join(self, topics: Collection[str]) -> None:
        """Look up which of these topics the group has begun to read."""
        unknown = self._begun.unknown(topics)
        await self._internals.metadata_of(unknown)  # after `subscribe` it is not there yet
        partitions = self._internals.partitions(unknown)
        if partitions:
            commits = await self._committed(partitions)
            self._begun.found([tp for tp, commit in commits.items() if commit is not None])

    def needed(self, partition: Partition, lost: int | None = None) -> None:
        """It has no offset, or one that the log does not hold any more: `lost`."""
        self._pending[partition] = lost
        self._wake.set()

    def begin(self) -> None:
        """Partitions may need us from now on."""
        if not self._task.is_begun:
            self._task.start(self._work())

    def check(self) -> None:
        """Raise what ended the work."""
        self._task.check()

    async def keep(self, partitions: AbstractSet[Partition]) -> None:
        """All others have left: drop what is under way for them, and begin anew for these."""
        pending = {tp: lost for tp, lost in self._pending.items() if tp in partitions}
        await self.end()
        self._pending.update(pending)
        if partitions:
            self.begin()
            self._wake.set()

    async def end(self) -> None:
        """Drop all that is under way."""
        await self._task.stop()
        self._pending.clear()
        self._taken.clear()
        self._alone.clear()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as workers:
            while True:
                await self._wake.wait()
                self._wake.clear()
                new = [tp for tp in self._pending if tp not in self._taken]
                self._taken.update(new)
                added: defaultdict[str, list[Partition]] = defaultdict(list)
                for tp in filter(self._must_wait, new):
                    added[tp.topic].append(tp)
                for topic, partitions in added.items():
                    workers.create_task(self._wait(topic, partitions))
                ready = [tp for tp in new if not self._must_wait(tp)]
                for leader, partitions in self._internals.by_leader(ready).items():
                    for batch in self._batches(partitions):
                        workers.create_task(self._settle(leader, batch))

    # It waits for what the old partitions held when all of this is so: a wait is allowed at all, it
    # has no offset yet (one that lost its offset was read before), it was added to a topic that is
    # being read, and its wait is not over.
    def _must_wait(self, tp: Partition) -> bool:
        return (
            self._policy.new_partition_wait_s > 0
            and self._pending[tp] is None
            and self._begun.added(tp)
            and tp not in self._released
        )

    def _batches(self, partitions: Iterable[Partition]) -> list[list[Partition]]:
        """All in one request, except those that have failed: one may spoil it for the others."""
        together = [tp for tp in partitions if tp not in self._alone]
        return [
            *([together] if together else []),
            *([tp] for tp in partitions if tp in self._alone),
        ]

    async def _settle(self, leader: int, partitions: Collection[Partition]) -> None:
        try:
            await self._begin_at(leader, partitions)
        except CommitRefused:
            return  # they have been handed over; a new assignment follows
        except KafkaError as problem:
            self._told(problem, AGAIN_S)
            self._internals.refresh_metadata()
            await asyncio.sleep(AGAIN_S)
            # From now on one request each: of many, the one that fails may spoil it for the others.
            self._alone.update(partitions)
            self._taken.difference_update(partitions)
            self._wake.set()

    async def _begin_at(self, leader: int, partitions: Collection[Partition]) -> None:
        first = [tp for tp in partitions if self._from_first(tp)]
        last = [tp for tp in partitions if not self._from_first(tp)]
        offsets: dict[Partition, int] = {}
        if first:
            offsets |= await self._offsets(leader, first, first=True)
        if last:
            offsets |= await self._offsets(leader, last, first=False)
        # Committed before anything is taken. A restart before the first commit would begin at
        # another place by `latest`; and whatever has no commit later on was added later.
        fresh = {tp: Commit(at, "") for tp, at in offsets.items() if self._pending[tp] is None}
        if fresh:
            await self._commit(fresh)
        lost = {tp: was for tp in offsets if (was := self._pending[tp]) is not None}
        for tp in offsets:
            del self._pending[tp]
        self._taken.difference_update(offsets)
        self._found(offsets, lost)

    def _from_first(self, tp: Partition) -> bool:
        if self._policy.auto_offset_reset is OffsetReset.EARLIEST:
            return True
        return self._pending[tp] is None and self._begun.begins_at_first(tp)

    async def _offsets(
        self, leader: int, partitions: Collection[Partition], *, first: bool
    ) -> Mapping[Partition, int]:
        with translated(f"looking up offsets at broker {leader}"):
            async with asyncio.timeout(LOOK_UP_S):
                return await self._internals.offsets(leader, partitions, first=first)

    async def _wait(self, topic: str, partitions: Collection[Partition]) -> None:
        """Until the group has passed what the old partitions held when these were found."""
        loop = asyncio.get_running_loop()
        since = min(
            [self._waits[tp].since for tp in partitions if tp in self._waits] or [loop.time()]
        )
        missing = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(since + self._policy.new_partition_wait_s):
                known = [self._waits[tp] for tp in partitions if tp in self._waits]
                wait = known[0] if known else Wait(since, await self._ends_of_old(topic))
                self._waits.update(dict.fromkeys(partitions, wait))
                missing = wait.missing(await self._passed_by_group(wait.targets))
                names = tuple(sorted(map(str, partitions)))
                if missing:
                    self._emit(
                        NewPartitionsWait(
                            partitions=names,
                            records=missing,
                            at_most_s=self._policy.new_partition_wait_s,
                        )
                    )
                while missing:
                    await asyncio.sleep(AGAIN_S)
                    missing = wait.missing(await self._passed_by_group(wait.targets))
        self._emit(
            NewPartitionsRead(
                partitions=tuple(sorted(map(str, partitions))),
                after_s=loop.time() - since,
                missing=missing,
            )
        )
        self._released.update(partitions)
        for tp in partitions:
            self._waits.pop(tp, None)
        self._taken.difference_update(partitions)
        self._wake.set()

    async def _ends_of_old(self, topic: str) -> Mapping[Partition, int]:
        """Where the partitions end now that the group has begun to read."""
        commits = await self._committed(self._internals.partitions([topic]))
        old = [tp for tp, commit in commits.items() if commit is not None]
        ends: dict[Partition, int] = {}
        while left := [tp for tp in old if tp not in ends]:
            for leader, partitions in self._internals.by_leader(left).items():
                try:
                    ends |= await self._offsets(leader, partitions, first=False)
                except KafkaError as problem:
                    self._told(problem, AGAIN_S)
                    self._internals.refresh_metadata()
                    await asyncio.sleep(AGAIN_S)
        return ends

    async def _passed_by_group(self, targets: Collection[Partition]) -> Mapping[Partition, int]:
        commits = await self._committed(list(targets))
        return {
            tp: self._passed(tp, commit.offset)
            for tp, commit in commits.items()
            if commit is not None
        }
