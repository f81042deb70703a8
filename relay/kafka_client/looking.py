"""Records of topics, read without a consumer group: looking moves no offset and disturbs nobody."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from relay.kafka_client.errors import translated
from relay.kafka_client.fresh import fresh
from relay.kafka_client.header_names import accept_any_names
from relay.kafka_client.options import client_options
from relay.kafka_client.policy import KafkaClientPolicy
from relay.model import Record


@asynccontextmanager
async def looker(client: KafkaClientPolicy, doing: str) -> AsyncIterator[Any]:
    """A consumer that belongs to no group, started. `doing` stands in its errors.

    Raises:
        KafkaError: The cluster does not answer, or refuses.
    """
    accept_any_names()
    consumer = AIOKafkaConsumer(
        **client_options(client),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    fresh(consumer, client)
    try:
        with translated(doing):
            await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def to_the_end(
    consumer: Any, ends: dict[TopicPartition, int], doing: str
) -> AsyncGenerator[Any]:
    """What stands before these offsets, from where the consumer is; each partition in its order.

    Raises:
        KafkaError: The cluster does not answer, or refuses.
    """
    while ends:
        with translated(doing):
            batches = await consumer.getmany(*ends, timeout_ms=200)
        for tp, records in batches.items():
            for record in records:
                if record.offset < ends[tp]:
                    yield record
        with translated(doing):
            for tp in [tp for tp in ends if await consumer.position(tp) >= ends[tp]]:
                del ends[tp]


async def last_records(
    client: KafkaClientPolicy, topics: Mapping[str, int], most: int
) -> AsyncGenerator[Record]:
    """About the last `most` records of each topic, as many of each of its partitions.

    `topics` are names with their numbers of partitions.

    Raises:
        KafkaError: The cluster does not answer, or refuses.
    """
    if not topics:
        return  # a consumer that was never given a partition cannot be stopped in peace
    async with looker(client, "reading") as consumer:
        for topic, count in topics.items():
            doing = f"reading {topic}"
            partitions = [TopicPartition(topic, number) for number in range(count)]
            with translated(doing):
                consumer.assign(partitions)
                starts = await consumer.beginning_offsets(partitions)
                ends = await consumer.end_offsets(partitions)
            # As many of each partition, rounded up: which records are the last of a topic is not
            # known without reading all partitions.
            of_each = -(-most // max(1, count))
            for tp in partitions:
                starts[tp] = max(starts[tp], ends[tp] - of_each)
                consumer.seek(tp, starts[tp])
            read = {tp: ends[tp] for tp in partitions if starts[tp] < ends[tp]}
            async for found in to_the_end(consumer, read, doing):
                yield Record(
                    found.topic,
                    found.partition,
                    found.offset,
                    found.timestamp,
                    found.key,
                    found.value,
                    tuple(found.headers),
                )
