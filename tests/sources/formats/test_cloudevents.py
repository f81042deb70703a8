import base64
import json

import pytest

from relay.model import NeedsSchema, Undecodable
from relay.sources.formats import FormatName, FormatPolicy, build_format
from relay.sources.formats.schemas import Schema, SchemaCache, SchemaKind
from tests.support.schemas import record

POLICY = FormatPolicy(events_per_record_max=2)
DECODE = build_format(FormatName.CLOUDEVENTS, POLICY)
EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"a": 1}}
BINARY = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/s"), ("ce_type", b"t")]


def structured(event, content_type="application/cloudevents+json"):
    value = event if isinstance(event, bytes) else json.dumps(event).encode()
    return DECODE(record(value, [("content-type", content_type.encode())]))


def binary(value, *headers):
    return DECODE(record(value, [*BINARY, *headers]))


def test_both_modes_give_the_same_document():
    (whole,) = structured(EVENT | {"time": "2026-01-31T09:30:00Z", "subject": "é"})
    (apart,) = binary(
        b'{"a": 1}', ("ce_time", b"2026-01-31T09:30:00Z"), ("CE_Subject", "é".encode())
    )
    assert whole == apart
    assert whole["data"] == {"a": 1}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json",
        "Application/CloudEvents+JSON; charset=UTF-8",
        "application/cloudevents-batch+json",
    ],
)
def test_the_content_type_tells_structured_mode_in_any_case(content_type):
    assert structured(EVENT, content_type) == (EVENT,)


def test_a_batch_is_taken_where_the_content_type_says_so_and_its_bad_part_is_one_event():
    batch = "application/cloudevents-batch+json"
    first, second = structured([EVENT, EVENT | {"id": 7}], batch)
    assert first == EVENT
    assert second == Undecodable("invalid_cloudevent", "id: is missing, or is not text")
    assert structured([EVENT] * 3, batch).code == "too_many_events"
    assert structured([EVENT]).code == "not_an_object"
    assert structured([], batch) == ()


@pytest.mark.parametrize(
    ("content_type", "value", "added"),
    [
        (None, b"[1]", {"data": [1]}),
        ("application/json; charset=utf-8", b"7", {"data": 7}),
        ("application/vnd.shop+json", b'"x"', {"data": "x"}),
        ("text/plain", "é".encode(), {"data": "é"}),
        ("application/octet-stream", b"\xff", {"data_base64": base64.b64encode(b"\xff").decode()}),
    ],
)
def test_data_in_binary_mode_is_what_its_content_type_says(content_type, value, added):
    headers = [] if content_type is None else [("content-type", content_type.encode())]
    (event,) = binary(value, *headers)
    assert {key: event[key] for key in added} == added
    assert event.get("datacontenttype") == content_type


def test_data_may_name_a_schema_of_the_registry():
    schemas = SchemaCache()
    decode = build_format(FormatName.CLOUDEVENTS, POLICY, schemas)
    framed = record(b"\0\0\0\0\7x", [*BINARY, ("content-type", b"application/avro")])
    assert decode(framed) == NeedsSchema(7)
    schemas.put(7, Schema(SchemaKind.AVRO, lambda body, _: {"read": body.decode()}))
    assert decode(framed)[0]["data"] == {"read": "x"}
    without = DECODE(framed)
    assert (without.code, "schema_registry.urls" in without.reason) == ("schema_unknown", True)


@pytest.mark.parametrize(
    ("value", "headers", "code", "reason"),
    [
        (b"{}", [], "invalid_cloudevent", ("no header content-type: application/cloudevents…, and "
         "no header ce_id, ce_source, ce_specversion, ce_type")),
        (b"{}", BINARY[:3], "invalid_cloudevent",
         "no header content-type: application/cloudevents…, and no header ce_type"),
        (b"{}", [("content-type", b"application/cloudevents+json")], "invalid_cloudevent",
         "id: is missing, or is not text"),
        (b"{}", [("content-type", b"application/cloudevents+avro")], "invalid_cloudevent",
         "structured mode in a format other than JSON"),
        (b"{", [("content-type", b"application/cloudevents+json")], "invalid_json",
         "not valid JSON at line 1 column 1"),
        (b"{}", [("ce_specversion", b"0.3"), *BINARY[1:]], "invalid_cloudevent",
         "specversion: must be 1.0"),
        (b"{", BINARY, "invalid_json", "not valid JSON at line 1 column 1"),
        (b"{}", [("ce_id", b"\xff")], "invalid_cloudevent",
         "an attribute in a header is not UTF-8"),
        (b"\xff", [*BINARY, ("content-type", b"text/plain")], "not_utf8",
         "not UTF-8 from byte 0 on"),
    ],
)  # fmt: skip
def test_what_is_no_cloudevent_says_why(value, headers, code, reason):
    assert DECODE(record(value, headers)) == Undecodable(code, reason)
