"""Confluent's wire format: which schema a value was written with, and where the value begins.

    value    00  id (4 bytes, big-endian)   body      schema by its id
    value    01  GUID (16 bytes)            body      schema by its GUID
    header `__value_schema_id`              the same two, and the value is the body alone

For Protobuf a list of message indexes follows the id or GUID, wherever that stands.
"""

from typing import NamedTuple
from uuid import UUID

from relay.model import NeedsSchema, Record, SchemaKey, Undecodable
from relay.sources.formats.outcome import (
    Decoded,
    Format,
    FormatCode,
    FormatPolicy,
    as_documents,
    of_values,
)
from relay.sources.formats.schemas import NoSchema, SchemaKind, SchemaLookup

HEADER = "__value_schema_id"
_ID_BYTES = 5  # the magic byte and an id of 32 bits
_GUID_BYTES = 17  # the magic byte and a UUID
_ID_MAX = 2**31  # registries count in Java's int


class Frame(NamedTuple):
    """A value taken apart. `suffix` is what follows the id in a header; None: it is in the body."""

    key: SchemaKey
    body: bytes
    suffix: bytes | None = None


def schema_format(
    policy: FormatPolicy, schemas: SchemaLookup, kinds: frozenset[SchemaKind]
) -> Format:
    """Values that name their schema, which must be of one of `kinds`."""

    def decode(record: Record, value: bytes) -> Decoded:
        framed = frame(record, value)
        if type(framed) is Undecodable:
            return framed
        found = read(framed, schemas, kinds)  # type: ignore[arg-type]
        if type(found) is NeedsSchema:
            return found
        return as_documents(found, policy)

    return of_values(policy, decode)


def read(
    framed: Frame, schemas: SchemaLookup, kinds: frozenset[SchemaKind]
) -> object | Undecodable | NeedsSchema:
    """The value as its schema says, or why not."""
    schema = schemas.get(framed.key)
    if schema is None:
        return NeedsSchema(framed.key)
    if type(schema) is NoSchema:
        return schema.why
    if schema.kind not in kinds:  # type: ignore[union-attr]
        wanted = ", ".join(sorted(kinds))
        return Undecodable(
            FormatCode.SCHEMA_TYPE,
            f"schema {framed.key} is {schema.kind}, where the format of the source wants "  # type: ignore[union-attr]
            f"{wanted} (format: schema_registry takes any)",
        )
    return schema.read(framed.body, framed.suffix)  # type: ignore[union-attr, no-any-return]


def frame(record: Record, value: bytes) -> Frame | Undecodable:
    """The schema's key and the body. The header wins: then the value begins with no id."""
    for name, content in record.headers:
        if name == HEADER and content is not None:
            return _from_header(content, value)
    # | first byte | bytes of the key | what it is                               |
    # |------------|------------------|------------------------------------------|
    # | 0          | 4                | an id, 1 to 2^31-1                       |
    # | 1          | 16               | a GUID                                   |
    # | any other  | -                | not in the wire format; JSON, perhaps    |
    magic = value[0] if value else None
    if magic == 0 and len(value) >= _ID_BYTES:
        key = int.from_bytes(value[1:_ID_BYTES], "big")
        return Frame(key, value[_ID_BYTES:]) if 0 < key < _ID_MAX else _no_id(key)
    if magic == 1 and len(value) >= _GUID_BYTES:
        return Frame(str(UUID(bytes=value[1:_GUID_BYTES])), value[_GUID_BYTES:])
    return _not_framed(value)


def is_framed(record: Record, value: bytes) -> bool:
    """Whether a value names its schema. No text does: none begins with a byte 0 or 1."""
    return (len(value) >= _ID_BYTES and value[0] in (0, 1)) or any(
        name == HEADER and content is not None for name, content in record.headers
    )


def _from_header(content: bytes, value: bytes) -> Frame | Undecodable:
    if len(content) >= _GUID_BYTES and content[0] == 1:
        return Frame(str(UUID(bytes=content[1:_GUID_BYTES])), value, content[_GUID_BYTES:])
    if len(content) >= _ID_BYTES and content[0] == 0:
        key = int.from_bytes(content[1:_ID_BYTES], "big")
        return Frame(key, value, content[_ID_BYTES:]) if 0 < key < _ID_MAX else _no_id(key)
    return Undecodable(
        FormatCode.NOT_WIRE_FORMAT,
        f"the header {HEADER} holds neither a schema id nor a GUID (Confluent wire format)",
    )


def _no_id(key: int) -> Undecodable:
    hint = "; ids of 8 bytes (Apicurio's default) begin so: let the producer write 4"
    return Undecodable(
        FormatCode.NOT_WIRE_FORMAT, f"schema ids are 1 to 2^31-1{'' if key else hint}"
    )


def _not_framed(value: bytes) -> Undecodable:
    if not value:
        return Undecodable(FormatCode.NOT_WIRE_FORMAT, "the value is empty")
    if value[0] in (0, 1):
        return Undecodable(FormatCode.NOT_WIRE_FORMAT, "the value ends within its schema's id")
    looks = "; it looks like JSON (format: json)" if value.lstrip()[:1] in (b"{", b"[") else ""
    return Undecodable(
        FormatCode.NOT_WIRE_FORMAT,
        f"no schema's id at its beginning (Confluent wire format: a byte 0 or 1){looks}",
    )
