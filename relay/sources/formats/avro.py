"""An Avro schema → a reader of values that were written with it.

fastavro reads; what JSON does not have becomes text on the way (`relay.sources.formats.values`).
For that the schema is rewritten once: bytes, decimals and times get logical types of our own,
whose readers are registered with fastavro under names that nobody else uses.

Two things that fastavro does not guard against are refused here: an array of items that take no
bytes, of which eight bytes can declare a billion, and a recursive value nested so deeply that the
stack of the process would end (`relay.sources.formats.avro_depth`).
"""

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import fastavro
import jiter
from fastavro.read import LOGICAL_READERS

from relay.model import Undecodable
from relay.sources.formats import values
from relay.sources.formats.avro_depth import Guard, depth_guard
from relay.sources.formats.outcome import FormatCode
from relay.sources.formats.schemas import SCHEMA_NAME, Read, SchemaUnusable
from relay.stream.decoding.reasons import UndecodableCode

# Whatever bytes make fastavro raise: found by feeding it bytes at random, and by reading it.
_FAULTS = (EOFError, ValueError, LookupError, ArithmeticError, TypeError, struct.error)

# (Avro type, logical type or Debezium's and Connect's own name) → our reader's name.
_READERS = {
    ("bytes", "decimal"): "relay-decimal",
    ("long", "timestamp-millis"): "relay-instant-ms",
    ("long", "timestamp-micros"): "relay-instant-us",
    ("long", "timestamp-nanos"): "relay-instant-ns",
    ("long", "local-timestamp-millis"): "relay-local-ms",
    ("long", "local-timestamp-micros"): "relay-local-us",
    ("long", "local-timestamp-nanos"): "relay-local-ns",
    ("int", "date"): "relay-day",
    ("int", "time-millis"): "relay-time-ms",
    ("long", "time-micros"): "relay-time-us",
    ("long", "io.debezium.time.Timestamp"): "relay-local-ms",
    ("long", "io.debezium.time.MicroTimestamp"): "relay-local-us",
    ("long", "io.debezium.time.NanoTimestamp"): "relay-local-ns",
    ("int", "io.debezium.time.Date"): "relay-day",
    ("int", "io.debezium.time.Time"): "relay-time-ms",
    ("long", "io.debezium.time.MicroTime"): "relay-time-us",
}
_DURATION = struct.Struct("<III")
_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


def _register() -> None:
    def of(make: Any) -> Any:
        return lambda data, _writer=None, _reader=None: make(data)

    def decimal(data: bytes, writer: Any = None, _reader: Any = None) -> str:
        return values.decimal_text(data, writer.get("scale", 0))

    def duration(data: bytes, _writer: Any = None, _reader: Any = None) -> dict[str, int]:
        months, days, milliseconds = _DURATION.unpack(data)
        return {"months": months, "days": days, "milliseconds": milliseconds}

    LOGICAL_READERS.update(
        {
            "bytes-relay-bytes": of(values.text_of_bytes),
            "fixed-relay-bytes": of(values.text_of_bytes),
            "bytes-relay-decimal": decimal,
            "fixed-relay-decimal": decimal,
            "fixed-relay-duration": duration,
            "float-relay-float": of(values.float32),
            "long-relay-instant-ms": of(values.instant_ms),
            "long-relay-instant-us": of(values.instant_us),
            "long-relay-instant-ns": of(values.instant_ns),
            "long-relay-local-ms": of(values.local_ms),
            "long-relay-local-us": of(values.local_us),
            "long-relay-local-ns": of(values.local_ns),
            "int-relay-day": of(values.day),
            "int-relay-time-ms": of(values.time_ms),
            "long-relay-time-us": of(values.time_us),
        }
    )


_register()


def compile_avro(text: str, references: Sequence[str] = ()) -> Read:
    """A reader for a schema. Raises SchemaUnusable.

    `references` are the schemas that it names, those that need no other first.
    """
    try:
        named: dict[str, Any] = {}
        for reference in references:
            fastavro.parse_schema(plain(_json(reference)), named_schemas=named)
        schema = plain(_json(text))
        bare = not isinstance(schema, dict) or schema["type"] != "record"
        if bare:
            # In a record of one field, which takes no bytes: fastavro keeps what it parsed, and
            # the types of the references, with a schema that is an object only.
            schema = {
                "type": "record",
                "name": "relay_root",
                "fields": [{"name": "value", "type": schema}],
            }
        parsed: Any = fastavro.parse_schema(schema, named_schemas=named)
        top = parsed["fields"][0]["type"] if bare else parsed
        # What fastavro lets pass may still be no schema: a union in a union, a name that is none.
        return _reader(parsed, bare, _names(top), depth_guard(top, named))
    except fastavro.schema.UnknownType as error:
        raise SchemaUnusable(f"uses the type {error.name}, which no schema defines") from None
    except fastavro.schema.SchemaParseException as error:
        raise SchemaUnusable(f"is not a valid Avro schema ({type(error).__name__})") from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise SchemaUnusable(f"is not an Avro schema ({type(error).__name__})") from None


def _reader(parsed: Any, bare: bool, names: Sequence[str | None], too_deep: Guard | None) -> Read:
    read_one = fastavro.schemaless_reader
    only = names[0] if len(names) == 1 else None

    def read(body: bytes, suffix: bytes | None) -> Any:  # noqa: ARG001 - Avro has no indexes
        if too_deep is not None and too_deep(body):
            return Undecodable(UndecodableCode.TOO_DEEP, "nested too deeply")
        stream = BytesIO(body)
        try:
            value: Any = read_one(stream, parsed, None)
        except UnicodeDecodeError:
            return Undecodable(UndecodableCode.NOT_UTF8, "holds text that is not UTF-8")
        except _FAULTS as error:
            return Undecodable(
                FormatCode.INVALID_AVRO,
                "not a value of its Avro schema"
                + (": it ends early" if isinstance(error, EOFError) else ""),
            )
        left = len(body) - stream.tell()
        if left:
            return Undecodable(
                FormatCode.TRAILING_BYTES,
                f"the Avro value ends {left} bytes before the record does",
            )
        if bare:
            value = value["value"]
        if type(value) is dict:
            name = only if only is not None else _branch(body, names)
            if name is not None:
                value.setdefault(SCHEMA_NAME, name)
        return value

    return read


def plain(schema: Any) -> Any:  # noqa: C901, PLR0911 - a case for each type of Avro
    """A schema without what reading does not need, and with our readers where they are needed."""
    if isinstance(schema, str):
        if schema == "bytes":
            return {"type": "bytes", "logicalType": "relay-bytes"}
        return {"type": "float", "logicalType": "relay-float"} if schema == "float" else schema
    if isinstance(schema, list):
        return [plain(branch) for branch in schema]
    kind = schema["type"]
    if not isinstance(kind, str):
        return plain(kind)
    match kind:
        case "record" | "error":
            fields = [
                {"name": each["name"], "type": plain(each["type"])} for each in schema["fields"]
            ]
            return _named(schema) | {"type": "record", "fields": fields}
        case "array":
            return {"type": "array", "items": plain(schema["items"])}
        case "map":
            return {"type": "map", "values": plain(schema["values"])}
        case "enum":
            return _named(schema) | {"type": "enum", "symbols": schema["symbols"]}
        case "fixed":
            logical = {"decimal": "relay-decimal", "duration": "relay-duration"}
            reader = logical.get(schema.get("logicalType", ""), "relay-bytes")
            if reader == "relay-duration" and schema["size"] != _DURATION.size:
                reader = "relay-bytes"
            return _named(schema) | _scaled(schema, reader) | {"size": schema["size"]}
        case _:
            own = schema.get("logicalType") or schema.get("connect.name")
            known = _READERS.get((kind, own or ""))
            return plain(kind) if known is None else _scaled(schema, known)


def _scaled(schema: Mapping[str, Any], reader: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": schema["type"], "logicalType": reader}
    if reader == "relay-decimal":
        scale = schema.get("scale", 0)
        if not isinstance(scale, int) or abs(scale) > _SCALE_MAX:
            raise ValueError("a scale that no decimal has")
        made["scale"] = scale
    return made


_SCALE_MAX = 10_000  # digits after the point; no decimal has so many


def _named(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("name", "namespace") if key in schema}


def _names(schema: Any) -> list[str | None]:
    """The full name of the record of each branch at the top of a schema; None where it is none."""
    branches = schema if isinstance(schema, list) else [schema]
    names: list[str | None] = []
    for branch in branches:
        if isinstance(branch, dict):
            names.append(branch["name"] if branch["type"] == "record" else None)
        else:  # the name of a type that a reference defines
            names.append(branch if branch not in _PRIMITIVES else None)
    return names


def _branch(body: bytes, names: Sequence[str | None]) -> str | None:
    """The record type of a value of a union: the zigzag number that it begins with."""
    number, shift = 0, 0
    for byte in body[:5]:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            break
        shift += 7
    index = number >> 1
    return names[index] if index < len(names) else None


def _json(text: str) -> Any:
    """A schema's JSON; the bare name of a type is taken, too, as some registries hand it out."""
    try:
        return jiter.from_json(text.encode())
    except ValueError:
        if text.strip().replace(".", "").replace("_", "").isalnum():
            return text.strip()
        raise
