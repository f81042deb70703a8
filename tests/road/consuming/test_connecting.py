"""How long requests to brokers may take, on a real cluster with a broker that hangs."""

import asyncio

import pytest
from aiokafka import errors as theirs
from aiokafka.protocol.metadata import MetadataRequest

from relay.errors import KafkaError
from relay.model import Commit, Partition
from tests.road.consuming.test_kafka_source import (
    begun,
    member,
    numbers,
    polled_until,
    produce,
    read,
)
from tests.road.consuming.test_positions import frozen

pytestmark = [pytest.mark.broker, pytest.mark.slow]


async def test_a_coordinator_that_hangs_is_left_for_the_next_however_long_a_join_may_take(
    kafka_cluster,
):
    topic = kafka_cluster.create_topic()
    await produce(kafka_cluster, topic, numbers(2))
    patient = {"session_timeout_s": 120, "rebalance_timeout_s": 240, "request_timeout_s": 10}
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


async def test_a_broker_that_hangs_during_a_rebalance_ends_no_task_of_the_client(kafka_cluster):
    """Of two requests that wait on one connection the first whose time is over closes it.

    aiokafka then does not find it for the second. Were that a fetch, nothing would be fetched any
    more; each poll raises what ended the task that fetches.
    """
    topic = kafka_cluster.create_topic(partitions=6, replication=1)
    async with member(kafka_cluster, topics=[topic], group_id=topic, request_timeout_s=2) as source:
        # One that has no commit after this rebalance waits until the others are read and committed.
        await begun(source, *(Partition(topic, number) for number in range(6)))
        leaders = {kafka_cluster.leader(topic, number) for number in range(6)}
        index = min(leaders - {source._consumer._coordinator.coordinator_id})

        async def asked():
            for _ in range(2):  # the second looks for the connection that the first has closed
                with pytest.raises(theirs.KafkaError):  # and nothing else
                    await source._consumer._client.send(index, MetadataRequest([]))

        with frozen(kafka_cluster, index):
            async with asyncio.TaskGroup() as tasks:
                asking = [tasks.create_task(asked()) for _ in range(3)]
                await rebalanced(source)
                await over(source, asking)
            await rebalanced(source)
        for number in range(6):
            await produce(kafka_cluster, topic, [b"after"], partition=number)
        assert {record.partition for record in await read(source, 6, 40)} == set(range(6))


async def rebalanced(source):
    before = source._internals.generation

    def is_another():
        if source._internals.generation > before:
            return True
        source._internals.rejoin()  # in the middle of a join it may be taken for that one
        return False

    # Whom aiokafka asks for a coordinator that does not answer is by chance the one that hangs.
    await polled_until(source, is_another, 60)


async def over(source, tasks):
    await polled_until(source, lambda: all(task.done() for task in tasks))
