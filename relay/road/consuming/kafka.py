"""A Kafka consumer group → records, and offsets back: the `RecordSource` over aiokafka.

Thin: what to read, pause and commit is decided by the pipeline. What is here makes aiokafka do just
that; each of its surprises is named at the line that answers it (aiokafka 0.14 was read for this).
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import (
    IllegalStateError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from relay.errors import KafkaRefused, KafkaUnreachable
from relay.kafka_client.build import require_codecs
from relay.kafka_client.errors import MOVED_ON, code, translated
from relay.model import Commit, Partition, Record
from relay.road.consuming.inside import Inside
from relay.road.consuming.options import consumer_options
from relay.road.consuming.policy import ConsumerPolicy, OffsetReset
from relay.road.consuming.silence import SilenceWatch
from relay.road.consuming.source import AssignmentListener, CommitRefused, SourceState
from relay.road.consuming.topics import await_topics, reading_pattern
from relay.telemetry.facts import Emit, KafkaUnavailable, PositionLost

_POLL_GRACE_S = 0.1
_LOOK_UP_S = 5.0


class KafkaSource:
    """One member of a consumer group. Its methods are called by one task, the pipeline's."""

    def __init__(self, policy: ConsumerPolicy, emit: Emit) -> None:
        self._policy = policy
        self._emit = emit
        self._consumer: Any = None  # aiokafka is untyped
        self._inside: Inside
        self._listener: AssignmentListener | None = None
        self._epoch = 0
        self._assigned: frozenset[Partition] = frozenset()
        self._paused: set[Partition] = set()
        self._wanted: tuple[TopicPartition, ...] = ()
        self._told = False
        self._changed = asyncio.Event()
        self._commits: set[asyncio.Timeout] = set()
        self._failure: BaseException | None = None
        self._silence = SilenceWatch(policy.client, emit)

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group; `RecordSource.start`."""
        require_codecs()
        await await_topics(self._policy, self._emit)
        self._listener = listener
        # From here on `stop` closes it: a start that is cancelled must not wait for brokers.
        self._consumer = consumer = AIOKafkaConsumer(**consumer_options(self._policy))
        self._inside = Inside(consumer)
        with translated("Kafka"):
            await consumer.start()
        # After start(), which would otherwise wait for other members to hand over partitions.
        consumer.subscribe(
            topics=self._policy.topics,
            pattern=reading_pattern(self._policy),
            listener=_Rebalances(self),
        )

    async def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        """What has come; `RecordSource.poll`."""
        if self._failure is not None:
            raise self._failure
        self._inside.check_alive()
        newest = max(map(self._inside.last_answer, self._wanted), default=None)
        await self._silence.look(newest, asyncio.get_running_loop().time())
        try:
            with translated("reading from Kafka"):
                if self._wanted:
                    return await self._fetched(records_max, timeout_s)
                self._inside.show_life()
                return await self._until_changed(timeout_s)
        except KafkaUnreachable as problem:
            self._emit(
                KafkaUnavailable(code=code(problem), reason=problem.problem, retry_in_s=timeout_s)
            )
            await asyncio.sleep(timeout_s)
            return []

    def pause(self, partitions: Collection[Partition]) -> None:
        """Take nothing from these; `RecordSource.pause`."""
        self._paused |= self._assigned.intersection(partitions)
        self._update()

    def resume(self, partitions: Collection[Partition]) -> None:
        """Take from these again; `RecordSource.resume`."""
        self._paused.difference_update(partitions)
        self._update()

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        """Store offsets with metadata; `RecordSource.commit`."""
        offsets = {
            TopicPartition(*partition): (commit.offset, commit.metadata)
            for partition, commit in commits.items()
        }
        epoch, assigned = self._epoch, self._assigned
        try:
            with translated("committing offsets"):
                # aiokafka repeats a commit until it succeeds, with whatever generation it is in by
                # then: one that began before a rebalance could overwrite the next owner's.
                # So every commit under way is ended when its partitions have been handed over.
                async with asyncio.timeout(self._policy.client.request_timeout_s) as limit:
                    self._commits.add(limit)
                    try:
                        await self._consumer.commit(offsets)
                    finally:
                        self._commits.discard(limit)
        except IllegalStateError as error:  # not assigned, says aiokafka
            raise CommitRefused(str(error)) from error
        except KafkaUnreachable as error:
            moved_on = epoch != self._epoch or assigned is not self._assigned
            if moved_on or isinstance(error.__cause__, MOVED_ON):
                raise CommitRefused(error.problem) from error
            raise

    async def committed(
        self, partitions: Collection[Partition]
    ) -> Mapping[Partition, Commit | None]:
        """What was committed last; `RecordSource.committed`."""
        wanted = [TopicPartition(*partition) for partition in partitions]
        with translated("reading committed offsets"):
            async with asyncio.timeout(self._policy.client.request_timeout_s):
                found = await self._inside.committed(wanted)
        return {
            Partition(*tp): Commit(found[tp].offset, found[tp].metadata or "")
            if tp in found
            else None
            for tp in wanted
        }

    def ends(self) -> Mapping[Partition, int]:
        """One past the last record of each; `RecordSource.ends`."""
        known = {partition: self._inside.end(partition) for partition in self._assigned}
        return {partition: end for partition, end in known.items() if end is not None}

    def state(self) -> SourceState:
        """What is wrong with Kafka now; `RecordSource.state`."""
        return SourceState()

    def share(self) -> float:
        """Our part of all partitions; `RecordSource.share`."""
        # Of all topics that are read: of some, other members may have everything.
        topics = self._consumer.subscription()
        total = sum(len(self._consumer.partitions_for_topic(topic) or ()) for topic in topics)
        return min(1.0, len(self._assigned) / total) if total else 1.0

    async def stop(self) -> None:
        """Leave the group; `RecordSource.stop`."""
        if self._consumer is None:
            return
        left = False
        try:
            await self.revoked()  # aiokafka does not call the listener when it stops
            await self._consumer.stop()
            left = True
        finally:
            if not left:  # in the middle of a join, or no broker answers
                await self._inside.close_connections()

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """The group gave us these; called by aiokafka's coordinator."""
        self._epoch += 1
        self._assigned = frozenset(partitions)
        self._paused.clear()
        if self._listener is not None:
            await self._listener.on_assigned(self._assigned, self._epoch)
        # Not earlier: aiokafka would hand out records while the listener is still being told.
        self._told = True
        self._update()

    async def revoked(self) -> None:
        """The group takes all partitions back (aiokafka knows no other way)."""
        leaving = self._assigned
        self._told = False
        self._update()
        try:
            if leaving and self._listener is not None:
                await self._listener.on_revoked(leaving)
        finally:
            self._assigned = frozenset()
            for limit in self._commits:
                limit.reschedule(asyncio.get_running_loop().time())

    def failed(self, error: BaseException) -> None:
        """The listener failed; aiokafka would log that and go on, so `poll` raises it."""
        self._failure = error
        self._changed.set()

    async def _fetched(self, records_max: int, timeout_s: float) -> list[Record]:
        try:
            # getmany keeps its own timeout except when a rebalance begins meanwhile.
            async with asyncio.timeout(timeout_s + _POLL_GRACE_S):
                # Only partitions that are not paused: of a paused one that it is asked for,
                # getmany throws away what was fetched ahead.
                batches = await self._consumer.getmany(
                    *self._wanted, timeout_ms=round(timeout_s * 1000), max_records=records_max
                )
        except NoOffsetForPartitionError as error:
            await self._begin(error.args[0])
        except OffsetOutOfRangeError as error:
            for tp, offset in error.args[0].items():
                await self._begin(tp, instead_of=offset)
        except UnicodeDecodeError as error:
            # Names of headers are UTF-8 by Kafka's protocol; aiokafka cannot read past others.
            where = ", ".join(map(str, self._inside.stopped_at()))
            raise KafkaRefused(
                f"the record at {where} cannot be read: the name of a header is not UTF-8",
                hint="move the group's offset past it with Kafka's tools, after saving the record",
            ) from error
        except TimeoutError:
            self._inside.repair_idle_clock()
        else:
            return [
                Record(
                    topic=tp.topic,
                    partition=tp.partition,
                    offset=message.offset,
                    timestamp_ms=message.timestamp,
                    key=message.key,
                    value=message.value,
                    headers=message.headers,
                    epoch=self._epoch,
                )
                for tp, messages in batches.items()
                for message in messages
            ]
        return []

    async def _until_changed(self, timeout_s: float) -> list[Record]:
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        return []

    async def _begin(self, tp: TopicPartition, *, instead_of: int | None = None) -> None:
        """Go to where the policy says for a partition without a usable offset."""
        self._inside.repair_idle_clock()
        async with asyncio.timeout(_LOOK_UP_S):
            if self._policy.auto_offset_reset is OffsetReset.EARLIEST:
                found = await self._consumer.beginning_offsets([tp])
            else:
                found = await self._consumer.end_offsets([tp])
        self._consumer.seek(tp, found[tp])
        if instead_of is not None:
            self._emit(
                PositionLost(
                    partition=str(Partition(*tp)),
                    offset=instead_of,
                    resumed_at=found[tp],
                    gone=max(0, found[tp] - instead_of),
                )
            )

    def _update(self) -> None:
        """Make aiokafka fetch for what is wanted, and for nothing else."""
        wanted = {TopicPartition(*partition) for partition in self._assigned - self._paused}
        self._wanted = tuple(wanted) if self._told else ()
        for tp in self._consumer.assignment():
            # Left out, what was fetched ahead is kept; paused, nothing more is fetched.
            if tp in wanted:
                self._consumer.resume(tp)
            else:
                self._consumer.pause(tp)
        self._changed.set()


class _Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """Leads aiokafka's callbacks to the source, with the exceptions it would swallow."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        try:
            await self._source.assigned([Partition(*tp) for tp in assigned])
        except Exception as error:  # noqa: BLE001 - raised by the next poll
            self._source.failed(error)

    async def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        try:
            await self._source.revoked()
        except Exception as error:  # noqa: BLE001 - raised by the next poll
            self._source.failed(error)
