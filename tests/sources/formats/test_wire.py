from uuid import UUID

import pytest

from relay.errors import SettingsError
from relay.model import NeedsSchema, Undecodable
from relay.sources.formats import FormatName, FormatPolicy, build_format
from relay.sources.formats.schemas import NoSchema, Schema, SchemaCache, SchemaKind
from tests.support.schemas import record

GUID = UUID("0a1b2c3d-0000-4000-8000-00000000beef")
GUID_HEADER = ("__value_schema_id", b"\x01" + GUID.bytes)


def reading(kind=SchemaKind.AVRO):
    return Schema(kind, lambda body, suffix: {"body": body.decode(), "suffix": suffix})


def decode(value, *headers, cached=(), name=FormatName.SCHEMA_REGISTRY):
    schemas = SchemaCache()
    for key in cached:
        schemas.put(key, reading())
    return build_format(name, FormatPolicy(), schemas)(record(value, headers))


@pytest.mark.parametrize(
    ("value", "headers", "key", "body", "suffix"),
    [
        (b"\0\0\0\1\2ab", [], 258, "ab", None),
        (b"\1" + GUID.bytes + b"ab", [], str(GUID), "ab", None),
        (b"ab", [GUID_HEADER], str(GUID), "ab", b""),
        (b"\0\0\0\0\7", [("__value_schema_id", b"\1" + GUID.bytes + b"\2\2")],
         str(GUID), "\0\0\0\0\7", b"\2\2"),
        (b"ab", [("__value_schema_id", b"\0\0\0\1\2\0")], 258, "ab", b"\0"),
        (b"\0\0\0\1\2", [], 258, "", None),
    ],
)  # fmt: skip
def test_the_schema_is_named_by_id_or_guid_in_the_value_or_in_a_header(
    value, headers, key, body, suffix
):
    assert decode(value, *headers) == NeedsSchema(key)
    assert decode(value, *headers, cached=[key]) == ({"body": body, "suffix": suffix},)


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (b"", [], "the value is empty"),
        (b"\0\0\0", [], "the value ends within its schema's id"),
        (b"\1\0\0\0\0\0\0", [], "the value ends within its schema's id"),
        (b'{"a": 1}', [], ("no schema's id at its beginning (Confluent wire format: a byte 0 or "
         "1); it looks like JSON (format: json)")),
        (b"\2\0\0\0\1x", [], ("no schema's id at its beginning (Confluent wire format: a byte 0 or "
         "1)")),
        (b"\0\0\0\0\0\0\0\0\7x", [], ("schema ids are 1 to 2^31-1; ids of 8 bytes (Apicurio's "
         "default) begin so: let the producer write 4")),
        (b"\0\xff\xff\xff\xffx", [], "schema ids are 1 to 2^31-1"),
        (b"x", [("__value_schema_id", b"\1short")], ("the header __value_schema_id holds neither a "
         "schema id nor a GUID (Confluent wire format)")),
    ],
)  # fmt: skip
def test_a_value_that_names_no_schema_says_why(value, headers, reason):
    assert decode(value, *headers) == Undecodable("not_wire_format", reason)


def test_a_schema_of_another_kind_than_the_source_wants_is_told():
    assert decode(b"\0\0\0\0\7x", cached=[7], name=FormatName.PROTOBUF) == Undecodable(
        "schema_type",
        "schema 7 is AVRO, where the format of the source wants PROTOBUF "
        "(format: schema_registry takes any)",
    )


def test_of_a_schema_that_is_not_there_every_record_says_so():
    schemas = SchemaCache()
    why = Undecodable("schema_unknown", "the registry has no schema 7 (schema_registry)")
    schemas.put(7, NoSchema(why))
    assert build_format(FormatName.AVRO, FormatPolicy(), schemas)(record(b"\0\0\0\0\7x")) == why


def test_json_schema_needs_no_registry():
    decoded = build_format(FormatName.JSON_SCHEMA, FormatPolicy())
    assert decoded(record(b'\0\0\0\0\7{"a": 1}')) == ({"a": 1},)
    assert decoded(record(b"\0\0\0\0\7{")).code == "invalid_json"
    assert decoded(record(b'{"a": 1}')).code == "not_wire_format"


@pytest.mark.parametrize("name", ["avro", "protobuf", "schema_registry"])
def test_a_format_that_needs_a_registry_says_so_before_the_first_record(name):
    with pytest.raises(SettingsError, match=r"needs a schema registry \(set schema_registry.urls"):
        build_format(FormatName(name), FormatPolicy())


def test_the_cache_keeps_what_was_used_last():
    schemas = SchemaCache(entries_max=2)
    for key in (1, 2):
        schemas.put(key, reading())
    assert schemas.get(1)
    schemas.put(3, reading())
    assert [key for key in (1, 2, 3) if schemas.get(key)] == [1, 3]
    assert len(schemas) == 2
