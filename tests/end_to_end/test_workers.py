"""`relay run --workers 2` as its user sees it: two processes, one group, one command to stop."""

import os
import signal
import uuid

import pytest

from tests.support.judge import judge
from tests.support.kafka_admin import wait_for
from tests.support.road import Feeder, Process, Sandbox, relay_environ

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.mark.timeout(180)
def test_two_workers_share_the_partitions_and_one_that_dies_is_started_again(kafka):
    topic = kafka.create_topic(partitions=4)
    group = f"workers-{uuid.uuid4().hex[:8]}"
    feeder = Feeder(kafka, topic, seed=5, users=50)
    with Sandbox() as sandbox:
        environ = relay_environ(
            kafka, topic, sandbox.url, group, KAFKA__SESSION_TIMEOUT_S="6", ADMIN__PORT="0"
        )
        with Process(["run", "--workers", "2"], environ) as relay:

            def shared() -> bool:
                last = {}
                for line in relay.said("partitions_assigned"):
                    last[frozenset(line["partitions"])] = line
                return any(len(partitions) == 2 for partitions in last)

            wait_for(shared, 60, "the partitions were not shared")
            feeder.send(1_000)
            wait_for(lambda: sandbox.summary()["events"] >= 1_000, 60, "not all arrived")
            first = relay.said("worker_started")[0]
            os.kill(first["pid"], signal.SIGKILL)
            wait_for(lambda: len(relay.said("worker_started")) == 3, 60, "not started again")
            (ended,) = relay.said("worker_ended")
            assert (ended["worker"], ended["status"]) == (first["worker"], -signal.SIGKILL)
            feeder.send(1_000)
            wait_for(
                lambda: (
                    sandbox.summary()["events"] - sandbox.summary()["duplicate_events"] >= 2_000
                ),
                60,
                "not all arrived",
            )
            assert relay.terminate() == 0, relay.text()
        verdict = judge(feeder.produced, sandbox.requests(), [])
    assert (verdict.lost, verdict.order_breaks) == (0, 0), verdict


def test_what_no_restart_can_mend_ends_all_workers_with_its_status(kafka):
    with Sandbox() as sandbox:
        environ = relay_environ(kafka, "no-such-topic", sandbox.url, "nobody")
        with Process(["run", "--workers", "2"], environ) as relay:
            assert relay.wait(60) == 6, relay.text()
            assert "no-such-topic" in relay.text()
