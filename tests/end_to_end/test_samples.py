"""Samples of every format that needs no registry, as their senders write them, through `relay run`.

Each sample has a user of its own. What the API got of that user, and the dead letters and skips of
the sample's topic, are what the sample says.
"""

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from relay.sources.formats.snowplow_tsv import _READERS
from tests.support.kafka_admin import wait_for
from tests.support.road import Sandbox, read_topic, relay_environ, relay_run

pytestmark = pytest.mark.broker

TS_MS = 1_767_225_600_000
AT = "2026-01-01T00:00:00Z"


@dataclass
class Sample:
    """A record, the source for its topic, and what is to become of its events."""

    name: str
    value: Any
    source: dict[str, Any]
    sent: list[str] = field(default_factory=list)
    """Names of events, or `profile`, in the order of the record."""
    dead: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    holds: dict[str, Any] = field(default_factory=dict)
    """What the first event has among its properties."""

    @property
    def user(self) -> str:
        return f"u-{self.name}"

    @property
    def topic(self) -> str:
        return f"{_RUN}.{self.name}"

    def bytes(self) -> bytes:
        value = self.value
        text = value if isinstance(value, str) else json.dumps(value)
        return text.replace("USER", self.user).encode()


_RUN = f"samples-{uuid.uuid4().hex[:8]}"


def _tsv(**columns: str) -> str:
    return "\t".join(columns.get(name, "") for name, _ in _READERS)


def _batch(*events: dict[str, Any], environment: str = "production") -> dict[str, Any]:
    return {
        "environment": environment, "batch_id": 4, "mpid": "9",
        "user_identities": {"customer_id": "USER"}, "events": list(events),
    }  # fmt: skip


def _mp(number: int, kind: str = "custom_event", **data: Any) -> dict[str, Any]:
    return {
        "event_type": kind,
        "data": {"event_id": number, "timestamp_unixtime_ms": TS_MS + number, **data},
    }


_LINE = {"sku": "b-2", "pieces": 3, "cents": 250}
SHOP = {
    "rules": [
        {
            "name": "basket", "when": '.what == "basket"', "track": "$basket_view",
            "id": ".no | text", "ts": ".at | rfc3339",
            "user": {"accounts": [{"id": ".who"}]},
            "properties": {
                "$items": {
                    "each": ".lines",
                    "as": {"$id": ".sku", "$qty": ".pieces", "$price": ".cents | divide(100)"},
                }
            },
        },
        {"when": '.what == "ping"', "skip": "ping"},
    ],
}  # fmt: skip
_CE = {"ce_specversion": "1.0", "ce_id": "8", "ce_source": "/garden", "ce_type": "t", "ce_time": AT}
_WATERED = {"type": "track", "event": "watered", "user": {"accounts": [{"id": "USER"}]}}
_ROW = {"id": "USER", "tier": "oak", "secret": "no"}
SAMPLES = [
    Sample(
        "segment",
        {
            "type": "track", "event": "Product Viewed", "messageId": "g1", "timestamp": AT,
            "userId": "USER", "properties": {"product_id": "b-1", "price": 4.5, "currency": "EUR"},
        },
        {"preset": "segment"},
        sent=["$item_view"],
        holds={"$items": [{"$id": "b-1", "$price": 4.5}], "$currency": "EUR"},
    ),
    Sample(
        "segment-nobody",
        {"type": "track", "event": "e", "messageId": "g2", "timestamp": AT, "anonymousId": "a"},
        {"preset": "segment"},
        skipped=["no_user"],
    ),
    Sample(
        "mparticle",
        _batch(
            _mp(1, event_name="Dug", custom_event_type="other"),
            {"event_type": "custom_event", "data": {"event_id": 2, "event_name": "No time"}},
            _mp(3, "session_start", session_id=5),
            _mp(4, event_name="Sown", custom_event_type="other"),
        ),
        {"preset": "mparticle"},
        sent=["Dug", "Sown"],
        dead=["missing_field"],
        skipped=["mparticle_session_start"],
    ),
    Sample(
        "mparticle-tests",
        _batch(_mp(1, event_name="Dug", custom_event_type="other"), environment="development"),
        {"preset": "mparticle"},
        skipped=["environment_development"],
    ),
    Sample(
        "rudderstack",
        {"type": "identify", "messageId": "r1", "timestamp": AT, "userId": "USER",
         "traits": {"plot": 12}},
        {"preset": "rudderstack"},
        sent=["profile"],
    ),
    Sample(
        "jitsu",
        {"type": "page", "messageId": "j1", "timestamp": AT, "userId": "USER",
         "properties": {"path": "/seeds"}},
        {"preset": "jitsu"},
        sent=["page_view"],
        holds={"path": "/seeds"},
    ),
    Sample(
        "ga4",
        {
            "client_id": "3.4", "user_id": "USER", "timestamp_micros": str(TS_MS * 1000),
            "events": [{"name": "view_cart", "params": {"items": [{"item_id": "b-1"}]}},
                       {"name": "session_start"}],
        },
        {"preset": "ga4"},
        sent=["$basket_view"],
        skipped=["ga4_technical"],
    ),
    Sample(
        "snowplow",
        _tsv(
            event="struct", event_id="s1", platform="web", user_id="USER", se_category="bed",
            se_action="weed", derived_tstamp="2026-01-01 00:00:00.000",
        ),
        {"preset": "snowplow", "format": "snowplow_tsv"},
        sent=["bed_weed"],
    ),
    Sample(
        "snowplow-short", "one\ttwo", {"preset": "snowplow", "format": "snowplow_tsv"},
        dead=["invalid_tsv"],
    ),
    Sample(
        "ce-structured",
        {"specversion": "1.0", "id": "7", "source": "/garden", "type": "t", "time": AT,
         "data": _WATERED},
        {"preset": "cloudevents", "format": "cloudevents"},
        sent=["watered"],
        headers={"content-type": "application/cloudevents+json; charset=utf-8"},
    ),
    Sample(
        "ce-binary", _WATERED, {"preset": "cloudevents", "format": "cloudevents"},
        sent=["watered"], headers={**_CE, "content-type": "application/json"},
    ),
    Sample(
        "ce-neither", _WATERED, {"preset": "cloudevents", "format": "cloudevents"},
        dead=["invalid_cloudevent"],
    ),
    Sample(
        "debezium",
        {"before": None, "after": _ROW, "op": "c", "source": {"table": "t", "ts_ms": TS_MS}},
        {"preset": "debezium", "format": "debezium", "settings": {"columns": ["tier"]}},
        sent=["profile"],
    ),
    Sample(
        "debezium-delete",
        {"before": _ROW, "after": None, "op": "d", "source": {"table": "t", "ts_ms": TS_MS}},
        {"preset": "debezium", "format": "debezium", "settings": {"columns": ["tier"]}},
        skipped=["debezium_delete"],
    ),
    Sample(
        "lines",
        "\n".join(
            json.dumps(each)
            for each in (
                {"what": "basket", "no": 1, "at": AT, "who": "USER", "lines": [_LINE]},
                {"what": "ping"},
                {"what": "basket", "no": 2, "at": "2026-01-01T00:00:00", "who": "USER"},
                {"what": "lawn"},
            )
        ),
        {"mapping": "shop", "format": "ndjson"},
        sent=["$basket_view"],
        dead=["invalid_timestamp"],
        skipped=["ping"],
        holds={"$items": [{"$id": "b-2", "$qty": 3, "$price": 2.5}]},
    ),
]  # fmt: skip


@pytest.mark.timeout(240)
def test_each_sample_becomes_what_it_says(kafka):
    for sample in SAMPLES:
        kafka.create_topic(sample.topic, partitions=1)
    letters = f"{_RUN}.dead"
    kafka.create_topic(letters, partitions=1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
    for sample in SAMPLES:
        headers = [(name, text.encode()) for name, text in sample.headers.items()]
        producer.produce(sample.topic, sample.bytes(), headers=headers)
    assert producer.flush(30) == 0
    sources = [{"topics": [sample.topic], **sample.source} for sample in SAMPLES]
    with Sandbox() as sandbox:
        environ = relay_environ(
            kafka, "-", sandbox.url, _RUN,
            SOURCES=json.dumps(sources), MAPPINGS=json.dumps({"shop": SHOP}),
            DEAD_LETTER__TOPIC=letters,
        )  # fmt: skip
        environ["RELAY_KAFKA__TOPICS"] = json.dumps([sample.topic for sample in SAMPLES])
        with relay_run(environ) as relay:
            admin = relay.until("relay_started")["admin"]
            settled = "relay_events_settled_total"
            total = sum(len(s.sent) + len(s.dead) + len(s.skipped) for s in SAMPLES) + 1
            wait_for(lambda: sum(_counted(admin, settled).values()) >= total, 60, "not all settled")
            skips = {
                code: count for (fate, code), count in _counted(admin, settled).items()
                if fate == "skipped"
            }  # fmt: skip
            assert relay.terminate() == 0, relay.text()
        found = sandbox.http.get("/_sandbox/activities").raise_for_status().json()[::-1]
    for sample in SAMPLES:
        own = [each for each in found if sample.user in json.dumps(each)]
        assert [_what(each) for each in own] == sample.sent, (sample.name, own)
        if sample.holds:
            properties = own[0]["$events"][0]["$properties"]
            assert {name: properties.get(name) for name in sample.holds} == sample.holds
        assert "secret" not in json.dumps(own)
    told = [dict(message.headers()) for message in read_topic(kafka, letters)]
    dead = {h["relay-dlq-topic"].decode(): h["relay-dlq-code"].decode() for h in told}
    assert dead == {s.topic: s.dead[0] for s in SAMPLES if s.dead}
    wanted: dict[str, int] = {}
    for sample in SAMPLES:
        for code in sample.skipped:
            wanted[code] = wanted.get(code, 0) + 1
    assert skips == wanted, (skips, wanted)


def _counted(admin: str, metric: str) -> dict[tuple[str, str], int]:
    text = httpx.get(f"{admin}/metrics").text
    lines = re.findall(rf'^{metric}\{{code="(.*)",fate="(.*)"\}} (.*)$', text, re.MULTILINE)
    return {(fate, code): int(float(count)) for code, fate, count in lines}


def _what(activity: dict[str, Any]) -> str:
    name = str(activity["$events"][0]["$event_name"])
    return "profile" if name == "$set_user_profile_properties" else name
