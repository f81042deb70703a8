"""Topics of three formats in one `relay run`: Segment, mParticle, a mapping of one's own."""

import json
import uuid

import pytest
from confluent_kafka import Producer

from relay.errors import ExitStatus
from tests.support.kafka_admin import wait_for
from tests.support.road import Sandbox, committed, read_topic, relay_environ, relay_run

pytestmark = pytest.mark.broker

TS_MS = 1_767_225_600_000


def segment(number):
    return {
        "type": "track", "event": "Clicked", "messageId": f"s{number}", "userId": "web-user",
        "timestamp": "2026-01-01T00:00:00Z",
    }  # fmt: skip


def mparticle_event(number):
    data = {"event_id": number, "timestamp_unixtime_ms": TS_MS, "event_name": f"batch {number}"}
    return {"event_type": "custom_event", "data": {**data, "custom_event_type": "other"}}


@pytest.mark.timeout(120)
def test_three_formats_are_delivered_by_one_run(kafka):
    web, batches, shop = (kafka.create_topic(partitions=1) for _ in range(3))
    for topic in (web, batches, shop):
        kafka.create_topic(f"{topic}.dlq", partitions=1)
    rule = {
        "track": "seen", "id": ".no", "ts": ".at",
        "user": {"accounts": [{"id": ".who", "compartment": "1000"}]},
    }  # fmt: skip
    sources = [
        {"topics": [web], "preset": "segment"},
        {"topics": [batches], "preset": "mparticle"},
        {"topics": [shop], "mapping": "shop"},
    ]
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
    batch = {
        "environment": "production", "batch_id": 1, "mpid": "1",
        "user_identities": {"customer_id": "app-user"},
        "events": [mparticle_event(number) for number in range(5)],
    }  # fmt: skip
    lines = [
        {"no": "line-1", "at": TS_MS, "who": "u"},
        {"no": "line-2"},
        {"no": "line-3", "at": TS_MS, "who": "u"},
    ]
    for topic, value in ((web, segment(1)), (batches, batch), (shop, lines)):
        producer.produce(topic, json.dumps(value).encode(), key=b"k")
    assert producer.flush(30) == 0
    group = f"sources-{uuid.uuid4().hex[:8]}"
    with Sandbox() as sandbox:
        environ = relay_environ(
            kafka, web, sandbox.url, group,
            SOURCES=json.dumps(sources), MAPPINGS=json.dumps({"shop": {"rules": [rule]}}),
        )  # fmt: skip
        environ["RELAY_KAFKA__TOPICS"] = json.dumps([web, batches, shop])
        with relay_run(environ) as relay:
            wait_for(lambda: sandbox.summary()["events"] >= 8, 60, "not all arrived")
            wait_for(lambda: len(read_topic(kafka, f"{shop}.dlq")) == 1, 30, "no dead letter")
            assert relay.terminate() == 0, relay.text()
        assert sandbox.summary()["events"] == 8
    (letter,) = read_topic(kafka, f"{shop}.dlq")
    headers = dict(letter.headers())
    assert headers["relay-dlq-events"] == b"1"
    assert headers["relay-dlq-events-total"] == b"3"
    for topic in (web, batches, shop):
        assert sum(committed(kafka, group, topic).values()) == 1


PLUGIN = """
def to_events(record):
    for number, name in enumerate(record.document["names"]):
        yield {
            "type": "track", "id": f"{record.offset}-{number}", "ts": record.timestamp_ms,
            "event": name, "user": {"accounts": [{"id": record.key.decode()}]},
        }
"""


@pytest.mark.timeout(120)
def test_a_function_of_ones_own_maps_and_what_it_raises_is_one_dead_letter(kafka, tmp_path):
    (tmp_path / "garden_events.py").write_text(PLUGIN, encoding="utf-8")
    topic = kafka.create_topic(partitions=1)
    letters = kafka.create_topic(f"{topic}.dlq", partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
    for document in ({"names": ["dug", "sown"]}, {"secret": "rose"}, {"names": ["watered"]}):
        producer.produce(topic, json.dumps(document).encode(), key=b"user-1")
    assert producer.flush(30) == 0
    group = f"plugin-{uuid.uuid4().hex[:8]}"
    source = {"topics": [topic], "mapping": "python:garden_events:to_events"}
    with Sandbox() as sandbox:
        environ = relay_environ(kafka, topic, sandbox.url, group, SOURCES=json.dumps([source]))
        with relay_run({**environ, "PYTHONPATH": str(tmp_path)}) as relay:
            wait_for(lambda: sandbox.summary()["events"] >= 3, 60, "not all arrived")
            wait_for(lambda: read_topic(kafka, letters), 30, "no dead letter")
            assert relay.terminate() == 0, relay.text()
            assert "rose" not in relay.text()
        names = [e["name"] for r in sandbox.requests() for e in r["events"]]
        assert names == ["dug", "sown", "watered"]
        # Where the module is not found, the start says so in one line.
        with relay_run(environ) as without:
            assert without.wait() == ExitStatus.SETTINGS
            (line,) = [one for one in without.text().splitlines() if not one.startswith("{")]
            assert "python:garden_events:to_events: the module cannot be imported" in line
    (letter,) = read_topic(kafka, letters)
    headers = dict(letter.headers())
    assert headers["relay-dlq-code"] == b"mapping_raised"
    assert headers["relay-dlq-reason"] == (b"garden_events:to_events: raised KeyError at line 3")
