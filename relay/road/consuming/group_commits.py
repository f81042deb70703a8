"""Commits of the consumer group: written for our partitions, read for any."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiokafka import TopicPartition

from relay.errors import KafkaError, KafkaRefused, KafkaUnreachable
from relay.kafka_client.errors import MOVED_ON, translated
from relay.model import Commit, Partition
from relay.road.consuming.inside import Inside
from relay.road.consuming.positions import AGAIN_S, LOOK_UP_S
from relay.road.consuming.source import CommitRefused

_DEAL_S = 10.0
"""How long a commit waits while the group deals partitions, which is as fast as its slowest."""


class GroupCommits:
    """Over a consumer, for one source.

    While the group deals, aiokafka must not commit: the request would stand behind the one to join,
    come with the number of the deal before, and for that aiokafka leaves the group. Until then the
    group takes commits all the same, so they go another way, and one that comes too late is tried
    again after the deal.
    """

    def __init__(
        self,
        inside: Inside,
        request_s: float,
        *,
        ours: Callable[[Collection[Partition]], bool],
        told: Callable[[KafkaError, float], None],
        held: Callable[[KafkaRefused], bool],
    ) -> None:
        """What the source does for us.

        Args:
            inside: The consumer.
            request_s: How long a request may take.
            ours: Whether partitions are ours now.
            told: Tells of an error, and when the next attempt is made.
            held: Whether a refusal is told, and tried again, instead of raised.
        """
        self._inside = inside
        self._request_s = request_s
        self._ours = ours
        self._told = told
        self._held = held
        self._one_at_a_time = asyncio.Lock()
        self.waits = False
        """Whether the group deals."""
        self.stopping = False
        """Whether to give up what does not succeed at once."""

    async def wait(self) -> None:
        """The group is about to deal: return when no commit of aiokafka's is under way."""
        if not self.waits:
            await self._one_at_a_time.acquire()
            self.waits = True

    def go_on(self) -> None:
        """The group has dealt."""
        if self.waits:
            self.waits = False
            self._one_at_a_time.release()

    async def write(self, commits: Mapping[Partition, Commit]) -> None:
        """See `RecordSource.commit`."""
        if self.waits:
            await self._write_meanwhile(commits)
            return
        try:
            async with asyncio.timeout(_DEAL_S):
                await self._one_at_a_time.acquire()
        except TimeoutError:
            raise KafkaUnreachable("committing offsets: the group deals partitions") from None
        try:
            await self._write(commits)
        finally:
            self._one_at_a_time.release()

    async def _write(self, commits: Mapping[Partition, Commit]) -> None:
        self._require(commits)
        try:
            # aiokafka repeats it until it succeeds, with whatever generation it is in by then.
            with translated("committing offsets"):
                async with asyncio.timeout(self._request_s):
                    await self._inside.commit(_offsets(commits))
        except KafkaUnreachable as error:
            if isinstance(error.__cause__, MOVED_ON):
                raise CommitRefused(error.problem) from error
            self._require(commits)
            raise

    async def _write_meanwhile(self, commits: Mapping[Partition, Commit]) -> None:
        self._require(commits)
        with translated("committing offsets while the group deals"):
            async with asyncio.timeout(_DEAL_S):
                await self._inside.commit_meanwhile(_offsets(commits))

    def _require(self, commits: Mapping[Partition, Commit]) -> None:
        if not self._ours(commits.keys()):
            raise CommitRefused("the partitions are not ours any more")

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
            if self.stopping:
                raise
            self._told(problem, AGAIN_S)
            self._inside.look_for_coordinator()
        except KafkaRefused as problem:
            if self.stopping or not self._held(problem):
                raise
        await asyncio.sleep(AGAIN_S)
        return None


def _offsets(commits: Mapping[Partition, Commit]) -> dict[TopicPartition, tuple[int, str]]:
    return {
        TopicPartition(*partition): (commit.offset, commit.metadata)
        for partition, commit in commits.items()
    }
