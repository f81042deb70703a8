"""Thousands of bad records: the log stays readable and every one is accounted for."""

import signal
import uuid

import pytest

from tests.support.kafka_admin import wait_for
from tests.support.road import Feeder, Sandbox, read_topic, relay_environ, relay_run

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_thousands_of_dead_letters_are_a_few_lines_and_a_count(kafka):
    topic, bad = kafka.create_topic(), 5_000
    with Sandbox() as sandbox:
        environ = relay_environ(kafka, topic, sandbox.url, f"flood-{uuid.uuid4().hex[:8]}")
        with relay_run(environ) as relay:
            Feeder(kafka, topic, seed=1, users=5).send(bad, bad=1.0)
            relay.until("fact_repeated")
            wait_for(
                lambda: len(read_topic(kafka, f"{topic}.dlq")) == bad, 60, "letters are missing"
            )
            assert relay.terminate() == 0
            whole, repeated = relay.said("record_dead_lettered"), relay.said("fact_repeated")
            lines = relay.lines()
    assert len(whole) + sum(line["count"] for line in repeated) == bad
    intervals = [line for line in lines if line["event"] in ("stream_progress", "drain_ended")]
    assert len(whole) <= 10 * (len(intervals) + 3)  # and the changes of the lifecycle
    assert {line["of"] for line in repeated} == {"record_dead_lettered"}


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_a_hang_up_and_a_quit_drain_like_sigterm(kafka, number):
    topic = kafka.create_topic()
    feeder = Feeder(kafka, topic, seed=2, users=5)
    with Sandbox() as sandbox:
        environ = relay_environ(kafka, topic, sandbox.url, f"signal-{uuid.uuid4().hex[:8]}")
        with relay_run(environ) as relay:
            feeder.send(200)
            wait_for(lambda: sandbox.summary()["events"] >= 200, 60, "not all arrived")
            relay.signal(number)
            assert relay.wait() == 0
            assert relay.said("drain_started")[0]["reason"] == number.name
            assert relay.said("drain_ended")[0]["unsettled"] == 0
