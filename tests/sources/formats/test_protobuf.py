import asyncio
import base64

import pytest
from google.protobuf import descriptor_pool, message_factory, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Undecodable
from relay.sources.formats.protobuf import compile_protobuf, file_proto
from relay.sources.formats.schemas import SchemaUnusable
from relay.sources.registry.protoc import descriptors
from tests.support.schemas import field, message_classes, proto_file

TEXT = """
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/any.proto";
import "confluent/type/decimal.proto";
import "confluent/meta.proto";

enum Channel { CHANNEL_UNKNOWN = 0; APP = 1; }
message First { string only = 1; }
message Order {
  message Line { string sku = 1; uint32 qty = 2; repeated Line parts = 3; }
  string id = 1;
  int64 big = 2;
  uint64 huge = 3;
  bool accepted = 4;
  optional bool asked = 5;
  Channel channel = 6;
  bytes raw = 7;
  float price = 8;
  repeated Line lines = 9;
  map<string, int64> counts = 10;
  map<int32, Line> by_number = 11;
  oneof whom { string account = 12; string guest = 13; }
  google.protobuf.Timestamp at = 14;
  google.protobuf.Duration took = 15;
  google.protobuf.Struct extra = 16;
  google.protobuf.Int64Value maybe = 17;
  google.protobuf.Any any = 18;
  confluent.type.Decimal total = 19 [(confluent.field_meta) = { doc: "with tax" }];
  repeated bytes parts = 20;
  map<bool, string> flags = 21;
}
"""
ABSENT = {
    "big": 0,
    "huge": 0,
    "accepted": False,
    "channel": "CHANNEL_UNKNOWN",
    "price": 0.0,
    "_schema": "shop.Order",
}


@pytest.fixture(scope="module")
def compiled():
    file, imports = asyncio.run(descriptors(TEXT, {}))
    return compile_protobuf(file, imports), file, imports


@pytest.fixture
def read(compiled):
    return compiled[0]


@pytest.fixture
def order(compiled):
    _, file, imports = compiled
    pool = descriptor_pool.DescriptorPool()
    for each in (*imports, file):
        pool.AddSerializedFile(each.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))()


SECOND = b"\x02\x02"


def test_an_empty_body_is_a_message_of_defaults(read):
    assert read(SECOND, None) == ABSENT
    assert read(b"\0", None) == {"_schema": "shop.First"}
    assert read(b"", SECOND) == ABSENT


def test_what_is_set_is_there_by_the_names_of_the_proto_file(read, order):
    order.id = "o-1"
    order.big = -(2**63)
    order.huge = 2**64 - 1
    order.asked = False
    order.channel = 1
    order.raw = b"\x00\xff"
    order.price = 19.99
    order.lines.add(sku="a", qty=2).parts.add(sku="b")
    order.counts["x"] = 2**60
    order.by_number[-1].sku = "n"
    order.guest = ""
    order.at.FromJsonString("2026-01-31T09:30:00.123Z")
    order.took.FromJsonString("-1.500s")
    order.extra.update({"n": 1, "f": 0.5, "l": [None, True, {"x": "y"}]})
    order.maybe.value = 0
    order.any.type_url = "type.googleapis.com/x"
    order.total.value, order.total.scale = (-105).to_bytes(2, "big", signed=True), 2
    order.parts.append(b"x")
    order.flags[True] = "yes"
    assert read(SECOND + order.SerializeToString(), None) == ABSENT | {
        "id": "o-1",
        "big": -(2**63),
        "huge": 2**64 - 1,
        "asked": False,
        "channel": "APP",
        "raw": "AP8=",
        "price": 19.99,
        "lines": [{"sku": "a", "qty": 2, "parts": [{"sku": "b", "qty": 0}]}],
        "counts": {"x": 2**60},
        "by_number": {"-1": {"sku": "n", "qty": 0}},
        "guest": "",
        "at": "2026-01-31T09:30:00.123000000Z",
        "took": "-1.5s",
        "extra": {"n": 1, "f": 0.5, "l": [None, True, {"x": "y"}]},
        "maybe": 0,
        "any": {"type_url": "type.googleapis.com/x", "value": ""},
        "total": "-1.05",
        "parts": ["eA=="],
        "flags": {"true": "yes"},
    }


@pytest.mark.parametrize(
    ("indexes", "name"),
    [(b"\0", "shop.First"), (b"\2\0", "shop.First"), (b"\4\2\0", "shop.Order.Line")],
)
def test_the_list_of_indexes_names_the_message(read, indexes, name):
    assert read(indexes, None)["_schema"] == name
    assert read(b"", indexes)["_schema"] == name


@pytest.mark.parametrize("body", [b"", b"\2", b"\2\4", b"\4\2\x08", b"\1", b"\xff" * 9, b"\2\1"])
def test_indexes_that_name_no_message_are_told(read, body):
    assert read(body, None) == Undecodable(
        "invalid_protobuf", "names no message of its Protobuf schema"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x05ab",  # cut
        b"\x0a\x02\xff\xfe",  # text that is not UTF-8
        b"\x4b" * 5000,  # groups within groups
        b"\x07",
    ],
)
def test_what_is_no_message_is_told(read, body):
    assert read(SECOND + body, None) == Undecodable(
        "invalid_protobuf", "not a message of its Protobuf schema"
    )


def test_messages_within_messages_have_an_end(read):
    body = b"\x0a\x01x"
    for _ in range(150):
        size = len(body)
        prefix = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
        body = b"\x1a" + prefix + body
    assert read(b"\4\2\0" + body, None).code == "invalid_protobuf"


def test_an_enum_number_without_a_name_and_an_unknown_field_are_those_of_a_newer_schema(read):
    assert read(SECOND + b"\x30\x09" + b"\xf8\x06\x01", None) == ABSENT | {"channel": 9}


@given(st.binary(max_size=80))
def test_no_bytes_make_the_reader_raise(body):
    _FUZZED(body, None)


_FUZZED = compile_protobuf(
    proto_file(
        "f.proto",
        "",
        [("M", [field("s", 1, "string"), field("m", 2, "message", type_name=".M"),
                field("f", 3, "float"), field("v", 4, "message",
                                              type_name=".google.protobuf.Value")])],
        ["google/protobuf/struct.proto"],
    )
)  # fmt: skip


def test_a_schema_may_be_the_descriptor_in_base64_as_confluents_serialiser_registers_it():
    file = proto_file("a.proto", "p", [("A", [field("n", 1, "int32")])])
    text = base64.b64encode(file.SerializeToString()).decode()
    found = file_proto(text)
    assert found is not None
    made = message_classes(file)["A"](n=5)
    assert compile_protobuf(found)(b"\0" + made.SerializeToString(), None)["n"] == 5
    assert file_proto(TEXT) is None


def test_a_message_of_the_library_itself_can_be_the_schema():
    file = file_proto(base64.b64encode(struct_pb2.DESCRIPTOR.serialized_pb).decode())
    made = struct_pb2.Struct()
    made.update({"a": 1})
    found = compile_protobuf(file)(b"\0" + made.SerializeToString(), None)
    assert found == {"a": 1, "_schema": "google.protobuf.Struct"}


@pytest.mark.parametrize(
    ("text", "references", "what"),
    [
        ("message {", {}, "is not a valid Protobuf schema"),
        ('import "gone.proto"; syntax = "proto3";', {}, "is not a valid Protobuf schema"),
        ('syntax = "proto3";', {"../../evil.proto": "x"}, "leads out of its folder"),
        ('syntax = "proto3";', {"/evil.proto": "x"}, "leads out of its folder"),
    ],
)
async def test_a_text_that_is_no_schema_says_so(text, references, what):
    with pytest.raises(SchemaUnusable, match=what):
        await descriptors(text, references)


def test_an_import_that_nobody_gave_is_named():
    file = proto_file("a.proto", "", [("A", [])], ["shop/gone.proto"])
    with pytest.raises(SchemaUnusable, match=r"imports shop/gone\.proto, which is not among"):
        compile_protobuf(file)


async def test_text_may_import_descriptors_and_descriptors_text():
    inner = proto_file("inner.proto", "p", [("I", [field("n", 1, "int32")])])
    as_base64 = base64.b64encode(inner.SerializeToString()).decode()
    text = 'syntax = "proto3"; package p; import "inner.proto"; message O { I i = 1; }'
    file, imports = await descriptors(text, {"inner.proto": as_base64})
    body = b"\0\x0a\x02\x08\x07"
    assert compile_protobuf(file, imports)(body, None)["i"] == {"n": 7}
    outer = proto_file(
        "o.proto", "p", [("O", [field("i", 1, "message", type_name=".p.I")])], ["inner.proto"]
    )
    as_base64 = base64.b64encode(outer.SerializeToString()).decode()
    inner_text = 'syntax = "proto3"; package p; message I { int32 n = 1; }'
    file, imports = await descriptors(as_base64, {"inner.proto": inner_text})
    assert compile_protobuf(file, imports)(body, None)["i"] == {"n": 7}
