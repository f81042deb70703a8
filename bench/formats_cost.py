"""What a record costs in each format: bytes → document, beside the native decode, one process.

    python -m bench.formats_cost [--records 20000] [--rounds 5]
    python -m bench.formats_cost --callgrind              # JSON and Avro, instructions

Two documents of about 600 bytes of JSON in every format: the event of the usual workload (12
values, one of them long), and an order with three lines (27 values). CPU time, the least of some
rounds, and its ratio to the native decode of that event, which validates it, too. With
`--callgrind` instructions instead, under valgrind: exact, and fifty times slower.
"""

import argparse
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable

import fastavro
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bench.workload import Workload
from relay.model import Record
from relay.sources.formats import FormatName, FormatPolicy, build_format
from relay.sources.formats.avro import compile_avro
from relay.sources.formats.json_schema import compile_json
from relay.sources.formats.protobuf import compile_protobuf
from relay.sources.formats.schemas import Schema, SchemaCache, SchemaKind
from relay.stream.decoding import DecodingPolicy, decode

_LINES = [
    {"sku": f"sku-{n}", "name": f"Trail shoe {n}", "qty": n + 1, "price": 19.5} for n in range(3)
]
ORDER = {
    "id": "0b7c1c5e-4f5d-4f6e-9a50-0f5f0c0a1b2c",
    "customer": "crm-0000881",
    "email": "jane.doe@example.com",
    "channel": "app",
    "device": "6D92078A-8246-4BA4-AE5B-76104861E7DC",
    "country": "FR",
    "city": "Lyon",
    "currency": "EUR",
    "coupon": None,
    "marketing": True,
    "total": 97.5,
    "placed": 1_769_851_800_123,
    "campaign": "winter-2026-trail-shoes-and-jackets",
    "referrer": "https://www.example.com/shoes/trail?sort=price&page=2",
    "lines": _LINES,
}


def avro_of(value: object, name: str = "value") -> object:
    """The Avro schema of a sample; times of the events get a logical type."""
    if value is None:
        return ["null", "string"]
    if isinstance(value, dict):
        fields = [{"name": key, "type": avro_of(each, key)} for key, each in value.items()]
        return {"type": "record", "name": f"R_{name}", "fields": fields}
    if isinstance(value, list):
        return {"type": "array", "items": avro_of(value[0], name)}
    if name in ("ts", "placed"):
        return {"type": "long", "logicalType": "timestamp-millis"}
    return {bool: "boolean", int: "long", float: "double", str: "string"}[type(value)]


def proto_of(value: dict) -> descriptor_pb2.FileDescriptorProto:
    """The Protobuf file of a sample, its first message first."""
    file = descriptor_pb2.FileDescriptorProto(name="sample.proto", syntax="proto3")
    _message(file, "Sample", value)
    return file


def _message(file: descriptor_pb2.FileDescriptorProto, name: str, value: dict) -> None:
    proto = descriptor_pb2.FieldDescriptorProto
    kinds = {bool: proto.TYPE_BOOL, int: proto.TYPE_INT64, float: proto.TYPE_DOUBLE}
    message = file.message_type.add(name=name)
    for number, (key, each) in enumerate(value.items(), start=1):
        listed = isinstance(each, list)
        one = each[0] if listed else each
        field = message.field.add(
            name=key,
            number=number,
            type=kinds.get(type(one), proto.TYPE_STRING),
            label=proto.LABEL_REPEATED if listed else proto.LABEL_OPTIONAL,
        )
        if isinstance(one, dict):
            field.type, field.type_name = proto.TYPE_MESSAGE, f".M_{key}"
            _message(file, f"M_{key}", one)


def values(document: dict) -> dict[FormatName, bytes]:
    """A document in each format."""
    text = json.dumps(document, separators=(",", ":")).encode()
    avro = io.BytesIO()
    fastavro.schemaless_writer(avro, fastavro.parse_schema(avro_of(document)), document)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(proto_of(document).SerializeToString())
    sample = message_factory.GetMessageClass(pool.FindMessageTypeByName("Sample"))
    body = sample(**{key: value for key, value in document.items() if value is not None})
    change = {"before": None, "after": document, "op": "c", "source": {"table": "t"}, "ts_ms": 1}
    return {
        FormatName.JSON: text,
        FormatName.NDJSON: text,
        FormatName.AVRO: b"\0\0\0\0\1" + avro.getvalue(),
        FormatName.PROTOBUF: b"\0\0\0\0\2\0" + body.SerializeToString(),
        FormatName.JSON_SCHEMA: b"\0\0\0\0\3" + text,
        FormatName.CLOUDEVENTS: text,
        FormatName.DEBEZIUM: json.dumps(change).encode(),
    }


def schemas(document: dict) -> SchemaCache:
    """What the values name."""
    cache = SchemaCache()
    cache.put(1, Schema(SchemaKind.AVRO, compile_avro(json.dumps(avro_of(document)))))
    cache.put(2, Schema(SchemaKind.PROTOBUF, compile_protobuf(proto_of(document))))
    cache.put(3, Schema(SchemaKind.JSON, compile_json()))
    return cache


def least_us(work: Callable[[], object], records: int, rounds: int) -> float:
    """Microseconds of CPU for one call."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(records):
            work()
        found.append((time.process_time() - began) / records * 1e6)
    return min(found)


def reader(name: FormatName, title: str) -> Callable[[], object]:
    """Reads a sample in one format, again and again."""
    document = samples()[title]
    value = values(document)[name]
    headers = tuple(
        (f"ce_{each}", b"1.0") for each in ("id", "source", "specversion", "type", "time")
    )
    read = build_format(name, FormatPolicy(), schemas(document))
    record = Record("t", 0, 0, 0, None, value, headers if name == "cloudevents" else ())
    if not isinstance(read(record), tuple):
        raise SystemExit(f"{name}: {read(record)}")
    return lambda: read(record)


def samples() -> dict[str, dict]:
    """The documents, by what they are called in the report."""
    return {
        "the same event": json.loads(next(iter(Workload(1, 1).make())).value),
        "an order": ORDER,
    }


def instructions(name: FormatName, title: str, records: int) -> float:
    """Instructions of one record: of a process that reads many, less those of one without any."""
    counts = []
    for times in (0, records):
        program = (
            "from bench.formats_cost import FormatName, reader\n"
            f"read = reader(FormatName({name.value!r}), {title!r})\n"
            f"for _ in range({times}): read()"
        )
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        done = subprocess.run(
            [*command, sys.executable, "-c", program], check=True, capture_output=True, text=True,
            env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        counts.append(int(re.findall(r"Collected : (\d+)", done.stderr)[0]))
    return (counts[1] - counts[0]) / records


def count_instructions() -> None:
    """JSON and Avro, side by side."""
    for title in samples():
        json_k, avro_k = (
            instructions(name, title, 1_000) / 1000 for name in (FormatName.JSON, FormatName.AVRO)
        )
        more = avro_k - json_k
        print(f"{title}: json {json_k:.1f}, avro {avro_k:.1f} ({more:+.1f}) thousand instructions")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.formats_cost", description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--callgrind", action="store_true")
    given = parser.parse_args()
    if given.callgrind:
        count_instructions()
        return
    event = next(iter(Workload(1, 1).make())).value
    policy = DecodingPolicy()
    native = least_us(lambda: decode(event, policy), given.records, given.rounds)
    print(f"{'native decode':16} {len(event):5} bytes {native:7.2f} µs   1.00")
    for title, document in samples().items():
        print(f"{title}:")
        for name, value in values(document).items():
            us = least_us(reader(name, title), given.records, given.rounds)
            print(f"  {name:14} {len(value):5} bytes {us:7.2f} µs   {us / native:.2f}")


if __name__ == "__main__":
    main()
