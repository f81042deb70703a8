"""How long requests to brokers may take, on a real cluster with a broker that hangs."""

import asyncio

import pytest

from relay.errors import KafkaError
from relay.model import Commit, Partition
from tests.road.consuming.test_kafka_source import member, numbers, produce, read
from tests.road.consuming.test_positions import frozen

pytestmark = pytest.mark.broker


async def test_a_coordinator_that_hangs_is_left_for_the_next_however_long_a_join_may_take(
    kafka_cluster,
):
    topic = kafka_cluster.create_topic()
    await produce(kafka_cluster, topic, numbers(2))
    patient = {"session_timeout_s": 120, "rebalance_timeout_s": 240, "request_timeout_s": 30}
    async with member(kafka_cluster, topics=[topic], group_id=topic, **patient) as source:
        await read(source, 2)
        await source.commit({Partition(topic, 0): Commit(1)})
        # The one that took this commit: which broker it is may have changed since the group began.
        with frozen(kafka_cluster, source._consumer._coordinator.coordinator_id):
            async with asyncio.timeout(100):
                while True:
                    try:
                        await source.commit({Partition(topic, 0): Commit(2)})
                    except KafkaError:
                        continue
                    break
            found = await source.committed([Partition(topic, 0)])
    assert found == {Partition(topic, 0): Commit(2)}
