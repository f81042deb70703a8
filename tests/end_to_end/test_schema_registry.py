"""Topics that name their schemas, through `relay run`: a real Kafka and a real registry."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from tests.support.judge import Produced, judge
from tests.support.kafka_admin import wait_for
from tests.support.registry_stand_in import registry_stand_in, schema_answer
from tests.support.road import Sandbox, committed, read_topic, relay_environ, relay_run
from tests.support.schemas import Serialisers, field, message_classes, proto_file

pytestmark = [pytest.mark.broker, pytest.mark.slow]

TS_MS = 1_767_225_600_000
USERS = [f"user-{number:02}" for number in range(20)]
SEEN = {
    "type": "record", "name": "Seen", "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "user", "type": "string"},
        {"name": "seq", "type": "int"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "coupon", "type": ["null", "string"], "default": None},
    ],
}  # fmt: skip
# A field was added with a default, and another one was removed.
SEEN_LATER = SEEN | {
    "fields": [*SEEN["fields"][:4], {"name": "channel", "type": "string", "default": "app"}]
}
COMMON = [
    field("id", 1, "string"), field("user", 2, "string"), field("seq", 3, "int32"),
    field("at", 4, "int64"),
]  # fmt: skip
SEEN_PROTO = message_classes(proto_file("seen.proto", "shop", [("Tapped", COMMON)]))["Tapped"]
LATER_PROTO = message_classes(
    proto_file("seen2.proto", "shop", [("Tapped", [*COMMON, field("channel", 5, "string")])])
)["Tapped"]
RULE = {
    "track": "seen", "id": ".id", "ts": ".at",
    "user": {"accounts": [{"id": ".user", "compartment": "1000"}]},
    "properties": {"seq": ".seq", "channel": ".channel"},
}  # fmt: skip


def events(first: int, last: int) -> Iterator[dict[str, Any]]:
    """Events of all users in turn, each user's numbered from 0."""
    for number in range(first, last):
        user, seq = USERS[number % len(USERS)], number // len(USERS)
        yield {"id": f"{user}-{seq}", "user": user, "seq": seq, "at": TS_MS + number}


def written(serialisers: Serialisers, event: dict[str, Any], *, later: bool) -> bytes:
    """An event by one of Confluent's serialisers; a user's events are of all kinds in turn."""
    more = {"channel": "web"} if later else {}
    match (event["seq"] + int(event["user"][-2:])) % 3:
        case 0:
            return serialisers.avro(event | more, SEEN_LATER if later else SEEN)
        case 1:
            return serialisers.protobuf((LATER_PROTO if later else SEEN_PROTO)(**event, **more))
        case _:
            return serialisers.json_schema(event | more)


def native(event: dict[str, Any]) -> bytes:
    """The same in Relay's own format."""
    return json.dumps(
        {
            "type": "track", "id": event["id"], "ts": event["at"], "event": "seen",
            "user": {"accounts": [{"id": event["user"]}]}, "properties": {"seq": event["seq"]},
        }
    ).encode()  # fmt: skip


def produce(kafka: Any, topic: str, records: Any, **more: Any) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
    for key, value in records:
        producer.produce(topic, value, key=key.encode(), **more)
    assert producer.flush(30) == 0


def environ_of(
    kafka: Any, sandbox: Sandbox, topics: list[str], registry: str, rule: Any = RULE, **more: str
) -> Any:
    group = f"schemas-{uuid.uuid4().hex[:8]}"
    found = relay_environ(
        kafka, topics[0], sandbox.url, group,
        SOURCES=json.dumps([{"topics": [topics[0]], "format": "schema_registry", "mapping": "m"}]),
        MAPPINGS=json.dumps({"m": {"rules": [rule]}}),
        SCHEMA_REGISTRY__URLS=registry,
        SCHEMA_REGISTRY__RETRY_S_MAX="1",
        SCHEMA_REGISTRY__UNKNOWN_WAIT_S="1",
        **more,
    )  # fmt: skip
    found["RELAY_KAFKA__TOPICS"] = json.dumps(topics)
    return group, found


@pytest.mark.timeout(240)
def test_1200_records_of_three_kinds_arrive_in_order_across_an_outage_and_evolved_schemas(
    kafka, schema_registry
):
    mixed = kafka.create_topic(partitions=3)
    plain = kafka.create_topic(partitions=1)
    for topic in (mixed, plain):
        kafka.create_topic(f"{topic}.dlq", partitions=1)
    with Serialisers(schema_registry.url, mixed) as serialisers:
        early = [(e["user"], written(serialisers, e, later=False)) for e in events(0, 600)]
        late = [(e["user"], written(serialisers, e, later=True)) for e in events(600, 1200)]
    with Sandbox() as sandbox:
        group, environ = environ_of(kafka, sandbox, [mixed, plain], schema_registry.url)
        with relay_run(environ) as relay:
            admin = relay.until("relay_started")["admin"]
            produce(kafka, mixed, early)
            wait_for(lambda: sandbox.summary()["events"] >= 600, 60, "the first did not arrive")
            schema_registry.stop()
            try:
                produce(kafka, mixed, late)
                (said,) = [relay.until("registry_unavailable")]
                assert said["level"] == "error"
                # The topic that needs no registry goes on, and only the others wait.
                produce(kafka, plain, ((f"own-{e['user']}", native(e)) for e in own_events()))
                before = len(own_events())
                wait_for(lambda: _of_others(sandbox) >= before, 30, "the other topic stopped")
                wait_for(lambda: httpx.get(f"{admin}/readyz").status_code == 503, 30, "ready")
                status = httpx.get(f"{admin}/status").json()["schema_registry"]
                assert status["problem"]
                assert {name.rsplit("-", 1)[0] for name in status["waiting"]} == {mixed}
                assert "relay_schema_registry_trouble 1.0" in httpx.get(f"{admin}/metrics").text
            finally:
                schema_registry.start()
            expected = 1200 + before
            wait_for(lambda: sandbox.summary()["events"] >= expected, 60, "not all arrived")
            wait_for(lambda: httpx.get(f"{admin}/readyz").status_code == 200, 30, "not ready")
            assert relay.said("registry_available")
            assert relay.terminate() == 0, relay.text()
        verdict = judge(_produced(1200), sandbox.requests(), [])
        assert sandbox.summary()["events"] == expected
    assert (verdict.lost, verdict.order_breaks, verdict.duplicates, verdict.repeats) == (0, 0, 0, 0)
    assert verdict.delivered == expected
    assert read_topic(kafka, f"{mixed}.dlq") == []
    assert sum(committed(kafka, group, mixed).values()) == 1200


def own_events() -> list[dict[str, Any]]:
    """Of a user whom the mixed topic does not have."""
    return [{"id": f"n-{n}", "user": "user-99", "seq": n, "at": TS_MS} for n in range(50)]


def _of_others(sandbox: Sandbox) -> int:
    return int(sandbox.summary()["events"]) - 600


def _produced(count: int) -> Produced:
    produced = Produced()
    for user in USERS:
        produced.good[user] = count // len(USERS)
    produced.good["user-99"] = len(own_events())
    return produced


def register(url: str, subject: str, schema: Any, **more: Any) -> bytes:
    """The beginning of a value with that schema."""
    text = schema if isinstance(schema, str) else json.dumps(schema)
    answer = httpx.post(f"{url}/subjects/{subject}/versions", json={"schema": text, **more})
    assert answer.status_code == 200, answer.text
    return b"\0" + int(answer.json()["id"]).to_bytes(4, "big")


def avro_seen(user: str, seq: int) -> bytes:
    """The body of a `Seen` without a coupon."""

    def number(value: int) -> bytes:
        value, out = value << 1, b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    def text(value: str) -> bytes:
        return number(len(value)) + value.encode()

    return text(f"{user}-{seq}") + text(user) + number(seq) + number(TS_MS) + b"\0"


@pytest.mark.timeout(240)
def test_odd_records_are_one_dead_letter_each_and_what_refers_to_others_is_read(
    kafka, schema_registry
):
    topic, plain = kafka.create_topic(partitions=1), kafka.create_topic(partitions=1)
    letters = kafka.create_topic(f"{topic}.dlq", partitions=1)
    kafka.create_topic(f"{plain}.dlq", partitions=1)
    url = schema_registry.url
    when = {"type": "record", "name": "When", "namespace": "shop", "fields": SEEN["fields"][3:4]}
    register(url, f"{topic}-when", when)
    refers = SEEN | {
        "fields": [*SEEN["fields"][:3], {"name": "when", "type": "shop.When"}, SEEN["fields"][4]]
    }
    reference = {"name": "shop.When", "subject": f"{topic}-when", "version": 1}
    seen = register(url, f"{topic}-seen", SEEN)
    referring = register(url, f"{topic}-refers", refers, references=[reference])
    with Serialisers(url, topic) as serialisers:
        empty = serialisers.protobuf(SEEN_PROTO())
    values = [
        (seen + avro_seen("user-00", 0) + b"more", "trailing_bytes"),
        (empty, "missing_field"),
        (b"\0\x00\x7f\xff\xff" + b"x", "schema_unknown"),
        (b'{"id": "1"}', "not_wire_format"),
        (seen + b"\xff", "invalid_avro"),
        (referring + avro_seen("user-00", 1), None),
        (seen + avro_seen("user-00", 2), None),
    ]
    rule = {**RULE, "ts": ".at // .when.at"}  # where it is of the schema that is referred to
    with Sandbox() as sandbox:
        _, environ = environ_of(kafka, sandbox, [topic, plain], url, rule)
        with relay_run(environ) as relay:
            produce(kafka, topic, [("k", value) for value, _ in values])
            produce(kafka, plain, [("k", values[-1][0])])
            wait_for(lambda: sandbox.summary()["events"] >= 2, 60, "they did not arrive")
            wait_for(lambda: len(read_topic(kafka, letters)) >= 5, 30, "letters are missing")
            wait_for(lambda: read_topic(kafka, f"{plain}.dlq"), 30, "no letter of the other topic")
            assert relay.terminate() == 0, relay.text()
        assert sandbox.summary()["events"] == 2
    codes = [dict(m.headers())["relay-dlq-code"].decode() for m in read_topic(kafka, letters)]
    assert codes == [code for _, code in values if code]
    (own,) = read_topic(kafka, f"{plain}.dlq")
    assert b"Confluent wire format" in dict(own.headers())["relay-dlq-reason"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("settings", "authorization"),
    [
        (
            {"SCHEMA_REGISTRY__USERNAME": "relay", "SCHEMA_REGISTRY__PASSWORD": "s3cret-word"},
            "Basic cmVsYXk6czNjcmV0LXdvcmQ=",
        ),
        ({"SCHEMA_REGISTRY__TOKEN": "s3cret-word"}, "Bearer s3cret-word"),
    ],
)
def test_guids_are_looked_up_with_the_login_and_a_login_that_is_refused_holds(
    kafka, settings, authorization
):
    """In the value and in a header, of which only the header stands before the whole body."""
    topic = kafka.create_topic(partitions=1)
    kafka.create_topic(f"{topic}.dlq", partitions=1)
    guid = uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")
    open_to = [""]

    def respond(path: str, headers: dict[str, str]) -> Any:
        if headers.get("authorization") != open_to[0]:
            return 401, {}, b"{}"
        assert path == f"/schemas/guids/{guid}"
        return schema_answer(schema=json.dumps(SEEN))

    marked = b"\1" + guid.bytes
    with Sandbox() as sandbox, registry_stand_in(respond) as url:
        _, environ = environ_of(kafka, sandbox, [topic], url, **settings)
        with relay_run(environ) as relay:
            produce(kafka, topic, [("k", marked + avro_seen("user-00", 0))])
            produce(
                kafka, topic, [("k", avro_seen("user-00", 1))],
                headers=[("__value_schema_id", marked)],
            )  # fmt: skip
            said = relay.until("registry_unavailable")
            assert (said["refused"], "credentials" in said["reason"]) == (True, True)
            open_to[0] = authorization
            wait_for(lambda: sandbox.summary()["events"] >= 2, 60, "they did not arrive")
            assert relay.terminate() == 0, relay.text()
            assert "s3cret-word" not in relay.text()
    assert read_topic(kafka, f"{topic}.dlq") == []
