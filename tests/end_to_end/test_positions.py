"""Reading goes on where no record stands yet: lag and commits know it before the next one comes."""

import uuid

import httpx
import pytest
from confluent_kafka import TopicPartition

from tests.support.kafka_admin import wait_for
from tests.support.road import Feeder, Sandbox, committed, relay_environ, relay_run

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def lag(relay):
    """What it tells, once it is known: none while no end of a partition is."""
    admin = relay.until("relay_started")["admin"]
    partitions = httpx.get(f"{admin}/status", timeout=30).json()["partitions"]
    return next((partition["lag"] for partition in partitions.values()), None)


def test_what_is_passed_over_is_no_lag_and_what_comes_after_is_delivered(kafka):
    """By `latest`: what is there at first, and later what retention deleted before it was read."""
    topic = kafka.create_topic(partitions=1)
    group = f"positions-{uuid.uuid4().hex[:8]}"
    feeder = Feeder(kafka, topic, seed=1, users=1)
    with Sandbox() as sandbox:
        environ = relay_environ(kafka, topic, sandbox.url, group, KAFKA__AUTO_OFFSET_RESET="latest")

        feeder.send(5)
        with relay_run(environ) as relay:
            wait_for(lambda: lag(relay) == 0, 30, "what is passed over is shown as lag")
            feeder.send(2)
            wait_for(lambda: sandbox.summary()["events"] == 2, 30, "not delivered")
            assert relay.terminate() == 0, relay.text()
        assert committed(kafka, group, topic) == {0: 7}

        feeder.send(3)
        for result in kafka.admin.delete_records([TopicPartition(topic, 0, 10)]).values():
            result.result(timeout=20)
        with relay_run(environ) as relay:
            wait_for(lambda: relay.said("position_lost"), 30, "the loss was not told")
            wait_for(lambda: lag(relay) == 0, 30, "what was deleted is shown as lag")
            assert relay.terminate() == 0, relay.text()

        feeder.send(1)  # while nobody reads
        with relay_run(environ) as relay:
            wait_for(lambda: sandbox.summary()["events"] == 3, 30, "not delivered")
            assert relay.terminate() == 0, relay.text()
