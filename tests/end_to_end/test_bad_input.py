"""Whatever lands on the topic: one dead letter or a counted skip, and the stream goes on.

One run of the whole road for all cases: a real broker, `relay run`, the sandbox over HTTP.
"""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.support.kafka_admin import wait_for
from tests.support.leaks import leaks, watched
from tests.support.road import TOKEN, Sandbox, read_topic, relay_environ, relay_run

pytestmark = pytest.mark.broker

GOOD = {
    "type": "track",
    "id": "good-00001",
    "ts": 1_767_225_600_000,
    "user": {
        "accounts": [{"id": "account-of-jane-00001"}],
        "emails": [{"address": "jane.doe@example.com"}],
        "devices": [{"id": "mob:ios:raw:6D92078A-8246-4BA4-AE5B-76104861E7DC"}],
    },
    "event": "bought",
    "properties": {},
}


def changed(**fields: Any) -> bytes:
    """The good event with other fields; None takes a field out."""
    event = {**GOOD, "id": f"changed-{uuid.uuid4().hex}", **fields}
    return json.dumps({k: v for k, v in event.items() if v is not None}).encode()


TEXT = json.dumps(GOOD)

# name: (value, class, code, what the reason must name)
BAD: dict[str, tuple[bytes | None, str, str, str]] = {
    "invalid JSON": (b'{"type": "track", ', "undecodable", "invalid_json", "line 1"),
    "nothing at all": (b"", "undecodable", "invalid_json", "empty"),
    "wrong encoding": (TEXT.encode("utf-16"), "undecodable", "not_utf8", "UTF-8"),
    "latin-1": (
        TEXT.replace("bought", "acheté").encode("latin-1"), "undecodable", "not_utf8", "UTF-8",
    ),
    "not an object": (b"[1, 2]", "undecodable", "not_an_object", "object"),
    "an unknown type": (changed(type="trakc"), "undecodable", "unknown_type", "type"),
    "a missing field": (changed(user=None), "undecodable", "missing_field", "user"),
    "a field of the wrong kind": (changed(event=7), "undecodable", "invalid_field", "event"),
    "an unknown field": (changed(evnt="x"), "undecodable", "unknown_field", "evnt"),
    "a 5 MB record": (
        changed(properties={"x": "y" * 5_000_000}), "undecodable", "too_large", "bytes",
    ),
    "deep nesting": (
        TEXT.replace("{}", '{"a": ' + "[" * 5000 + "]" * 5000 + "}").encode(),
        "undecodable", "too_deep", "nested",
    ),
    "NaN": (
        TEXT.replace('"properties": {}', '"properties": {"price": NaN}').encode(),
        "undecodable", "invalid_json", "line 1",
    ),
    "duplicate keys": (
        TEXT.replace('"event"', '"event": "x", "event"').encode(),
        "undecodable", "duplicate_key", "twice",
    ),
    "a timestamp in seconds": (
        changed(ts=1_767_225_600), "undecodable", "invalid_timestamp", "seconds",
    ),
    "a timestamp in microseconds": (
        changed(ts=1_767_225_600_000_000), "undecodable", "invalid_timestamp", "microseconds",
    ),
    "a timestamp without an offset": (
        changed(ts="2026-01-01T00:00:00"), "undecodable", "invalid_timestamp", "ts",
    ),
    "the year 3489": (changed(ts="3489-01-01T00:00:00Z"), "unmappable", "implausible_time", "ts"),
    "the year 1970": (changed(ts="1970-01-02T00:00:00Z"), "unmappable", "implausible_time", "ts"),
    "no identifier": (changed(user={}), "unmappable", "no_identifier", "user"),
    "an all-zero device": (
        changed(user={"devices": [{"id": "mob:ios:raw:00000000-0000-0000-0000-000000000000"}]}),
        "unmappable", "no_identifier", "user",
    ),
    "a reserved name": (
        changed(event="$page_view"), "unmappable", "reserved_event_name", "event",
    ),
    "an envelope of a producer's": (b"{}", "undecodable", "missing_field", "type"),
    "what the API refuses": (
        changed(properties={"refuse": "me"}), "refused", "http_400", "400",
    ),
}  # fmt: skip
# A time without an offset cannot be compared with one that has it.
ENVELOPE = {
    "version": "1", "topic": "t", "partition": "0", "offset": "7", "timestamp": "7",
    "class": "refused", "code": "http_400", "reason": "no", "attempts": "1", "mapping": "1",
    "first-attempt": "2026-01-01T00:00:00",
}  # fmt: skip
HEADERS = {
    "an envelope of a producer's": [
        (f"relay-dlq-{name}", text.encode()) for name, text in ENVELOPE.items()
    ],
}
SKIPPED = {
    "a null value": (None, "null_value"),
    "a segment event": (
        json.dumps(
            {
                "type": "segment", "id": "s-1", "ts": GOOD["ts"], "user": GOOD["user"],
                "action": "add", "segment_ids": ["88"],
            }
        ).encode(),
        "segment_not_routed",
    ),
}  # fmt: skip


@dataclass
class Outcome:
    """What one run of the road left behind."""

    letters: dict[str, Any]
    delivered: set[str]
    skipped: dict[str, int]
    log: str


@pytest.fixture(scope="module")
def outcome(kafka):
    """Every bad record with a good one of the same user behind it, through the whole road."""
    topic = kafka.create_topic(config={"max.message.bytes": "10000000"})
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "message.max.bytes": 10_000_000,
            "log_level": 2,
        }
    )
    names = [*BAD, *SKIPPED]
    for number, name in enumerate(names):
        value = BAD[name][0] if name in BAD else SKIPPED[name][0]
        headers = [("origin", name.encode()), *HEADERS.get(name, ())]
        producer.produce(topic, value, key=b"key-%d" % number, headers=headers)
        producer.produce(topic, changed(id=f"behind-{number}", event=f"behind {name}"))
    assert producer.flush(60) == 0
    with Sandbox() as sandbox:
        sandbox.faults({"rules": [{"kind": "status", "status": 400, "contains": '"refuse":"me"'}]})
        environ = relay_environ(kafka, topic, sandbox.url, f"bad-{topic}", LOG__LEVEL="debug")
        with relay_run(environ) as relay:
            wait_for(lambda: sandbox.summary()["events"] >= len(names), 60, "the stream stopped")
            dead = f"{topic}.dlq"
            wait_for(lambda: len(read_topic(kafka, dead)) >= len(BAD), 30, "letters missing")
            assert relay.terminate() == 0, relay.text()
            events = [event for r in sandbox.requests() for event in r["events"] if r["stored_n"]]
            skipped = {line["code"]: line["count"] for line in relay.said("records_skipped")}
            letters = {dict(m.headers())["origin"].decode(): m for m in read_topic(kafka, dead)}
            return Outcome(letters, {e["name"] for e in events}, skipped, relay.text())


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_one_dead_letter_with_its_reason_and_its_bytes(outcome, name):
    value, cls, code, named = BAD[name]
    letter = outcome.letters[name]
    headers = {key: text.decode() for key, text in letter.headers()}
    assert headers["relay-dlq-class"] == cls, headers
    assert headers["relay-dlq-code"] == code, headers
    assert named in headers["relay-dlq-reason"], headers
    assert letter.value() == value
    assert letter.key().startswith(b"key-")


@pytest.mark.parametrize("name", [*BAD, *SKIPPED])
def test_the_stream_goes_on_behind_it(outcome, name):
    assert f"behind {name}" in outcome.delivered


@pytest.mark.parametrize("name", SKIPPED)
def test_what_is_skipped_is_counted_under_its_code(outcome, name):
    assert outcome.skipped[SKIPPED[name][1]] == 1
    assert name not in outcome.letters


def test_the_log_of_the_run_holds_nothing_personal_and_no_secret(outcome):
    assert "record_dead_lettered" in outcome.log
    assert leaks(outcome.log, watched([GOOD], secrets=[TOKEN])) == []
