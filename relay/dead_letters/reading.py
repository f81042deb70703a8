"""The dead-letter topics, from a time to where they end now → what lies there, in order.

Read without a consumer group: looking moves no offset and disturbs nobody.
"""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from relay.dead_letters.stored import StoredLetter
from relay.errors import TopicMissing
from relay.kafka_client.errors import translated
from relay.kafka_client.looking import looker, to_the_end
from relay.kafka_client.policy import KafkaClientPolicy
from relay.kafka_client.reach import reach
from relay.model import Position
from relay.road.consuming.policy import ConsumerPolicy
from relay.road.consuming.topics import reading_pattern
from relay.road.settling.dead_letter_policy import DeadLetterPolicy


async def dead_letter_topics(
    named: Sequence[str], consumer: ConsumerPolicy, policy: DeadLetterPolicy
) -> dict[str, int]:
    """The topics to look into, with their partitions: the named ones, else those of the settings.

    Raises:
        KafkaError: The cluster does not answer, or refuses.
        TopicMissing: There is none.
    """
    cluster = await reach(policy.client)
    if named:
        wanted = list(named)
    elif consumer.topic_pattern is None:
        wanted = [policy.topic_for(topic) for topic in consumer.topics]
    else:
        pattern = reading_pattern(consumer) or ""
        sources = [topic for topic in cluster.topics if re.match(pattern, topic)]
        wanted = [policy.topic_for(topic) for topic in sources]
    found = {topic: cluster.topics[topic] for topic in sorted(wanted) if topic in cluster.topics}
    missing = [topic for topic in named if topic not in cluster.topics]
    if missing or not found:
        names = ", ".join(missing or wanted) or policy.topic
        raise TopicMissing(
            f"dead-letter topic {names} not found",
            hint="name one with --topic; none is made before the first start of relay run",
        )
    return found


async def stored_in(
    client: KafkaClientPolicy, topics: Mapping[str, int], since_ms: int | None = None
) -> AsyncGenerator[StoredLetter]:
    """Everything that lies in these topics now, each partition in its order.

    Raises:
        KafkaError: The cluster does not answer, or refuses.
    """
    async with looker(client, "reading dead letters") as consumer:
        for topic, count in topics.items():
            partitions = [TopicPartition(topic, number) for number in range(count)]
            with translated(f"reading {topic}"):
                ends = await _seek(consumer, partitions, since_ms)
            async for record in to_the_end(consumer, ends, f"reading {topic}"):
                yield _stored(record)


async def _seek(
    consumer: Any, partitions: list[TopicPartition], since_ms: int | None
) -> dict[TopicPartition, int]:
    """Go to the beginning, or to the time; where each partition that holds something ends."""
    consumer.assign(partitions)
    starts: dict[TopicPartition, int] = await consumer.beginning_offsets(partitions)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    if since_ms is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
        for tp in partitions:
            starts[tp] = ends[tp] if found[tp] is None else found[tp].offset
    for tp in partitions:
        consumer.seek(tp, starts[tp])
    return {tp: ends[tp] for tp in partitions if starts[tp] < ends[tp]}


def _stored(record: Any) -> StoredLetter:
    return StoredLetter(
        position=Position(record.topic, record.partition, record.offset),
        died_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
