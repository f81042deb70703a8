"""A consumer group that reads from one time to another, and then is done.

The group's commits are set before anybody joins: each partition that it has none for begins at the
first record of `from_ms` or later. So a backfill that was interrupted goes on where its commits
say, by the same command. Where it ends is an offset too: that of the first record of `to_ms` or
later. Records of a partition whose times are out of order are not sorted out.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from relay.kafka_client.errors import translated
from relay.kafka_client.fresh import fresh
from relay.kafka_client.options import client_options
from relay.model import Commit, Partition, Record
from relay.road.consuming.policy import ConsumerPolicy
from relay.road.consuming.source import AssignmentListener, RecordSource, SourceState
from relay.road.consuming.topics import await_topics, reading_pattern
from relay.telemetry.facts import Emit


@dataclass(frozen=True, slots=True)
class Span:
    """Times in epoch milliseconds: from the first, included, to the last, excluded."""

    from_ms: int
    to_ms: int | None = None


async def begun(policy: ConsumerPolicy, span: Span, emit: Emit) -> Mapping[Partition, int]:
    """Set where the group begins; where each partition ends, empty when it never does.

    Raises:
        KafkaError: The cluster does not answer, or refuses.
        TopicMissing: A topic does not exist.
    """
    cluster = await await_topics(policy, emit)
    pattern = reading_pattern(policy)
    topics = (
        policy.topics
        if pattern is None
        else [topic for topic in cluster.topics if re.match(pattern, topic)]
    )
    here = [TopicPartition(topic, n) for topic in topics for n in range(cluster.topics[topic])]
    options = {**client_options(policy.client), "bootstrap_servers": cluster.entrance}
    consumer = fresh(
        AIOKafkaConsumer(**options, group_id=policy.group_id, enable_auto_commit=False),
        policy.client,
    )
    try:
        with translated("looking up offsets by time"):
            await consumer.start()
            consumer.assign(here)
            known = {tp: await consumer.committed(tp) for tp in here}
            # Only where the group has no commit: a backfill that was interrupted goes on where it
            # was.
            fresh_ones = [tp for tp in here if known[tp] is None]
            starts = await _at(consumer, fresh_ones, span.from_ms)
            if starts:
                begin = {tp: OffsetAndMetadata(at, "") for tp, at in starts.items()}
                await consumer.commit(begin)
            ends = {} if span.to_ms is None else await _at(consumer, here, span.to_ms)
    finally:
        await consumer.stop()
    return {Partition(tp.topic, tp.partition): at for tp, at in ends.items()}


async def _at(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition], ms: int
) -> dict[TopicPartition, int]:
    """The first offset of that time or later; the end of the log where there is none."""
    if not partitions:
        return {}
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, ms))
    ends = await consumer.end_offsets(list(partitions))
    return {tp: ends[tp] if found[tp] is None else found[tp].offset for tp in partitions}


class Bounded:
    """A `RecordSource` that hands nothing out from an offset of each partition on."""

    def __init__(self, source: RecordSource, ends: Mapping[Partition, int]) -> None:
        self._source = source
        self._ends = ends
        self._assigned: frozenset[Partition] = frozenset()
        self._next: dict[Partition, int] = {}
        self._beyond: set[Partition] = set()
        self._listener: AssignmentListener | None = None

    def is_read(self) -> bool:
        """Whether all that is ours has been handed out."""
        if not self._assigned:
            return False
        known = self._source.ends()
        return all(
            partition in self._beyond
            or self._next.get(partition, 0) >= self._ends.get(partition, 0)
            # Marks of transactions at the end are no records: the log ends before our offset.
            or known.get(partition, self._ends[partition]) <= self._next.get(partition, 0)
            for partition in self._assigned
        )

    async def start(self, listener: AssignmentListener) -> None:
        """See `RecordSource`; the listener hears of assignments after us."""
        self._listener = listener
        await self._source.start(self)

    async def on_assigned(self, partitions: Collection[Partition], epoch: int) -> None:
        """See `AssignmentListener`."""
        self._assigned = self._assigned.union(partitions)
        for partition in partitions:
            self._next.pop(partition, None)
        self._beyond.difference_update(partitions)
        if self._listener is not None:
            await self._listener.on_assigned(partitions, epoch)

    async def on_revoked(self, partitions: Collection[Partition]) -> None:
        """See `AssignmentListener`."""
        if self._listener is not None:
            await self._listener.on_revoked(partitions)
        self._assigned = self._assigned.difference(partitions)

    async def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        """Only what lies before the end."""
        records = []
        for record in await self._source.poll(records_max, timeout_s):
            partition = record.tp
            if record.offset < self._ends.get(partition, 0):
                records.append(record)
                self._next[partition] = record.offset + 1
            elif partition not in self._beyond:
                self._beyond.add(partition)
                self._source.pause([partition])
        return records

    def pause(self, partitions: Collection[Partition]) -> None:
        """See `RecordSource`."""
        self._source.pause(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        """All but those whose end was reached."""
        self._source.resume([one for one in partitions if one not in self._beyond])

    def put_back(self, partition: Partition, offset: int, epoch: int) -> bool:
        """See `RecordSource`. Its end may have been reached in the batch that is put back."""
        if not self._source.put_back(partition, offset, epoch):
            return False
        self._next[partition] = offset
        self._beyond.discard(partition)
        return True

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        """See `RecordSource`."""
        await self._source.commit(commits)

    async def committed(
        self, partitions: Collection[Partition]
    ) -> Mapping[Partition, Commit | None]:
        """See `RecordSource`."""
        found = await self._source.committed(partitions)
        for partition, commit in found.items():
            if commit is not None:
                self._next[partition] = max(self._next.get(partition, 0), commit.offset)
        return found

    def ends(self) -> Mapping[Partition, int]:
        """The log's end, or ours where that comes first."""
        return {tp: min(at, self._ends.get(tp, at)) for tp, at in self._source.ends().items()}

    def state(self) -> SourceState:
        """See `RecordSource`."""
        return self._source.state()

    def share(self) -> float:
        """See `RecordSource`."""
        return self._source.share()

    async def stop(self) -> None:
        """See `RecordSource`."""
        await self._source.stop()
