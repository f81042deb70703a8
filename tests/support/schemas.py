"""Schemas of the tests, Confluent's serialisers for them, and a decoder that fetches what it needs.

The Protobuf messages are made from a descriptor here: so the tests need no compiled file.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any, ClassVar, Self

import httpx
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from relay.model import NeedsSchema, Record
from relay.sources.formats import Decoded, Format, FormatName, FormatPolicy, build_format
from relay.sources.registry.client import RegistryClient
from relay.sources.registry.loader import SchemaLoader
from relay.sources.registry.policy import RegistryPolicy

ORDER_AVRO = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "placed", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {
            "name": "total",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        },
        {"name": "coupon", "type": ["null", "string"], "default": None},
    ],
}
VISIT_JSON = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Visit",
    "type": "object",
    "properties": {"id": {"type": "string"}, "page": {"type": "string"}},
    "required": ["id"],
}


def proto_file(
    name: str, package: str, messages: Iterable[Any], imports: Iterable[str] = ()
) -> Any:
    """A descriptor of a .proto file with such messages: (name, [(field, number, type, …)])."""
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    file.dependency.extend(imports)
    for message, fields in messages:
        made = file.message_type.add(name=message)
        for field in fields:
            made.field.add(**field)
    return file


def field(name: str, number: int, kind: str, **more: Any) -> dict[str, Any]:
    """A field, `kind` as in a .proto file; `type_name` for messages and enums."""
    proto = descriptor_pb2.FieldDescriptorProto
    return {
        "name": name,
        "number": number,
        "type": proto.Type.Value(f"TYPE_{kind.upper()}"),
        "label": proto.LABEL_OPTIONAL,
    } | more


CLICK_FILE = proto_file(
    "shop/click.proto",
    "shop",
    [
        ("Click", [field("id", 1, "string"), field("count", 2, "int64")]),
        ("Scroll", [field("id", 1, "string"), field("depth", 2, "float"), field("end", 3, "bool")]),
    ],
)


def message_classes(*files: Any) -> dict[str, Any]:
    """The message types of the files, by full name; the last file's are those asked for."""
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    last = files[-1]
    return {
        message.name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{last.package}.{message.name}")
        )
        for message in last.message_type
    }


class Serialisers:
    """Confluent's own, for one topic; each kind under a subject of its own."""

    def __init__(self, url: str, topic: str) -> None:
        self.client = SchemaRegistryClient({"url": url})
        self._topic = topic
        self._made: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def avro(self, value: dict[str, Any], schema: dict[str, Any] | None = None) -> bytes:
        text = json.dumps(schema or ORDER_AVRO)
        return self._write("avro", text, lambda: AvroSerializer(self.client, text), value)

    def json_schema(self, value: dict[str, Any]) -> bytes:
        text = json.dumps(VISIT_JSON)
        return self._write("json", text, lambda: JSONSerializer(text, self.client), value)

    def protobuf(self, message: Any) -> bytes:
        kind = type(message)
        return self._write(
            "proto",
            f"{kind.DESCRIPTOR.file.name} {kind.DESCRIPTOR.full_name}",
            lambda: ProtobufSerializer(kind, self.client, {"use.deprecated.format": False}),
            message,
        )

    def _write(self, kind: str, which: str, make: Any, value: Any) -> bytes:
        serialiser = self._made.setdefault(kind + which, None) or make()
        self._made[kind + which] = serialiser
        context = SerializationContext(f"{self._topic}-{kind}", MessageField.VALUE)
        written: bytes = serialiser(value, context)
        return written


class FetchingDecoder:
    """Decodes records in order, and fetches each schema when a record needs it."""

    def __init__(self, loader: SchemaLoader, name: FormatName) -> None:
        self.loader = loader
        self.fetched: list[Any] = []
        self.asked = asyncio.Event()
        self._decode: Format = build_format(name, FormatPolicy(), loader.schemas)

    async def decode(self, record: Record) -> Decoded:
        outcome = self._decode(record)
        while isinstance(outcome, NeedsSchema):
            self.fetched.append(outcome.key)
            self.asked.set()
            await self.loader.resolve(outcome.key)
            outcome = self._decode(record)
        return outcome


class Said(list[Any]):
    """Facts, and a way to wait for the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = asyncio.Event()

    def emit(self, fact: Any) -> None:
        self.append(fact)
        self.first.set()


def registry_policy(*urls: str, **options: Any) -> RegistryPolicy:
    """A policy; `options` may change what nobody can set, too."""
    fixed = {
        name: options.pop(name) for name in options.keys() - RegistryPolicy.model_fields.keys()
    }
    notes = dict.fromkeys(fixed, ClassVar[Any])
    kind = type("TestPolicy", (RegistryPolicy,), {"__annotations__": notes, **fixed})
    made: RegistryPolicy = kind(urls=urls, **options)
    return made


@asynccontextmanager
async def fetching(
    url: str | tuple[str, ...], name: FormatName, **options: Any
) -> AsyncIterator[FetchingDecoder]:
    """A decoder with a registry, and short pauses. `said` collects the facts."""
    said = options.pop("said", Said())
    urls = (url,) if isinstance(url, str) else url
    quick = {"retry_s": 0.01, "retry_s_max": 0.2, "unknown_wait_s": 0.3}
    policy = registry_policy(*urls, **(quick | options))
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        loader = SchemaLoader(RegistryClient(client, policy), policy, Random(1), said.emit)
        yield FetchingDecoder(loader, name)


def record(value: bytes | None, headers: Iterable[tuple[str, bytes | None]] = ()) -> Record:
    """A record with such a value."""
    return Record("t", 0, 0, 1_769_851_800_000, None, value, tuple(headers))
