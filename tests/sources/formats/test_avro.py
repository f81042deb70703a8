import io
import json
import struct
import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Undecodable
from relay.sources.formats.avro import compile_avro
from relay.sources.formats.schemas import SchemaUnusable

MOMENT = datetime(2026, 1, 31, 9, 30, 0, 123456, UTC)


def written(schema, value):
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return stream.getvalue()


def one_field(kind, value):
    schema = {"type": "record", "name": "R", "fields": [{"name": "v", "type": kind}]}
    return compile_avro(json.dumps(schema))(written(schema, {"v": value}), None)["v"]


@pytest.mark.parametrize(
    ("kind", "value", "plain"),
    [
        ("null", None, None),
        ("boolean", True, True),
        ("long", 2**63 - 1, 2**63 - 1),
        ("long", -(2**63), -(2**63)),
        ("double", 0.1, 0.1),
        ("float", 19.99, 19.99),
        ("float", 16777216.0, 16777216.0),
        ("bytes", b"\x00\xff", "AP8="),
        ({"type": "fixed", "name": "F", "size": 2}, b"\x00\xff", "AP8="),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
        ({"type": "map", "values": "bytes"}, {"k": b"x"}, {"k": "eA=="}),
        ({"type": "array", "items": ["null", "bytes"]}, [None, b"x"], [None, "eA=="]),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
         Decimal("-0.05"), "-0.05"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 30}, Decimal(10**29),
         "1" + "0" * 29),
        ({"type": "fixed", "name": "D", "size": 8, "logicalType": "decimal", "precision": 9,
          "scale": 3}, Decimal("1234.5"), "1234.500"),
        ({"type": "long", "logicalType": "timestamp-millis"}, MOMENT, "2026-01-31T09:30:00.123Z"),
        ({"type": "long", "logicalType": "timestamp-micros"}, MOMENT,
         "2026-01-31T09:30:00.123456Z"),
        ({"type": "long", "logicalType": "timestamp-nanos"}, 1_769_851_800_123_456_789,
         "2026-01-31T09:30:00.123456789Z"),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, MOMENT.replace(tzinfo=None),
         "2026-01-31T09:30:00.123"),
        ({"type": "long", "logicalType": "timestamp-millis"}, 2**62, 2**62),
        ({"type": "int", "logicalType": "date"}, date(1969, 12, 31), "1969-12-31"),
        ({"type": "int", "logicalType": "time-millis"}, time(9, 30, 0, 123000), "09:30:00.123"),
        ({"type": "long", "logicalType": "time-micros"}, time(9, 30), "09:30:00.000000"),
        ({"type": "string", "logicalType": "uuid"}, "not-a-uuid", "not-a-uuid"),
        ({"type": "long", "logicalType": "somebodys-own"}, 7, 7),
        ({"type": "fixed", "name": "P", "size": 12, "logicalType": "duration"},
         struct.pack("<III", 1, 2, 3), {"months": 1, "days": 2, "milliseconds": 3}),
        ({"type": "long", "connect.name": "io.debezium.time.MicroTimestamp"},
         1_769_851_800_123_456, "2026-01-31T09:30:00.123456"),
        (["null", {"type": "record", "name": "S", "fields": [{"name": "b", "type": "bytes"}]},
          "string"], {"b": b"x"}, {"b": "eA=="}),
    ],
)  # fmt: skip
def test_each_type_becomes_a_plain_value(kind, value, plain):
    assert one_field(kind, value) == plain
    assert type(one_field(kind, value)) is type(plain)


def test_infinity_of_a_float_stays_and_nobody_asks_for_its_digits():
    assert one_field("float", float("inf")) == float("inf")


def test_a_document_names_its_record_type_also_of_several():
    events = '["null", {"type": "record", "name": "shop.A", "fields": []}, "shop.B"]'
    other = '{"type": "record", "name": "shop.B", "fields": [{"name": "n", "type": "int"}]}'
    read = compile_avro(events, [other])
    assert read(b"\x02", None) == {"_schema": "shop.A"}
    assert read(b"\x04\x06", None) == {"n": 3, "_schema": "shop.B"}
    own = '{"type": "record", "name": "C", "fields": [{"name": "_schema", "type": "string"}]}'
    assert compile_avro(own)(b"\x02x", None) == {"_schema": "x"}


ORDER = {
    "type": "record",
    "name": "O",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "n", "type": ["null", "long"]},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A"]}},
        {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4}},
    ],
}
READ = compile_avro(json.dumps(ORDER))
VALUE = written(ORDER, {"id": "abc", "n": 7, "e": "A", "d": Decimal(5)})


def test_bytes_behind_the_value_are_told_and_not_dropped():
    assert READ(VALUE, None)["n"] == 7
    assert READ(VALUE + b"xy", None) == Undecodable(
        "trailing_bytes", "the Avro value ends 2 bytes before the record does"
    )


@pytest.mark.parametrize("length", range(len(VALUE)))
def test_a_value_that_is_cut_is_no_value_wherever_it_is_cut(length):
    assert READ(VALUE[:length], None).code in ("invalid_avro", "trailing_bytes")


@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_raise(body):
    READ(body, None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x06abc\x08", "invalid_avro"),  # no such branch
        (b"\x06abc\x00\x08", "invalid_avro"),  # no such symbol
        (b"\x04\xff\xfe", "not_utf8"),
        (b"\xff" * 12, "invalid_avro"),
        (b"\x06abc\x00\x00" + b"\xd0\x0f" + b"\x7f" * 1000, None),
        (b"\x06abc\x00\x00" + b"\x80\x89\x7a" + b"\x7f" * 1_000_000, "invalid_avro"),
    ],
)
def test_what_is_no_value_of_the_schema_is_told(body, code):
    found = READ(body, None)
    assert (found.code if isinstance(found, Undecodable) else None) == code


NODE = '{"type": "record", "name": "N", "fields": [{"name": "next", "type": ["null", "N"]}]}'
TREE = """{"type": "record", "name": "T", "fields": [{"name": "kids",
 "type": {"type": "array", "items": "T"}}]}"""
ENDLESS = '{"type": "record", "name": "N", "fields": [{"name": "self", "type": "N"}]}'


@pytest.mark.parametrize(
    ("schema", "body", "deep"),
    [
        (NODE, b"\x02" * 199 + b"\0", False),
        (NODE, b"\x02" * 200 + b"\0", True),
        (NODE, b"\x02" * 1_000_000, True),
        (TREE, b"\x02" * 99 + b"\0" * 100, False),
        (TREE, b"\x02" * 100_000, True),
        (ENDLESS, b"", True),
    ],
)
def test_a_value_that_is_nested_too_deeply_is_told_before_it_can_end_the_process(
    schema, body, deep
):
    found = compile_avro(schema)(body, None)
    assert (isinstance(found, Undecodable) and found.code == "too_deep") is deep


def test_the_library_alone_would_end_the_process():
    """Should this fail, fastavro has a limit of its own and the walk before it can go."""
    program = (
        "import fastavro, io, json\n"
        f"schema = fastavro.parse_schema(json.loads({NODE!r}))\n"
        "fastavro.schemaless_reader(io.BytesIO(b'\\x02' * 1_000_000), schema, None)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode < 0


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ('{"type": "array", "items": "null"}', "has an array of items that take no bytes"),
        (('{"type": "map", "values": {"type": "array", "items": '
         '{"type": "record", "name": "E", "fields": [{"name": "n", "type": "null"}]}}}'),
         "has an array of items that take no bytes"),
        ('{"type": "record", "name": "R"}', "is not an Avro schema"),
        ('{"type": "record", "name": "R", "fields": [{"name": "x", "type": "shop.Gone"}]}',
         "uses the type shop.Gone, which no schema defines"),
        ('{"type": "bytes", "logicalType": "decimal", "scale": 100000}', "is not an Avro schema"),
        ("{", "is not an Avro schema"),
        ("7", "is not an Avro schema"),
        ("[[]]", "is not an Avro schema"),
        ('[["string"]]', "is not an Avro schema"),
        ("[" * 100_000, "is not an Avro schema"),
        ('{"type": "enum", "name": "E", "symbols": ["no good"]}', "is not a valid Avro schema"),
    ],
)  # fmt: skip
def test_a_schema_that_nothing_can_be_read_with_says_why(schema, what):
    with pytest.raises(SchemaUnusable, match=what.replace(".", r"\.")):
        compile_avro(schema)


_WORDS = st.sampled_from(
    ["record", "string", "int", "long", "bytes", "null", "array", "map", "enum", "fixed", "decimal",
     "items", "values", "fields", "name", "type", "size", "symbols", "logicalType", "precision",
     "scale", "default", "shop.X", "X", ""]
)  # fmt: skip
_LEAVES = st.one_of(_WORDS, st.integers(-3, 2**70), st.none(), st.booleans(), st.floats(-2, 2))


def _kinds(inner):
    named = {"type": _WORDS, "name": _WORDS}
    return st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(_WORDS, inner, max_size=4),
        st.fixed_dictionaries({**named, "fields": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({**named, "items": inner, "values": inner, "size": inner}),
    )


@given(st.recursive(_LEAVES, _kinds, max_leaves=12), st.binary(max_size=30))
def test_whatever_a_registry_calls_a_schema_it_reads_or_says_why(document, body):
    """Else one odd schema would end the stream again and again."""
    try:
        read = compile_avro(json.dumps(document))
    except SchemaUnusable:
        return
    read(body, None)
