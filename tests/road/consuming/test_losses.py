"""What Kafka takes away while it is read, on a real broker: topics and access."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from confluent_kafka.admin import AclOperation

from relay.errors import KafkaFenced, KafkaRefused
from relay.model import Commit, Partition
from relay.road.consuming.facts import (
    KafkaAccessRefused,
    KafkaAccessRestored,
    PatternMatchesNothing,
    TopicBack,
    TopicGone,
)
from relay.road.consuming.source import SourceTrouble
from tests.road.consuming.test_kafka_source import (
    Listener,
    member,
    numbers,
    polled_until,
    produce,
    read,
)
from tests.support.kafka_security import USERS

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def told(facts, kind):
    return [fact for fact in facts if isinstance(fact, kind)]


async def test_a_topic_that_is_deleted_while_it_is_read_is_told_with_what_was_dropped(kafka):
    lost, kept = kafka.create_topic(), kafka.create_topic()
    facts = []
    await produce(kafka, lost, numbers(10))
    async with member(kafka, facts=facts, topics=[lost, kept], group_id=lost) as source:
        await read(source, 10)
        await source.commit({Partition(lost, 0): Commit(4, "")})
        await asyncio.to_thread(lambda: kafka.admin.delete_topics([lost])[lost].result(timeout=30))
        await polled_until(source, lambda: told(facts, TopicGone), 40)
        assert told(facts, TopicGone) == [TopicGone(topic=lost, records=6)]
        assert source.state().trouble is SourceTrouble.TOPIC_MISSING
        assert lost in source.state().reason

        await produce(kafka, kept, [b"other"])
        assert [r.value for r in await read(source, 1, 40)] == [b"other"]

        await asyncio.to_thread(kafka.create_topic, lost)
        await produce(kafka, lost, [b"again"])
        values = set()
        async with asyncio.timeout(40):
            while b"again" not in values:
                values |= {r.value for r in await source.poll(10, 0.05)}
        await polled_until(source, lambda: told(facts, TopicBack))
        assert source.state().trouble is None


async def test_a_pattern_that_matches_nothing_is_told_and_topics_are_found_later(kafka, topic):
    facts = []
    pattern = f"{topic}-none.*"
    async with member(kafka, facts=facts, topic_pattern=pattern, group_id=topic) as source:
        await polled_until(source, lambda: told(facts, PatternMatchesNothing), 30)
        await asyncio.to_thread(kafka.create_topic, f"{topic}-none-1")
        await produce(kafka, f"{topic}-none-1", [b"x"])
        assert [r.value for r in await read(source, 1, 40)] == [b"x"]


def guest(kafka, topic):
    return {
        "bootstrap_servers": kafka.address("SASL_PLAIN"),
        "topics": [topic],
        "group_id": topic,
        "security": {
            "protocol": "SASL_PLAINTEXT",
            "mechanism": "SCRAM-SHA-256",
            "username": "guest",
            "password": USERS["guest"],
        },
    }


@pytest.mark.parametrize("what", ["topic", "group"])
async def test_access_that_is_taken_away_is_held_until_it_is_back(secured_kafka, what):
    kafka, topic = secured_kafka, secured_kafka.create_topic()
    security, facts, listener = kafka.security, [], Listener()

    def take_away():
        if what == "topic":
            security.deny(kafka.admin, "guest", topic, AclOperation.READ)
        else:
            security.deny_group(kafka.admin, "guest", topic)

    def give_back():
        security.forgive(kafka.admin, topic)

    async with member(kafka, listener, facts, **guest(kafka, topic)) as source:
        await produce(kafka, topic, [b"before"])
        await read(source, 1)
        await source.commit({Partition(topic, 0): Commit(1, "")})

        await asyncio.to_thread(take_away)
        await polled_until(source, lambda: told(facts, KafkaAccessRefused), 40)
        assert source.state().trouble is SourceTrouble.ACCESS_REFUSED
        await produce(kafka, topic, [b"meanwhile"])
        for _ in range(20):
            assert await source.poll(10, 0.05) == []

        await asyncio.to_thread(give_back)
        assert [r.value for r in await read(source, 1, 60)] == [b"meanwhile"]
        await polled_until(source, lambda: told(facts, KafkaAccessRestored), 30)
        assert source.state().trouble is None
        assert len(told(facts, KafkaAccessRefused)) == 1


async def test_a_group_that_another_program_uses_is_named(kafka, topic):
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=topic,
        partition_assignment_strategy=(RangePartitionAssignor,),
    ) as other:
        async with asyncio.timeout(20):
            while not other.assignment():
                await other.getmany(timeout_ms=50)
        async with member(kafka, topics=[topic], group_id=topic) as source:
            with pytest.raises(KafkaRefused, match=r"another program uses this group"):
                await polled_until(source, lambda: False)


async def test_of_two_members_with_one_name_the_older_one_ends_and_the_newer_one_reads_on(kafka):
    topic = kafka.create_topic(partitions=2)
    older, newer = Listener(), Listener()
    given = {"topics": [topic], "group_id": topic, "group_instance_id": "relay-0"}
    async with member(kafka, older, **given) as one:
        await polled_until(one, lambda: older.count("assigned"))
        async with member(kafka, newer, **given) as two:
            async with asyncio.TaskGroup() as group:
                ends = group.create_task(fenced(one))
                await polled_until(two, ends.done, 60)
            await fenced(one)  # whoever goes on asking is told again
            await produce(kafka, topic, numbers(4))
            assert len(await read(two, 4)) == 4
            assert newer.count("revoked") == 0


async def fenced(source):
    with pytest.raises(KafkaFenced, match=r"has the same kafka\.group_instance_id"):
        await polled_until(source, lambda: False, 60)


async def test_a_member_with_a_name_whose_session_was_lost_joins_again(kafka, topic):
    listener = Listener()
    async with member(
        kafka, listener, topics=[topic], group_id=topic, group_instance_id="relay-0"
    ) as source:
        await polled_until(source, lambda: listener.count("assigned"))
        source._consumer._coordinator.reset_generation()  # as after an unknown member id
        await polled_until(source, lambda: listener.count("assigned") == 2, 30)
