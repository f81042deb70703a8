"""Dead letters → the dead-letter topic, confirmed by the broker: the producer edge of the road.

An idempotent producer that waits for all replicas in sync. A letter whose confirmation did not
come in time is not written a second time when it is asked for again: it is waited for.
"""

import asyncio
from collections.abc import Collection
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as theirs
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from relay.errors import KafkaError, KafkaRefused, KafkaUnreachable, TopicMissing
from relay.kafka_client.errors import code, reason, translated, translation
from relay.kafka_client.fresh import fresh
from relay.kafka_client.options import client_options
from relay.kafka_client.reach import Cluster, reach, reach_in_time
from relay.kafka_client.records import hand_over
from relay.model import DeadLetter, Position
from relay.road.settling.dead_letter import envelope
from relay.road.settling.dead_letter_policy import DeadLetterPolicy
from relay.telemetry.facts import DeadLetterTopicCreated, Emit, KafkaUnavailable

_STOP_S = 5.0
_REPLICAS = 3
"""Replicas of a topic that we create, where there are so many brokers."""
_RECORD_BYTES_MAX = 104_857_600
"""The broker's limits decide; aiokafka's own, 1 MB, would refuse what the source topic held."""


class DeadLetterTopic:
    """Writes dead letters. `write` is called by one task at a time."""

    def __init__(self, policy: DeadLetterPolicy, emit: Emit) -> None:
        self._policy = policy
        self._emit = emit
        self._producer: Any = None  # aiokafka is untyped
        self._known: set[str] = set()
        self._under_way: dict[tuple[Position, int], asyncio.Future[Any]] = {}

    async def start(self) -> None:
        """Connect, and see to it that there is a topic for the letters of each source topic.

        Not of one that does not exist: its name may be mistyped. If it appears later, its topic
        is made with its first letter.

        Raises:
            KafkaUnreachable: No broker answered in time.
            KafkaRefused: The broker refuses us, or the creation of a topic.
            TopicMissing: A topic does not exist and is not to be created.
        """

        def notice(problem: KafkaError, retry_in_s: float) -> None:
            self._emit(
                KafkaUnavailable(code=code(problem), reason=problem.problem, retry_in_s=retry_in_s)
            )

        policy = self._policy
        cluster = await reach_in_time(policy.client, policy.start_timeout_s, notice)
        sources = [topic for topic in policy.source_topics if topic in cluster.topics]
        await self._require([policy.topic_for(topic) for topic in sources], cluster)
        with translated("dead letters"):
            await self._open_producer()

    async def write(self, letters: Collection[DeadLetter]) -> None:
        """Return when the broker has confirmed every one of them.

        Raises:
            KafkaError: It did not. Asking again with the same letters is safe: those that were
                confirmed meanwhile, or still may be, are not written twice.
        """
        keys = [(letter.record.position, letter.record.epoch) for letter in letters]
        try:
            async with asyncio.timeout(self._policy.write_timeout_s):
                await self._prepare(letters)
                for key, letter in zip(keys, letters, strict=True):
                    if key not in self._under_way:
                        self._under_way[key] = await self._send(letter)
                # asyncio.wait, because being cancelled must not cancel the futures.
                await asyncio.wait([self._under_way[key] for key in keys])
        except TimeoutError:
            self._known.clear()  # perhaps somebody deleted the topic
            problem = f"dead-letter topic {self._policy.topic}: no confirmation in time"
            raise KafkaUnreachable(problem) from None
        await self._judge(keys)

    async def stop(self) -> None:
        """Close the connections. What `write` has returned for is safe already."""
        self._under_way.clear()
        await self._close_producer()

    async def _prepare(self, letters: Collection[DeadLetter]) -> None:
        if self._producer is None:
            with translated("dead letters"):
                await self._open_producer()
        topics = {self._policy.topic_for(letter.record.topic) for letter in letters}
        if not topics <= self._known:
            cluster = await reach(self._policy.client)
            await self._require(topics, cluster)

    async def _judge(self, keys: Collection[tuple[Position, int]]) -> None:
        """Forget what is settled; raise the first failure, and remember what was confirmed."""
        failed = {key: error for key in keys if (error := self._under_way[key].exception())}
        if not failed:
            self._under_way.clear()  # with whatever an assignment that is over has left
            return
        # A batch that the broker refused leaves a hole in the sequence of the producer: whatever
        # it sent next would be refused as well.
        await self._close_producer()
        self._under_way = {key: self._under_way[key] for key in keys if key not in failed}
        first = next(iter(failed.values()))
        raise translation(first, f"dead-letter topic {self._policy.topic}") or first

    async def _send(self, letter: DeadLetter) -> asyncio.Future[Any]:
        record = letter.record
        topic = self._policy.topic_for(record.topic)
        with translated(f"dead-letter topic {topic}"):
            headers = envelope(letter, self._policy.mapping_version)
            # No timestamp of ours: retention counts from the death, not from the record's time.
            return await hand_over(self._producer, topic, record.key, record.value, headers)

    async def _close_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(_STOP_S):
                await producer.stop()
        except TimeoutError:  # it waits for batches that no broker takes
            await producer.client.close()

    async def _open_producer(self) -> None:
        producer = AIOKafkaProducer(
            **client_options(self._policy.client),
            enable_idempotence=True,  # a retry inside the client writes no record twice
            acks="all",  # lost brokers must not take a dead letter with them
            linger_ms=0,  # letters come in batches already
            compression_type=None,  # some may hold compressed content, most are few
            max_request_size=_RECORD_BYTES_MAX,
        )
        fresh(producer, self._policy.client)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def _require(self, topics: Collection[str], cluster: Cluster) -> None:
        missing = sorted(set(topics) - cluster.topics.keys())
        if missing and not self._policy.create:
            raise TopicMissing(
                f"dead-letter topic {', '.join(missing)} not found",
                hint="create it, mend dead_letter.topic, or set dead_letter.create",
            )
        if missing:
            await self._create(missing, min(_REPLICAS, len(cluster.brokers)))
        self._known.update(topics)

    async def _create(self, topics: list[str], replicas: int) -> None:
        policy = self._policy
        replicas = policy.replication_factor or replicas
        config = {
            # Dead letters wait for somebody to look at them: weeks, if need be.
            "retention.ms": str(policy.retention_ms),
            # Never compacted: two letters with one key are two letters.
            "cleanup.policy": "delete",
            "max.message.bytes": str(policy.record_bytes_max),
        }
        new = [NewTopic(name, policy.partitions, replicas, topic_configs=config) for name in topics]
        admin = fresh(AIOKafkaAdminClient(**client_options(policy.client)), policy.client)
        with translated("creating dead-letter topics"):
            try:
                await admin.start()
                answer = await admin.create_topics(new)
            finally:
                await admin.close()
        for name, number, *_ in answer.topic_errors:
            error = theirs.for_code(number)
            if error is theirs.NoError:
                self._emit(DeadLetterTopicCreated(topic=name, partitions=policy.partitions))
            elif error is not theirs.TopicAlreadyExistsError:  # another member was faster
                raise KafkaRefused(
                    f"dead-letter topic {name} cannot be created: {reason(error())}",
                    hint="create it, or mend the section dead_letter of the settings",
                )
