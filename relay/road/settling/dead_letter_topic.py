"""Dead letters → the dead-letter topic, confirmed by the broker: the producer edge of the road.

An idempotent producer that waits for all replicas in sync. A letter whose confirmation did not
come in time is not written a second time when it is asked for again: it is waited for.

Kafka limits batches after compression, so letters are compressed: an event of 2 MB that came in as
40 kB goes out as such. One that is still too large is cut, or waits, as the policy says.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka import errors as theirs
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from relay.errors import KafkaError, KafkaRefused, KafkaUnreachable, TopicMissing
from relay.kafka_client.errors import reason, translated, translation
from relay.kafka_client.fresh import fresh
from relay.kafka_client.options import client_options
from relay.kafka_client.produce_answers import ProduceAnswers
from relay.kafka_client.reach import Cluster, reach, reach_in_time
from relay.kafka_client.records import hand_over
from relay.model import DeadLetter, Position
from relay.road.facts import KafkaUnavailable
from relay.road.settling.dead_letter_cut import VALUE_BYTES_MAX, cut, next_step, whole
from relay.road.settling.dead_letter_policy import DeadLetterPolicy, TooLarge
from relay.road.settling.facts import DeadLetterTopicCreated, DeadLetterTruncated
from relay.telemetry.facts import Emit

_STOP_S = 5.0  # what was not confirmed by then is read and written again
_REPLICAS = 3
"""Replicas of a topic that we create, where there are so many brokers."""
_TOO_LARGE = (theirs.MessageSizeTooLargeError, theirs.RecordListTooLargeError)
_Key = tuple[Position, int, tuple[int, ...]]
"""A letter by its record's position, the assignment that it was read in, and its events."""
_RECORD_BYTES_MAX = 104_857_600
"""The broker's limits decide; aiokafka's own, 1 MB, would refuse what the source topic held."""


class _Sent(NamedTuple):
    """A letter, and the broker's word on it."""

    letter: DeadLetter
    future: asyncio.Future[Any]


class DeadLetterTopic:
    """Writes dead letters. `write` is called by one task at a time."""

    def __init__(self, policy: DeadLetterPolicy, emit: Emit) -> None:
        self._policy = policy
        self._emit = emit
        self._producer: Any = None  # aiokafka is untyped
        self._answers: ProduceAnswers | None = None
        self._known: set[str] = set()
        self._under_way: dict[_Key, _Sent] = {}
        self._steps: dict[_Key, int] = {}
        """How far those were cut that were refused for their size."""

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
            self._emit(KafkaUnavailable.of(problem, retry_in_s))

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
        wanted = {
            (letter.record.position, letter.record.epoch, letter.events): letter
            for letter in letters
        }
        try:
            async with asyncio.timeout(self._policy.write_timeout_s):
                while not await self._written(wanted):
                    pass
        except TimeoutError:
            self._known.clear()  # perhaps somebody deleted the topic
            topics = self._topics(letters)
            refusal = None if self._answers is None else self._answers.refusal(topics)
            raise _unconfirmed(topics, refusal) from refusal

    async def stop(self) -> None:
        """Close the connections. What `write` has returned for is safe already."""
        self._under_way.clear()
        self._steps.clear()
        await self._close_producer()

    async def _written(self, wanted: Mapping[_Key, DeadLetter]) -> bool:
        """Whether all are confirmed now; if not, some were cut further and are to be sent again."""
        await self._prepare(wanted.values())
        for key, letter in wanted.items():
            sent = self._under_way.get(key)
            if sent is not None and sent.letter != letter:
                # The log was cut, and another record stands there now: it has no letter yet.
                self._steps.pop(key, None)
                sent = None
            if sent is None:
                future = await self._send(letter, self._steps.get(key))
                self._under_way[key] = _Sent(letter, future)
        # asyncio.wait, because being cancelled must not cancel the futures.
        await asyncio.wait([self._under_way[key].future for key in wanted])
        return await self._judge(wanted)

    def _topics(self, letters: Iterable[DeadLetter]) -> set[str]:
        return {self._policy.topic_for(letter.record.topic) for letter in letters}

    async def _prepare(self, letters: Iterable[DeadLetter]) -> None:
        if self._producer is None:
            with translated("dead letters"):
                await self._open_producer()
        topics = self._topics(letters)
        if not topics <= self._known:
            cluster = await reach(self._policy.client)
            await self._require(topics, cluster)

    async def _judge(self, wanted: Mapping[_Key, DeadLetter]) -> bool:
        """Forget what is settled; raise the first failure, and remember what was confirmed."""
        # After a write all futures are done. What the answers mean:
        #
        #     all confirmed         settled; what was cut is told now, not when it was tried
        #     refused for its size  tried again with less of it, while there is less
        #                           (`dead_letter_cut`)
        #     refused otherwise     raised: nothing may pass until the topic takes letters
        #
        # Those that were confirmed beside a failure are kept under way, and not written again.
        failed = {
            key: error for key in wanted if (error := self._under_way[key].future.exception())
        }
        if not failed:
            for key in self._steps.keys() & wanted.keys():
                self._tell_cut(wanted[key], self._steps[key])
            self._steps.clear()
            self._under_way.clear()  # with whatever an assignment that is over has left
            return True
        # A batch that the broker refused leaves a hole in the sequence of the producer: whatever
        # it sent next would be refused as well.
        await self._close_producer()
        self._under_way = {key: self._under_way[key] for key in wanted if key not in failed}
        for key, error in failed.items():
            letter = wanted[key]
            if not self._may_shrink(key, letter, error):
                where = f"dead-letter topic {self._policy.topic_for(letter.record.topic)}"
                raise translation(error, f"{where}: {letter.record.position}") or error
        return False

    def _may_shrink(self, key: _Key, letter: DeadLetter, error: BaseException) -> bool:
        """Whether less of the letter is to be tried, which is then noted."""
        if self._policy.too_large is not TooLarge.TRUNCATE or not isinstance(error, _TOO_LARGE):
            return False
        step = next_step(letter, self._steps.get(key))
        if step is None:
            return False
        self._steps[key] = step
        return True

    def _tell_cut(self, letter: DeadLetter, step: int) -> None:
        size = len(letter.record.value or b"")
        self._emit(
            DeadLetterTruncated(
                position=letter.record.position,
                topic=self._policy.topic_for(letter.record.topic),
                value_bytes=size,
                kept_bytes=min(size, VALUE_BYTES_MAX[step]),
            )
        )

    async def _send(self, letter: DeadLetter, step: int | None) -> asyncio.Future[Any]:
        version = self._policy.mapping_version
        content = whole(letter, version) if step is None else cut(letter, version, step)
        topic = self._policy.topic_for(letter.record.topic)
        with translated(f"dead-letter topic {topic}: {letter.record.position}"):
            # No timestamp of ours: retention counts from the death, not from the record's time.
            return await hand_over(
                self._producer, topic, content.key, content.value, content.headers
            )

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
            # Of all codecs it makes the least of a letter in the least time: 2 MB of JSON in
            # 30 ms where gzip takes 400 (docs/PERFORMANCE_PARTS.md).
            compression_type="zstd",
            max_request_size=_RECORD_BYTES_MAX,
        )
        fresh(producer, self._policy.client)
        answers = ProduceAnswers(producer)
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer, self._answers = producer, answers

    async def _require(self, topics: Collection[str], cluster: Cluster) -> None:
        missing = sorted(set(topics) - cluster.topics.keys())
        if missing and not self._policy.create:
            raise TopicMissing(
                f"dead-letter topic {', '.join(missing)} not found",
                hint="create it, fix dead_letter.topic, or set dead_letter.create",
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
                    hint="create it, or fix the section dead_letter of the settings",
                )


def _unconfirmed(topics: Collection[str], refusal: Exception | None) -> KafkaError:
    """The error for letters of these topics; `refusal` is what the broker answered, if anything."""
    problem = f"dead-letter topic {', '.join(sorted(topics))}: no confirmation in time"
    told = None if refusal is None else translation(refusal, problem)
    return told or KafkaUnreachable(problem)
