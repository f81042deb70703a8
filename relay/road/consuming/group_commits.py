"""Commits of the consumer group: written for our partitions, read for any."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from relay.errors import KafkaError, KafkaRefused, KafkaUnreachable
from relay.kafka_client.errors import MOVED_ON, translated
from relay.model import Commit, Partition
from relay.road.consuming.inside import Inside
from relay.road.consuming.positions import AGAIN_S, LOOK_UP_S
from relay.road.consuming.source import CommitRefused


class GroupCommits:
    """Over a consumer, for one source."""

    def __init__(
        self,
        consumer: Any,  # aiokafka is untyped
        inside: Inside,
        request_s: float,
        *,
        told: Callable[[KafkaError, float], None],
        held: Callable[[KafkaRefused], bool],
    ) -> None:
        """What the source does for us.

        Args:
            consumer: Writes the commits.
            inside: Reads them, with their metadata.
            request_s: How long a request may take.
            told: Tells of an error, and when the next attempt is made.
            held: Whether a refusal is told, and tried again, instead of raised.
        """
        self._consumer = consumer
        self._inside = inside
        self._request_s = request_s
        self._told = told
        self._held = held
        self._assignments = 0
        self._under_way: set[asyncio.Timeout] = set()

    async def write(self, commits: Mapping[Partition, Commit]) -> None:
        """See `RecordSource.commit`."""
        offsets = {
            TopicPartition(*partition): (commit.offset, commit.metadata)
            for partition, commit in commits.items()
        }
        began_in = self._assignments
        try:
            with translated("committing offsets"):
                # aiokafka repeats a commit until it succeeds, with whatever generation it is in by
                # then: one that began before a rebalance could overwrite the next owner's.
                # So every commit under way is ended when its partitions have been handed over.
                async with asyncio.timeout(self._request_s) as limit:
                    self._under_way.add(limit)
                    try:
                        await self._consumer.commit(offsets)
                    finally:
                        self._under_way.discard(limit)
        except IllegalStateError as error:  # not assigned, says aiokafka
            raise CommitRefused(str(error)) from error
        except KafkaUnreachable as error:
            if began_in != self._assignments or isinstance(error.__cause__, MOVED_ON):
                raise CommitRefused(error.problem) from error
            raise

    def assignment_changed(self) -> None:
        """Partitions came, or were handed over."""
        self._assignments += 1

    def end(self) -> None:
        """The partitions have been handed over: end what is under way for them."""
        self.assignment_changed()
        for limit in self._under_way:
            limit.reschedule(asyncio.get_running_loop().time())

    async def read(self, partitions: Collection[Partition]) -> Mapping[Partition, Commit | None]:
        """See `RecordSource.committed`. Tries again, with more patience, while an error passes."""
        wanted = [TopicPartition(*partition) for partition in partitions]
        patience_s = LOOK_UP_S
        while (found := await self._attempt(wanted, patience_s)) is None:
            patience_s = min(2 * patience_s, self._request_s)
        return {
            Partition(*tp): Commit(found[tp].offset, found[tp].metadata or "")
            if tp in found
            else None
            for tp in wanted
        }

    async def _attempt(
        self, wanted: Collection[TopicPartition], patience_s: float
    ) -> Mapping[TopicPartition, Any] | None:
        """None when the broker that knows did not answer: it may be another by now.

        Called while partitions are handed over, where an error would end the process.
        """
        try:
            with translated("reading committed offsets"):
                async with asyncio.timeout(patience_s):
                    return await self._inside.committed(wanted)
        except KafkaUnreachable as problem:
            if self._inside.closing():
                raise
            self._told(problem, AGAIN_S)
            self._inside.look_for_coordinator()
        except KafkaRefused as problem:
            if self._inside.closing() or not self._held(problem):
                raise
        await asyncio.sleep(AGAIN_S)
        return None
