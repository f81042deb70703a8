"""The producer of the commands."""

import random

import pytest

from relay.errors import KafkaRefused, KafkaUnreachable
from relay.kafka_client.producer import Producer
from relay.kafka_client.topic_configs import topic_configs
from relay.settings.kafka import KafkaSettings


def policy(kafka):
    return KafkaSettings(bootstrap_servers=kafka.bootstrap_servers).client()


@pytest.mark.broker
async def test_what_was_flushed_is_confirmed(kafka, topic, monkeypatch):
    monkeypatch.setattr("relay.kafka_client.producer._UNDER_WAY_MAX", 10)

    async with Producer(policy(kafka)) as producer:
        for number in range(100):
            await producer.send(topic, b"k", b"%d" % number, [("h", None)])
            assert len(producer._under_way) <= 10
        await producer.flush(topic)
        assert producer.confirmed == 100


@pytest.mark.broker
async def test_a_record_that_the_broker_does_not_take_is_raised_by_the_next_call(kafka):
    topic = kafka.create_topic(config={"max.message.bytes": "1000"})

    async with Producer(policy(kafka)) as producer:
        # Noise, because what is written is compressed.
        await producer.send(topic, None, random.Random(0).randbytes(50_000))
        with pytest.raises(KafkaRefused, match=r"max\.message\.bytes"):
            await producer.flush(topic)
        with pytest.raises(KafkaRefused):
            await producer.send(topic, None, b"x")
        assert producer.confirmed == 0


async def test_without_a_broker_there_is_no_producer():
    with pytest.raises(KafkaUnreachable):
        async with Producer(KafkaSettings(bootstrap_servers="localhost:1").client()):
            pass


@pytest.mark.broker
async def test_the_configuration_of_topics_is_shown_with_its_defaults(kafka):
    topic = kafka.create_topic(config={"retention.ms": "1234"})

    found = await topic_configs(policy(kafka), [topic])

    assert found[topic]["retention.ms"] == "1234"
    assert found[topic]["cleanup.policy"] == "delete"
    assert await topic_configs(policy(kafka), []) == {}
