"""Members of a group on a real Kafka agree on who has which part of a rate."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer

from relay.model import Partition
from relay.road.consuming.kafka import KafkaSource
from relay.settings.kafka import KafkaSettings

pytestmark = pytest.mark.slow


class Owned:
    def __init__(self):
        self.partitions = set()

    async def on_assigned(self, partitions, _epoch):
        self.partitions |= set(partitions)

    async def on_revoked(self, partitions):
        self.partitions -= set(partitions)

    def on_moved(self, partition, offset):
        pass


@contextlib.asynccontextmanager
async def member(kafka, topic, *, shares_rate=True):
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topics=[topic], group_id=topic
    )
    policy = replace(settings.consumer("{topic}.dlq"), shares_rate=shares_rate)
    source, owned = KafkaSource(policy, lambda _: None), Owned()
    await source.start(owned)
    try:
        yield source, owned
    finally:
        await source.stop()


async def polled(sources, condition, meanwhile=None):
    async with asyncio.timeout(40):
        while not condition():
            if meanwhile is not None:
                await meanwhile()
            async with asyncio.TaskGroup() as group:
                for source in sources:
                    group.create_task(source.poll(100, 0.05))


@contextlib.asynccontextmanager
async def two_members(kafka, topic, *, shares_rate):
    """The one with partition 1, the other, and what produces to that partition."""
    async with (
        member(kafka, topic, shares_rate=shares_rate) as (one, first),
        member(kafka, topic, shares_rate=shares_rate) as (two, second),
        AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer,
    ):
        await polled((one, two), lambda: len(first.partitions) == len(second.partitions) == 1)
        busy = Partition(topic, 1)

        async def produce():
            for _ in range(50):
                await producer.send(topic, b"", partition=busy.number)
            await producer.flush()

        yield *((one, two) if busy in first.partitions else (two, one)), produce


@pytest.mark.broker
async def test_a_member_takes_the_part_of_what_its_partitions_get(kafka):
    topic = kafka.create_topic(partitions=2)
    async with two_members(kafka, topic, shares_rate=True) as (more, less, produce):
        assert (more.share(), less.share()) == (0.5, 0.5)
        await polled(
            (more, less), lambda: more.share() > 0.95 and less.share() < 0.05, meanwhile=produce
        )


@pytest.mark.broker
async def test_where_no_rate_is_shared_nobody_asks_what_others_get(kafka):
    topic = kafka.create_topic(partitions=2)
    async with two_members(kafka, topic, shares_rate=False) as (more, less, produce):
        busy = Partition(topic, 1)
        await polled((more, less), lambda: more.ends().get(busy, 0) >= 500, meanwhile=produce)
        assert (more.share(), less.share()) == (0.5, 0.5)
