"""The main job with everything real but the vendor: three brokers, HTTP, processes, signals."""

import uuid

import pytest

from tests.support.judge import judge
from tests.support.kafka_admin import wait_for
from tests.support.road import (
    Feeder,
    Sandbox,
    committed,
    dead_letters,
    read_topic,
    relay_environ,
    relay_run,
)

pytestmark = [pytest.mark.broker, pytest.mark.slow]

EVENTS = 20_000
USERS = 500


@pytest.mark.timeout(600)
def test_20000_events_of_500_users_survive_a_stop_in_the_middle(kafka_cluster):
    """SIGTERM half-way, a restart: all accounted for, each user in order, nothing sent twice."""
    topic = kafka_cluster.create_topic(partitions=12)
    kafka_cluster.create_topic(f"{topic}.dlq", partitions=1)
    group = f"road-{uuid.uuid4().hex[:8]}"
    feeder = Feeder(kafka_cluster, topic, seed=1, users=USERS)
    with Sandbox() as sandbox:
        sandbox.faults({"seed": 1, "latency_ms": [1, 10], "rules": []})
        environ = relay_environ(kafka_cluster, topic, sandbox.url, group)
        with relay_run(environ) as first:
            feeder.send(EVENTS, bad=0.001)
            wait_for(lambda: sandbox.summary()["events"] > EVENTS / 3, 250, "no progress")
            assert first.terminate() == 0, first.text()
            (drained,) = first.said("drain_ended")
        before = sandbox.summary()
        assert before["events"] < sum(feeder.produced.good.values()), "stopped too late to matter"
        with relay_run(environ) as second:
            expected = sum(feeder.produced.good.values())
            wait_for(lambda: sandbox.summary()["events"] >= expected, 250, "not all arrived")
            wait_for(
                lambda: len(read_topic(kafka_cluster, f"{topic}.dlq")) >= feeder.produced.bad,
                30,
                "not all dead letters arrived",
            )
            assert second.terminate() == 0, second.text()
        verdict = judge(
            feeder.produced,
            sandbox.requests(),
            dead_letters(kafka_cluster, f"{topic}.dlq"),
        )
    assert feeder.produced.total == EVENTS
    assert verdict.lost == 0, verdict
    assert verdict.order_breaks == 0, verdict
    assert verdict.delivered == expected, verdict
    assert verdict.dead_lettered == feeder.produced.bad > 0, verdict
    # The stop was orderly: what was settled was committed, with the map of what lay beyond.
    assert (verdict.duplicates, verdict.repeats) == (0, 0), (verdict, drained)
    assert sum(committed(kafka_cluster, group, topic).values()) == EVENTS
