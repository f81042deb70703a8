"""SIGTERM ends the process within the one deadline, whatever hangs: API, frozen brokers, none."""

import time
import uuid

import pytest

from relay.errors import ExitStatus
from tests.support.kafka_admin import NoKafka, wait_for
from tests.support.kafka_cluster import KafkaCluster
from tests.support.road import Feeder, Process, Sandbox, relay_environ, relay_run

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240), pytest.mark.slow]

DEADLINE_S = 8.0
# Of a machine that is busy: starting to stop, and what comes after the roads.
SLACK_S = 8.0
TIMES = {
    "DELIVERY__STOP_DEADLINE_S": str(DEADLINE_S),
    "DELIVERY__COMMIT_EVERY_S": "60",
    "KAFKA__REQUEST_TIMEOUT_S": "60",
    "KAFKA__REBALANCE_TIMEOUT_S": "90",
}


@pytest.fixture
def lone_kafka():
    """One broker of this test's own: it does not come back."""
    try:
        with KafkaCluster() as kafka:
            yield kafka
    except NoKafka as reason:
        pytest.skip(f"no Kafka to test with: {reason}")


def environ(kafka, topic, sandbox):
    return relay_environ(kafka, topic, sandbox.url, f"stop-{uuid.uuid4().hex[:8]}", **TIMES)


def stopped(relay: Process) -> tuple[int, float]:
    """The exit status, and how long it took."""
    began = time.monotonic()  # noqa: TID251 - a real process is timed against its own promise
    status = relay.terminate(DEADLINE_S + 60)
    return status, time.monotonic() - began  # noqa: TID251


def test_while_the_api_hangs(kafka):
    topic = kafka.create_topic()
    with Sandbox() as sandbox:
        sandbox.faults({"rules": [{"kind": "slow", "delay_ms": 60_000, "rate": 1.0}]})
        with relay_run(environ(kafka, topic, sandbox)) as relay:
            Feeder(kafka, topic, seed=1, users=5).send(5)
            wait_for(sandbox.requests, 60, "no request arrived")
            status, took_s = stopped(relay)
            assert status == ExitStatus.DRAIN_INCOMPLETE
            assert took_s < DEADLINE_S + SLACK_S
            assert "Traceback" not in relay.text()


@pytest.mark.parametrize("how", ["frozen", "refused"])
def test_while_the_broker_is_away(lone_kafka, how):
    topic = lone_kafka.create_topic()
    with Sandbox() as sandbox, relay_run(environ(lone_kafka, topic, sandbox)) as relay:
        Feeder(lone_kafka, topic, seed=1, users=20).send(20)
        wait_for(lambda: len(sandbox.requests()) >= 20, 60, "not everything arrived")
        if how == "frozen":
            lone_kafka.freeze_broker(1)
        else:
            lone_kafka.kill_broker(1)
        status, took_s = stopped(relay)
        assert status == ExitStatus.COMMIT_INCOMPLETE
        assert took_s < DEADLINE_S + SLACK_S
        assert "Traceback" not in relay.text()
        (ended,) = relay.said("drain_ended")
        assert (ended["unsettled"], ended["uncommitted"]) == (0, 20)


def test_in_calm_it_is_clean(kafka):
    topic = kafka.create_topic()
    with Sandbox() as sandbox, relay_run(environ(kafka, topic, sandbox)) as relay:
        Feeder(kafka, topic, seed=1, users=20).send(20)
        wait_for(lambda: len(sandbox.requests()) >= 20, 60, "not everything arrived")
        status, took_s = stopped(relay)
        assert status == ExitStatus.OK
        assert took_s < DEADLINE_S
        (ended,) = relay.said("drain_ended")
        assert (ended["unsettled"], ended["uncommitted"]) == (0, 0)
