"""The producer edge against a real Apache Kafka: what is written, and what if it cannot be."""

import asyncio
import contextlib
import hashlib
import random
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import (
    AclOperation,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from relay.errors import KafkaRefused, KafkaUnreachable, TopicMissing
from relay.model import DeadLetter, DeadLetterClass, Position, Record
from relay.road.settling.dead_letter import Cut, opened
from relay.road.settling.dead_letter_topic import DeadLetterTopic
from relay.road.settling.facts import DeadLetterTopicCreated, DeadLetterTruncated
from relay.settings.dead_letter import DeadLetterSettings
from relay.settings.kafka import KafkaSettings
from tests.support.kafka_admin import wait_for
from tests.support.kafka_security import USERS

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def letter(topic, offset=0, *, key=b"k", value=b"v", headers=(), epoch=1, **given):
    record = Record(topic, 0, offset, 7, key, value, tuple(headers), epoch)
    return DeadLetter(record, DeadLetterClass.REFUSED, "http_400", "no", **given)


def policy(kafka, topic, security=None, address=None, **given):
    settings = KafkaSettings(
        bootstrap_servers=address or kafka.bootstrap_servers,
        topics=[topic],
        security=security or {},
        start_timeout_s=10,
    )
    return DeadLetterSettings(**given).policy(settings)


@contextlib.asynccontextmanager
async def edge(given, facts=None):
    topic = DeadLetterTopic(given, (facts if facts is not None else []).append)
    await topic.start()
    try:
        yield topic
    finally:
        await topic.stop()


async def written(kafka, topic):
    """Everything that stands in a topic of one partition."""
    here = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers) as consumer:
        consumer.assign([here])
        await consumer.seek_to_beginning(here)
        end = (await consumer.end_offsets([here]))[here]
        records = []
        async with asyncio.timeout(20):
            while await consumer.position(here) < end:
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    records += batch
        return records


async def test_key_value_and_headers_arrive_untouched_with_the_envelope_behind(kafka, topic):
    headers = (("h", b"1"), ("h", None), ("", b"\xff"))
    given = letter(topic, 42, key=b"\x00\xff", value=b"\xff{", headers=headers, attempts=3)

    async with edge(policy(kafka, topic)) as dead_letters:
        await dead_letters.write([given])

    (record,) = await written(kafka, f"{topic}.dlq")
    original, (death,) = opened(record.headers)
    assert (record.key, record.value, original) == (b"\x00\xff", b"\xff{", headers)
    assert (death.position, death.attempts) == (Position(topic, 0, 42), 3)
    assert record.timestamp > 1_600_000_000_000, "retention counts from the death"


@pytest.mark.parametrize(("key", "value"), [(None, b"v"), (b"k", None), (None, None)])
async def test_records_without_key_or_value_arrive_as_they_were(kafka, topic, key, value):
    async with edge(policy(kafka, topic)) as dead_letters:
        await dead_letters.write([letter(topic, key=key, value=value, headers=[("h", b"1")])])

    (record,) = await written(kafka, f"{topic}.dlq")
    assert (record.key, record.value) == (key, value)
    assert opened(record.headers)[0] == (("h", b"1"),)


async def test_many_letters_are_confirmed_together(kafka, topic):
    letters = [letter(topic, offset) for offset in range(500)]

    async with edge(policy(kafka, topic)) as dead_letters:
        await dead_letters.write(letters)

    assert len(await written(kafka, f"{topic}.dlq")) == 500


async def test_a_missing_topic_is_created_to_keep_letters_for_good(kafka, topic):
    facts = []
    async with edge(policy(kafka, topic, partitions=2), facts) as dead_letters:
        await dead_letters.write([letter(topic, value=b"x" * 5_000_000)])

    assert facts == [DeadLetterTopicCreated(topic=f"{topic}.dlq", partitions=2)]
    config = config_of(kafka, f"{topic}.dlq")
    assert config["retention.ms"].value == "-1"
    assert config["cleanup.policy"].value == "delete"
    assert config["max.message.bytes"].value == "16777216"


async def test_an_existing_topic_is_taken_as_it_is(kafka, topic):
    kafka.create_topic(f"{topic}.dlq", config={"retention.ms": "12345"})
    facts = []

    async with edge(policy(kafka, topic), facts) as dead_letters:
        await dead_letters.write([letter(topic)])

    assert facts == []
    assert config_of(kafka, f"{topic}.dlq")["retention.ms"].value == "12345"


def config_of(kafka, topic):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return kafka.admin.describe_configs([resource])[resource].result(timeout=20)


async def test_a_missing_topic_that_is_not_to_be_created_ends_the_start(kafka, topic):
    with pytest.raises(TopicMissing, match=r"\.dlq not found"):
        async with edge(policy(kafka, topic, create=False)):
            pass


async def test_the_topic_of_a_source_that_was_not_named_is_created_with_its_first_letter(
    kafka, topic
):
    other = f"{topic}-other"
    async with edge(policy(kafka, topic)) as dead_letters:
        await dead_letters.write([letter(other)])

    assert len(await written(kafka, f"{other}.dlq")) == 1


async def test_a_creation_that_the_broker_refuses_says_why(kafka, topic):
    with pytest.raises(KafkaRefused, match="replication factor"):
        async with edge(policy(kafka, topic, replication_factor=100)):
            pass


async def test_an_event_that_came_in_compressed_goes_out_compressed(kafka, topic):
    """Kafka limits the compressed batch: the same topic settings take the letter as the event."""
    limit = {"max.message.bytes": "200000"}
    source = kafka.create_topic(f"{topic}-in", config=limit)
    kafka.create_topic(f"{source}.dlq", config=limit)
    event = b'{"type":"track","properties":{"note":"the same again and again"}}' * 32_000
    assert len(event) > 2_000_000
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers,
        compression_type="zstd",
        max_request_size=8_000_000,
    ) as producer:
        await producer.send_and_wait(source, event)

    facts = []
    async with edge(policy(kafka, source), facts) as dead_letters:
        await dead_letters.write([letter(source, value=event)])

    (record,) = await written(kafka, f"{source}.dlq")
    assert record.value == event
    assert opened(record.headers)[1][0].cut is None
    assert facts == []


@pytest.mark.parametrize("room", [600_000, 100_000, 10_000])
async def test_a_letter_that_is_still_too_large_is_cut_told_and_never_in_the_way(
    kafka, topic, room
):
    kafka.create_topic(f"{topic}.dlq", config={"max.message.bytes": str(room)})
    small = letter(topic, 0)
    large = letter(topic, 1, value=random.Random(7).randbytes(2_000_000), headers=[("h", b"1")])

    facts = []
    async with edge(policy(kafka, topic), facts) as dead_letters:
        await dead_letters.write([small, large])
        await dead_letters.write([letter(topic, 2)])

    records = {
        opened(r.headers)[1][-1].position.offset: r for r in await written(kafka, f"{topic}.dlq")
    }
    assert records.keys() == {0, 1, 2}
    kept = records[1]
    original, (death,) = opened(kept.headers)
    assert death.cut == Cut(2_000_000, hashlib.sha256(large.record.value).hexdigest())
    assert 0 < len(kept.value) < room
    assert large.record.value.startswith(kept.value)
    assert (kept.key, original) == (b"k", (("h", b"1"),))
    assert facts == [
        DeadLetterTruncated(
            position=Position(topic, 0, 1),
            topic=f"{topic}.dlq",
            value_bytes=2_000_000,
            kept_bytes=len(kept.value),
        )
    ]


@pytest.mark.parametrize("what", ["key", "headers"])
async def test_key_and_headers_that_are_too_large_are_let_go_of_at_last(kafka, topic, what):
    kafka.create_topic(f"{topic}.dlq", config={"max.message.bytes": "10000"})
    noise = random.Random(7).randbytes(20_000)
    given = {"key": noise} if what == "key" else {"headers": [("h", noise)]}

    async with edge(policy(kafka, topic)) as dead_letters:
        await dead_letters.write([letter(topic, 5, value=b"v", **given)])

    (record,) = await written(kafka, f"{topic}.dlq")
    original, (death,) = opened(record.headers)
    assert (death.position, original) == (Position(topic, 0, 5), ())
    assert death.cut == Cut(1, hashlib.sha256(b"v").hexdigest(), value_only=False)
    assert record.key == (None if what == "key" else b"k")


async def test_told_to_hold_it_waits_and_says_which_topic_and_which_record(kafka, topic):
    kafka.create_topic(f"{topic}.dlq", config={"max.message.bytes": "10000"})
    noise = random.Random(7).randbytes(20_000)
    small, large = letter(topic, 0), letter(topic, 17, value=noise)

    async with edge(policy(kafka, topic, too_large="hold")) as dead_letters:
        for _ in range(2):
            with pytest.raises(KafkaRefused) as refusal:
                await dead_letters.write([small, large])
        assert f"{topic}.dlq: {topic}-0-17: " in refusal.value.problem
        assert "max.message.bytes" in str(refusal.value)
        raise_limit(kafka, f"{topic}.dlq")
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(KafkaRefused):  # configurations travel
                    await dead_letters.write([small, large])
                    break

    deaths = [opened(r.headers)[1][-1] for r in await written(kafka, f"{topic}.dlq")]
    assert sorted(death.position.offset for death in deaths) == [0, 17]
    assert {death.cut for death in deaths} == {None}


def raise_limit(kafka, topic):
    entry = ConfigEntry(
        "max.message.bytes",
        "100000",
        incremental_operation=AlterConfigOpType.SET,
    )
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    kafka.admin.incremental_alter_configs([resource])[resource].result(timeout=20)


async def test_a_forbidden_topic_is_refused_until_access_is_granted(secured_kafka):
    topic = secured_kafka.create_topic()
    dead = secured_kafka.create_topic(f"{topic}.dlq")
    secured_kafka.security.deny(secured_kafka.admin, "guest", dead, AclOperation.WRITE)
    login = {
        "protocol": "SASL_PLAINTEXT",
        "mechanism": "SCRAM-SHA-256",
        "username": "guest",
        "password": USERS["guest"],
    }
    given = policy(secured_kafka, topic, login, secured_kafka.address("SASL_PLAIN"))

    async with edge(given) as dead_letters:
        with pytest.raises(KafkaRefused, match="topic authorization failed"):
            await dead_letters.write([letter(topic)])
        secured_kafka.security.forgive(secured_kafka.admin, dead)
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(KafkaRefused):  # ACLs travel
                    await dead_letters.write([letter(topic)])
                    break

    assert len(await written(secured_kafka, dead)) == 1


async def written_at_last(dead_letters, one):
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(KafkaUnreachable):
                await dead_letters.write([one])
                return


async def test_a_letter_whose_confirmation_came_late_is_not_written_twice(kafka_cluster):
    topic = kafka_cluster.create_topic(replication=1)
    dead = kafka_cluster.create_topic(f"{topic}.dlq", replication=1)
    leader = kafka_cluster.leader(dead)
    given = replace(policy(kafka_cluster, topic), write_timeout_s=0.5)

    async with edge(given) as dead_letters:
        await dead_letters.write([letter(topic, 0)])
        kafka_cluster.freeze_broker(leader)
        try:
            for _ in range(3):
                with pytest.raises(KafkaUnreachable, match="no confirmation in time"):
                    await dead_letters.write([letter(topic, 1)])
        finally:
            kafka_cluster.thaw_broker(leader)
        await written_at_last(dead_letters, letter(topic, 1))

    deaths = [opened(r.headers)[1][-1] for r in await written(kafka_cluster, dead)]
    assert [death.position.offset for death in deaths] == [0, 1]


async def test_a_letter_is_not_taken_for_that_of_the_record_that_stood_there_before(kafka_cluster):
    """A log that was cut grows again, within one assignment, while a letter has no answer."""
    topic = kafka_cluster.create_topic(replication=1)
    dead = kafka_cluster.create_topic(f"{topic}.dlq", replication=1)
    leader = kafka_cluster.leader(dead)
    given = replace(policy(kafka_cluster, topic), write_timeout_s=0.5)

    async with edge(given) as dead_letters:
        await dead_letters.write([letter(topic, 0)])
        kafka_cluster.freeze_broker(leader)
        try:
            with pytest.raises(KafkaUnreachable, match="no confirmation in time"):
                await dead_letters.write([letter(topic, 1, value=b"before")])
        finally:
            kafka_cluster.thaw_broker(leader)
        await written_at_last(dead_letters, letter(topic, 1, value=b"after"))

    assert [r.value for r in await written(kafka_cluster, dead)] == [b"v", b"before", b"after"]


async def test_letters_survive_the_death_of_their_broker(kafka_cluster):
    topic = kafka_cluster.create_topic()
    dead = kafka_cluster.create_topic(f"{topic}.dlq", replication=3)
    leader = kafka_cluster.leader(dead)

    async with edge(policy(kafka_cluster, topic)) as dead_letters:
        await dead_letters.write([letter(topic, 0)])
        kafka_cluster.kill_broker(leader)
        try:
            await dead_letters.write([letter(topic, 1)])
            deaths = [opened(r.headers)[1][-1] for r in await written(kafka_cluster, dead)]
        finally:
            kafka_cluster.start_broker(leader)

    assert [death.position.offset for death in deaths] == [0, 1]


async def test_letters_wait_for_replicas_that_are_away_and_say_so(kafka_cluster):
    topic, all_three = kafka_cluster.create_topic(), {"min.insync.replicas": "3"}
    dead = kafka_cluster.create_topic(f"{topic}.dlq", replication=3, config=all_three)
    away = kafka_cluster.leader(dead) % 3 + 1
    given = replace(policy(kafka_cluster, topic), write_timeout_s=1.0)

    def in_sync():
        (partition,) = (
            kafka_cluster.admin.list_topics(dead, timeout=30).topics[dead].partitions.values()
        )
        return partition.isrs

    async with edge(given) as dead_letters:
        await dead_letters.write([letter(topic, 0)])
        kafka_cluster.kill_broker(away)
        try:
            gone = (lambda: away not in in_sync(), 60, "the broker is still in sync")
            await asyncio.to_thread(wait_for, *gone)
            with pytest.raises(KafkaUnreachable, match="in time: not enough replicas") as caught:
                await dead_letters.write([letter(topic, 1)])
        finally:
            kafka_cluster.start_broker(away)
        await written_at_last(dead_letters, letter(topic, 1))

    assert caught.value.code == "NotEnoughReplicas"
    assert "lower the topic's min.insync.replicas" in str(caught.value)
    deaths = [opened(r.headers)[1][-1] for r in await written(kafka_cluster, dead)]
    assert [death.position.offset for death in deaths] == [0, 1]


async def test_a_producer_that_broke_is_replaced(kafka, topic):
    async with edge(policy(kafka, topic)) as dead_letters:
        await dead_letters.write([letter(topic, 9)])
        broken = dead_letters._producer
        broken._txn_manager._sequence_numbers[TopicPartition(f"{topic}.dlq", 0)] = 1000
        with pytest.raises(KafkaUnreachable, match="out of order sequence"):
            await dead_letters.write([letter(topic, 0)])
        await dead_letters.write([letter(topic, 0)])
        assert dead_letters._producer is not broken

    assert len(await written(kafka, f"{topic}.dlq")) == 2


async def test_stopping_while_no_broker_takes_letters_ends_in_time(kafka_cluster, monkeypatch):
    monkeypatch.setattr("relay.road.settling.dead_letter_topic._STOP_S", 0.2)
    topic = kafka_cluster.create_topic(replication=1)
    dead = kafka_cluster.create_topic(f"{topic}.dlq", replication=1)
    leader = kafka_cluster.leader(dead)
    given = replace(policy(kafka_cluster, topic), write_timeout_s=0.2)

    dead_letters = DeadLetterTopic(given, lambda _: None)
    await dead_letters.start()
    kafka_cluster.freeze_broker(leader)
    try:
        with pytest.raises(KafkaUnreachable):
            await dead_letters.write([letter(topic, 1)])
        async with asyncio.timeout(30):
            await dead_letters.stop()
    finally:
        kafka_cluster.thaw_broker(leader)
