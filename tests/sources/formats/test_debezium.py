import json

import pytest

from relay.model import Undecodable
from relay.sources.formats import FormatName, FormatPolicy, build_format
from relay.sources.formats.schemas import Schema, SchemaCache, SchemaKind
from tests.support.schemas import record

DECODE = build_format(FormatName.DEBEZIUM, FormatPolicy())
ROW = {"id": 1, "tier": "gold"}
SOURCE = {"table": "customer", "ts_ms": 5}
ENVELOPE = {"before": None, "after": ROW, "op": "c", "source": SOURCE, "ts_ms": 7}


def decode(document):
    return DECODE(record(json.dumps(document).encode()))


def test_the_envelope_is_the_document_whichever_way_it_is_wrapped():
    assert decode(ENVELOPE) == (ENVELOPE,)
    assert decode({"schema": {"type": "struct"}, "payload": ENVELOPE}) == (ENVELOPE,)
    schemas = SchemaCache()
    schemas.put(7, Schema(SchemaKind.AVRO, lambda _body, _suffix: ENVELOPE | {"_schema": "e"}))
    framed = build_format(FormatName.DEBEZIUM, FormatPolicy(), schemas)
    assert framed(record(b"\0\0\0\0\7x")) == (ENVELOPE,)


@pytest.mark.parametrize(
    ("flat", "envelope"),
    [
        (ROW | {"__op": "u", "__deleted": "false", "__source_ts_ms": 5, "__table": "customer"},
         {"before": None, "after": ROW, "op": "u", "source": {"ts_ms": 5, "table": "customer"}}),
        (ROW | {"__deleted": "true"}, {"before": ROW, "after": None, "op": "d", "source": {}}),
        (ROW | {"__deleted": False, "__ts_ms": 9},
         {"before": None, "after": ROW, "op": "u", "source": {}, "ts_ms": 9}),
        (ROW | {"__op": "r"}, {"before": None, "after": ROW, "op": "r", "source": {}}),
    ],
)  # fmt: skip
def test_a_flattened_event_is_an_envelope_again(flat, envelope):
    assert decode(flat) == (envelope,)


def field(column, kind, **more):
    return {"field": column, "type": kind, "optional": True} | more


def test_with_its_schema_decimals_and_times_are_what_they_mean():
    columns = [
        field("balance", "bytes", name="org.apache.kafka.connect.data.Decimal",
              parameters={"scale": "2"}),
        field("odd", "bytes", name="org.apache.kafka.connect.data.Decimal",
              parameters={"scale": "x"}),
        field("updated", "int64", name="io.debezium.time.MicroTimestamp"),
        field("seen", "int64", name="org.apache.kafka.connect.data.Timestamp"),
        field("born", "int32", name="io.debezium.time.Date"),
        field("any", "struct", name="io.debezium.data.VariableScaleDecimal", fields=[]),
        field("list", "array", items={"type": "int32", "name": "io.debezium.time.Date"}),
        field("gone", "string"),
    ]  # fmt: skip
    schema = {"type": "struct", "fields": [field("after", "struct", fields=columns)]}
    row = {
        "balance": "BfU=",
        "odd": "BfU=",
        "updated": 1795339800000123,
        "seen": 1795339800000,
        "born": -1,
        "any": {"scale": 1, "value": "ew=="},
        "list": [0, None],
        "extra": 7,
    }
    (event,) = decode({"schema": schema, "payload": ENVELOPE | {"after": row}})
    assert event["after"] == {
        "balance": "15.25",
        "odd": "BfU=",
        "updated": "2026-11-22T09:30:00.000123",
        "seen": "2026-11-22T09:30:00.000Z",
        "born": "1969-12-31",
        "any": "12.3",
        "list": ["1970-01-01", None],
        "extra": 7,
    }


@pytest.mark.parametrize(
    ("document", "code", "reason"),
    [
        ([], "not_an_object", "the value must be an object"),
        ({"id": 1}, "invalid_envelope",
         "no change event: neither op with before and after, nor __op or __deleted"),
        ({"schema": {}, "payload": None}, "invalid_envelope", "payload: must be an object"),
        (ENVELOPE | {"op": "x"}, "invalid_envelope", "op: must be one of c, u, d, r, t, m"),
        (ENVELOPE | {"op": ["c"]}, "invalid_envelope", "op: must be one of c, u, d, r, t, m"),
        (ENVELOPE | {"after": [1]}, "invalid_envelope", "after: must be an object or null"),
    ],
)  # fmt: skip
def test_what_is_no_change_event_says_why(document, code, reason):
    assert decode(document) == Undecodable(code, reason)
