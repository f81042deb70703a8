"""A Protobuf schema → a reader of its messages: names as in the .proto file, integers as integers.

What is absent on the wire:

    a field that can tell (message, oneof, `optional`, proto2)       absent
    a number, boolean or enum that cannot (proto3)                   0, false, the first name
    a text or bytes that cannot                                      absent: "" and none are one
    a list or map                                                    absent: [] and none are one

A false that is left out would turn "refused" into "unknown", hence the second line.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from relay.model import Undecodable
from relay.sources.formats import values
from relay.sources.formats.outcome import FormatCode
from relay.sources.formats.schemas import SCHEMA_NAME, Read, SchemaUnusable

FileProto: TypeAlias = descriptor_pb2.FileDescriptorProto
_Convert: TypeAlias = Callable[[Any], Any]

_INDEXES_MAX = 100
"""Messages within one another; what claims more is no list of indexes."""

# What .proto files may import without saying where it lies.
WELL_KNOWN: Mapping[str, FileProto] = {
    module.DESCRIPTOR.name: FileProto.FromString(module.DESCRIPTOR.serialized_pb)
    for module in (
        any_pb2,
        api_pb2,
        descriptor_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        source_context_pb2,
        struct_pb2,
        timestamp_pb2,
        type_pb2,
        wrappers_pb2,
    )
}


def file_proto(text: str) -> FileProto | None:
    """The file descriptor that a schema's text is in base64; None where it is .proto text."""
    try:
        raw = base64.b64decode(text, validate=True)
        found = FileProto.FromString(raw)
    except (binascii.Error, ValueError, DecodeError):
        return None
    # Short .proto text can be base64 by chance, and an empty file descriptor then.
    return found if found.name else None


def compile_protobuf(file: FileProto, imports: Sequence[FileProto] = ()) -> Read:
    """A reader for the messages of a file. `imports` are the files that it imports, and theirs.

    Raises SchemaUnusable.
    """
    pool = descriptor_pool.DescriptorPool()
    known = {each.name: each for each in imports}
    try:
        _add(file, known, pool, [])
        messages = _Messages(file, pool)
    except (TypeError, KeyError, ValueError) as error:
        # The library quotes names of the schema, never a value of a record.
        raise SchemaUnusable(f"is not a valid Protobuf schema ({error})") from None
    return messages.read


def _add(
    file: FileProto,
    known: Mapping[str, FileProto],
    pool: descriptor_pool.DescriptorPool,
    added: list[str],
) -> None:
    added.append(file.name)
    for name in file.dependency:
        if name in added:
            continue
        found = known.get(name) or WELL_KNOWN.get(name)
        if found is None:
            raise SchemaUnusable(f"imports {name}, which is not among its references")
        _add(found, known, pool, added)
    pool.AddSerializedFile(file.SerializeToString())


class _Messages:
    """The message types of a file, by their index and made ready on first use."""

    def __init__(self, file: FileProto, pool: descriptor_pool.DescriptorPool) -> None:
        self._file = file
        self._pool = pool
        self._ready: dict[bytes, tuple[type[Message], _Convert, str]] = {}
        self._plans = _Plans()

    def read(self, body: bytes, suffix: bytes | None) -> Any:
        # Which message of the file it is, is told by a list of indexes: behind the id in the value,
        # or (`suffix`) in the header beside it. Each list is looked up once.
        indexes, content = _split(body) if suffix is None else (suffix, body)
        ready = None if indexes is None else self._ready.get(indexes) or self._prepare(indexes)
        if ready is None:
            return Undecodable(
                FormatCode.INVALID_PROTOBUF, "names no message of its Protobuf schema"
            )
        kind, convert, name = ready
        try:
            value = convert(kind.FromString(content))
        except (DecodeError, ValueError, RecursionError):
            return Undecodable(FormatCode.INVALID_PROTOBUF, "not a message of its Protobuf schema")
        if type(value) is dict:
            value.setdefault(SCHEMA_NAME, name)
        return value

    def _prepare(self, indexes: bytes) -> tuple[type[Message], _Convert, str] | None:
        name = _name(self._file, indexes)
        if name is None:
            return None
        descriptor = self._pool.FindMessageTypeByName(name)
        ready = (message_factory.GetMessageClass(descriptor), self._plans.of(descriptor), name)
        if len(self._ready) < _INDEXES_MAX:  # one list of numbers can be written in many ways
            self._ready[indexes] = ready
        return ready


def _split(body: bytes) -> tuple[bytes | None, bytes]:
    """The list of message indexes at the beginning of a body, as its bytes, and the rest."""
    if body[:1] == b"\0":
        return b"\0", body[1:]
    found = _indexes(body)
    return (None, body) if found is None else (body[: found[1]], body[found[1] :])


def _indexes(raw: bytes) -> tuple[list[int], int] | None:
    """Zigzag numbers: how many, then each. An empty list, written as 0, is the first message."""
    count, at = _zigzag(raw, 0)
    if not 0 <= count <= _INDEXES_MAX:
        return None
    found: list[int] = []
    for _ in range(count):
        number, at = _zigzag(raw, at)
        if number < 0:
            return None
        found.append(number)
    return found or [0], at


def _zigzag(raw: bytes, at: int) -> tuple[int, int]:
    """A number and where the next begins; -1 where there is none."""
    found = 0
    for shift in range(0, 35, 7):
        if at >= len(raw):
            return -1, at
        byte = raw[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            return (found >> 1) ^ -(found & 1), at
    return -1, at


def _name(file: FileProto, raw: bytes) -> str | None:
    found = _indexes(raw)
    if found is None or found[1] != len(raw):
        return None
    name: str = file.package
    inner = file.message_type
    for index in found[0]:
        if index >= len(inner):
            return None
        name = f"{name}.{inner[index].name}" if name else inner[index].name
        inner = inner[index].nested_type
    return name


class _Plans:
    """How each message type becomes a plain value, worked out once."""

    def __init__(self) -> None:
        self._plans: dict[str, _Convert] = {}

    def of(self, descriptor: Descriptor) -> _Convert:
        name = descriptor.full_name
        found = self._plans.get(name)
        if found is None:
            known = _KNOWN.get(name)
            if known is not None:
                self._plans[name] = known
                return known
            plan = _Plan(descriptor)
            self._plans[name] = found = plan.convert  # first, for messages that hold themselves
            plan.fill(self)
        return found

    def value(self, field: FieldDescriptor) -> _Convert | None:
        """How one value of a field becomes plain; None where it is so already."""
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_MESSAGE:
                return self.of(field.message_type)
            case FieldDescriptor.CPPTYPE_ENUM:
                numbers = field.enum_type.values_by_number
                names = {number: each.name for number, each in numbers.items()}
                # A number that this version of the schema has no name for stays a number.
                return lambda number: names.get(number, number)
            case FieldDescriptor.CPPTYPE_FLOAT:
                return values.float32
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return values.text_of_bytes
            case _:
                return None


class _Plan:
    """One message type."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._absent: dict[str, Any] = {}
        self._converts: dict[int, _Convert | None] = {}

    def fill(self, plans: _Plans) -> None:
        for field in self._descriptor.fields:
            one = plans.value(field)
            repeated = field.is_repeated
            if repeated and _is_map(field):
                self._converts[field.number] = _of_map(
                    plans.value(field.message_type.fields_by_name["value"])
                )
            elif repeated:
                self._converts[field.number] = _of_list(one)
            else:
                self._converts[field.number] = one
                if not field.has_presence and field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
                    value = field.default_value
                    self._absent[field.name] = value if one is None else one(value)

    def convert(self, message: Any) -> dict[str, Any]:
        document = self._absent.copy()
        converts = self._converts
        for field, value in message.ListFields():
            convert = converts.get(field.number)
            document[field.name] = value if convert is None else convert(value)
        return document


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _of_list(one: _Convert | None) -> _Convert:
    if one is None:
        return list
    return lambda items: [one(item) for item in items]


def _of_map(one: _Convert | None) -> _Convert:
    if one is None:
        return lambda items: {_key(key): items[key] for key in items}
    return lambda items: {_key(key): one(items[key]) for key in items}


def _key(key: Any) -> str:
    if type(key) is bool:
        return "true" if key else "false"
    return key if type(key) is str else str(key)


def _timestamp(message: Any) -> Any:
    return values.instant_ns(message.seconds * 1_000_000_000 + message.nanos)


def _duration(message: Any) -> str:
    sign = "-" if message.seconds < 0 or message.nanos < 0 else ""
    nanos = f".{abs(message.nanos):09}".rstrip("0").rstrip(".")
    return f"{sign}{abs(message.seconds)}{nanos}s"


def _any(message: Any) -> dict[str, str]:
    return {"type_url": message.type_url, "value": values.text_of_bytes(message.value)}


def _struct(message: Any) -> dict[str, Any]:
    return {key: _value(message.fields[key]) for key in message.fields}


def _list_value(message: Any) -> list[Any]:
    return [_value(item) for item in message.values]


def _value(message: Any) -> Any:
    match message.WhichOneof("kind"):
        case "struct_value":
            return _struct(message.struct_value)
        case "list_value":
            return _list_value(message.list_value)
        case "number_value":
            number = message.number_value
            return int(number) if number.is_integer() and abs(number) < _EXACT else number
        case "string_value":
            return message.string_value
        case "bool_value":
            return message.bool_value
        case _:
            return None


_EXACT = 2**53


def _decimal(message: Any) -> str:
    return values.decimal_text(message.value, message.scale)


def _wrapped(message: Any) -> Any:
    return message.value


# Messages that stand for a value: what they mean, instead of how they are made.
_KNOWN: dict[str, _Convert] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.Any": _any,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Value": _value,
    "google.protobuf.ListValue": _list_value,
    "google.protobuf.FloatValue": lambda message: values.float32(message.value),
    "google.protobuf.BytesValue": lambda message: values.text_of_bytes(message.value),
    **dict.fromkeys(
        (
            f"google.protobuf.{kind}Value"
            for kind in ("Double", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String")
        ),
        _wrapped,
    ),
    "confluent.type.Decimal": _decimal,
}
