"""mParticle batches on a real Kafka, a relay that is killed, and letters replayed through Kafka."""

import json
import uuid

import pytest

from tests.support.batch_feeder import SOURCE_SETTINGS, BatchFeeder, batch_letter
from tests.support.chaos import all_settled
from tests.support.judge import judge, stored_events
from tests.support.kafka_admin import wait_for
from tests.support.road import Process, Sandbox, read_topic, relay_environ, relay_run

pytestmark = [pytest.mark.broker, pytest.mark.slow]

FAULTS = {
    "seed": 4,
    "latency_ms": [0, 10],
    "rules": [
        {"kind": "status", "status": 429, "rate": 0.02},
        {"kind": "status", "status": 500, "rate": 0.02},
        {"kind": "lost_answer", "rate": 0.02},
    ],
}
REFUSAL = {"kind": "status", "status": 400, "contains": '"refused_as":"first"'}


def command(environ, *arguments):
    with Process(["dlq", *arguments], environ) as process:
        assert process.wait(60) == 0, process.text()
        return process.text()


@pytest.mark.timeout(240)
def test_batches_survive_a_kill_and_a_replay_of_their_letters_sends_what_they_name(kafka):
    topic = kafka.create_topic(partitions=2)
    kafka.create_topic(f"{topic}.dlq", partitions=1)
    group = f"batches-{uuid.uuid4().hex[:8]}"
    feeder = BatchFeeder(kafka, topic, seed=3, users=8)
    feeder.send_batches(40, refused_as=["first"])
    produced = feeder.produced
    with Sandbox() as sandbox:
        sandbox.faults({**FAULTS, "rules": [REFUSAL, *FAULTS["rules"]]})
        environ = relay_environ(
            kafka, topic, sandbox.url, group,
            SOURCES=json.dumps(
                [{"topics": [topic], "preset": "mparticle", "settings": SOURCE_SETTINGS}]
            ),
            KAFKA__SESSION_TIMEOUT_S="6",
        )  # fmt: skip
        with relay_run(environ) as relay:
            wait_for(lambda: sandbox.summary()["events"] > 100, 60, "nothing arrives")
            relay.kill()
        with relay_run(environ) as relay:
            wait_for(lambda: all_settled(kafka, topic, (group,)), 120, "not all settled")
            before = stored_events(sandbox.requests())
            assert before == produced.events() - produced.refused
            listed = command(environ, "list", "--code", "http_400")
            assert f"{topic}-" in listed
            assert "#" in listed
            at_replay = len(sandbox.requests())
            sandbox.faults(FAULTS)
            command(environ, "replay", "--code", "http_400")
            wait_for(lambda: all_settled(kafka, topic, (group,)), 60, "the replay is not settled")
            replayed = stored_events(sandbox.requests()[at_replay:])
            assert relay.terminate() == 0, relay.text()
        letters = [batch_letter(one) for one in read_topic(kafka, f"{topic}.dlq")]
        verdict = judge(produced, sandbox.requests(), letters)
    # Each letter is about one event of up to 60, and its replay has sent that one alone.
    assert replayed == produced.refused
    assert verdict.lost == 0, verdict
    assert verdict.order_breaks == 0, verdict
    assert verdict.repeats == 0, verdict
    assert verdict.wrongly_dead_lettered == 0, verdict
    assert verdict.replayed == len(produced.refused) > 0
