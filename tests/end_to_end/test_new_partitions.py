"""Partitions are added to a topic while a backlog waits: the keys of most users move."""

import uuid

import pytest
from confluent_kafka.admin import NewPartitions

from tests.support.judge import judge
from tests.support.kafka_admin import wait_for
from tests.support.road import Feeder, Sandbox, relay_environ, relay_run

pytestmark = [pytest.mark.broker, pytest.mark.slow]

BACKLOG, NEWER, USERS = 3_000, 50, 40


def add_partitions(kafka, topic, total):
    done = kafka.admin.create_partitions([NewPartitions(topic, total)])
    done[topic].result(timeout=30)
    wait_for(lambda: kafka._has_leaders(topic, total), 30, "the new partitions have no leaders")


def moved(kafka, **settings):
    """What the judge finds when the backlog and what came after it are delivered."""
    topic = kafka.create_topic(partitions=2)
    feeder = Feeder(kafka, topic, seed=3, users=USERS, zipf=0.0)
    with Sandbox() as sandbox:
        sandbox.faults({"latency_ms": [20, 40]})
        environ = relay_environ(
            kafka,
            topic,
            sandbox.url,
            f"added-{uuid.uuid4().hex[:8]}",
            KAFKA__METADATA_AGE_MAX_S="1",
            # Most of the backlog is in Kafka and not in the lanes of memory, where order is kept.
            DELIVERY__MEMORY_RECORDS_MAX="200",
            DELIVERY__USER_RECORDS_MAX="50",
            DELIVERY__MAX_IN_FLIGHT="16",
            **settings,
        )
        with relay_run(environ) as relay:
            feeder.send(USERS)
            wait_for(lambda: sandbox.summary()["events"] >= USERS, 60, "the group has not begun")
            assigned = len(relay.said("partitions_assigned"))
            sandbox.faults({"latency_ms": [500, 500]})  # so that the backlog is still there then
            feeder.send(BACKLOG)
            add_partitions(kafka, topic, 8)
            feeder.look_for_partitions(8)
            feeder.send(NEWER)
            wait_for(lambda: len(relay.said("partitions_assigned")) > assigned, 60, "not assigned")
            sandbox.faults({"latency_ms": [20, 40]})
            total = feeder.produced.total
            wait_for(lambda: sandbox.summary()["events"] >= total, 120, "not all arrived")
            assert relay.terminate() == 0, relay.text()
            waited = relay.said("new_partitions_wait")
        return judge(feeder.produced, sandbox.requests(), []), waited


@pytest.mark.timeout(240)
def test_users_whose_key_moves_to_a_new_partition_keep_their_order(kafka):
    verdict, waited = moved(kafka)
    assert (verdict.lost, verdict.order_breaks, verdict.duplicates) == (0, 0, 0), verdict
    assert waited


@pytest.mark.timeout(240)
def test_without_the_wait_users_whose_key_moves_lose_their_order(kafka):
    """What the wait is for; without this the test above would prove nothing."""
    verdict, waited = moved(kafka, KAFKA__NEW_PARTITION_WAIT_S="0")
    assert verdict.lost == 0, verdict
    assert verdict.order_breaks > 0
    assert not waited
