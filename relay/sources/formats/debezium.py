"""Debezium's change events → one envelope: `before`, `after`, `op`, `source`, `ts_ms`.

    JSON                        the envelope
    JSON {schema, payload}      unwrapped; decimals and times become what the schema calls them
    Avro, Protobuf (registry)   the envelope, decoded
    flattened                   (by ExtractNewRecordState, `__op` or `__deleted` beside the columns)
                                an envelope again

Without a schema nobody knows what a number means, so it stays: base64 decimals, micros, days.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from relay.model import Record, Undecodable
from relay.sources.formats import values
from relay.sources.formats.cloudevents import ReadFramed
from relay.sources.formats.json_text import parse
from relay.sources.formats.outcome import (
    NOT_AN_OBJECT,
    NOT_READ,
    Decoded,
    Document,
    Format,
    FormatCode,
    FormatPolicy,
    of_values,
)

OPERATIONS = frozenset({"c", "u", "d", "r", "t", "m"})
"""Created, updated, deleted, read in a snapshot, truncated, a message of the database's own."""

_KEEP = ("before", "after", "op", "source", "ts_ms", "ts_us", "ts_ns", "transaction")

_CONVERT = {
    "org.apache.kafka.connect.data.Timestamp": values.instant_ms,
    "org.apache.kafka.connect.data.Date": values.day,
    "org.apache.kafka.connect.data.Time": values.time_ms,
    "io.debezium.time.Timestamp": values.local_ms,
    "io.debezium.time.MicroTimestamp": values.local_us,
    "io.debezium.time.NanoTimestamp": values.local_ns,
    "io.debezium.time.Date": values.day,
    "io.debezium.time.Time": values.time_ms,
    "io.debezium.time.MicroTime": values.time_us,
}
_DECIMAL = "org.apache.kafka.connect.data.Decimal"
_VARIABLE_DECIMAL = "io.debezium.data.VariableScaleDecimal"
_DEPTH_MAX = 50  # structs within one another; no column has so many


def debezium_format(policy: FormatPolicy, read_framed: ReadFramed) -> Format:
    """A change event in a record. Without a value it is what follows a delete, for compaction."""

    def decode(record: Record, value: bytes) -> Decoded:
        found = read_framed(record, value)
        if found is None:
            found = parse(value)
        if isinstance(found, NOT_READ):
            return found
        if type(found) is not dict:
            return NOT_AN_OBJECT
        event = envelope(found)
        return event if isinstance(event, Undecodable) else (event,)

    return of_values(policy, decode)


def envelope(found: Document) -> Document | Undecodable:
    """The change event in a document, however it is wrapped."""
    # How a change comes, by the connector's settings:
    #
    #     {schema, payload}      the converter wrote its schema beside: the types come from it
    #     op, before, after      the envelope, as it is
    #     __op, __deleted        flattened by ExtractNewRecordState: made an envelope again
    #     anything else          no change event
    payload: Any = found
    if found.keys() >= {"schema", "payload"} and isinstance(found["schema"], dict):
        payload = _typed(found["payload"], found["schema"], 0)
    if not isinstance(payload, dict):
        return Undecodable(FormatCode.INVALID_ENVELOPE, "payload: must be an object")
    if "op" in payload and ("after" in payload or "before" in payload):
        return _checked({key: payload[key] for key in _KEEP if key in payload})
    if "__op" in payload or "__deleted" in payload:
        return _checked(_unflattened(payload))
    return Undecodable(
        FormatCode.INVALID_ENVELOPE,
        "no change event: neither op with before and after, nor __op or __deleted",
    )


def _checked(event: Document) -> Document | Undecodable:
    if not isinstance(event["op"], str) or event["op"] not in OPERATIONS:
        return Undecodable(FormatCode.INVALID_ENVELOPE, "op: must be one of c, u, d, r, t, m")
    for side in ("before", "after"):
        if not isinstance(event.get(side), dict | None):
            return Undecodable(FormatCode.INVALID_ENVELOPE, f"{side}: must be an object or null")
    return event


def _unflattened(payload: Document) -> Document:
    """Columns and `__` fields of one level → an envelope. A deleted row is what was before."""
    columns = {key: value for key, value in payload.items() if not key.startswith("__")}
    columns.pop("_schema", None)
    deleted = payload.get("__deleted") in (True, "true")
    op = payload.get("__op") or ("d" if deleted else "u")
    # Without `__op` only `__deleted` tells: a row that is not deleted was changed.
    gone = op == "d"
    source = {
        key.removeprefix("__source_"): value
        for key, value in payload.items()
        if key.startswith("__source_")
    }
    for name in ("db", "schema", "table", "lsn", "connector", "name"):
        if f"__{name}" in payload:
            source[name] = payload[f"__{name}"]
    event: Document = {
        "before": columns if gone else None,
        "after": None if gone else columns,
        "op": op,
        "source": source,
    }
    if "__ts_ms" in payload:
        event["ts_ms"] = payload["__ts_ms"]
    return event


def _typed(  # noqa: PLR0911 - a return for each type of Connect
    value: Any, schema: Any, depth: int
) -> Any:
    """A value with its decimals and times as text, as its schema (of Kafka Connect) names them.

    A value that is not what the schema says stays as it is: it may be a column that nobody reads.
    """
    if value is None or not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return value
    name = schema.get("name")
    if name == _DECIMAL:
        return _decimal(value, schema.get("parameters"))
    if name == _VARIABLE_DECIMAL and isinstance(value, dict):
        return _decimal(value.get("value"), {"scale": value.get("scale")})
    convert = _CONVERT.get(name) if isinstance(name, str) else None
    if convert is not None:
        return convert(value) if type(value) is int else value
    match schema.get("type"):
        case "struct" if isinstance(value, dict):
            made = dict(value)
            for field in schema.get("fields") or ():
                key = field.get("field") if isinstance(field, dict) else None
                if key in made:
                    made[key] = _typed(made[key], field, depth + 1)
            return made
        case "array" if isinstance(value, list):
            items = schema.get("items")
            return [_typed(each, items, depth + 1) for each in value]
        case "map" if isinstance(value, dict):
            inner = schema.get("values")
            return {key: _typed(each, inner, depth + 1) for key, each in value.items()}
        case _:
            return value


def _decimal(value: Any, parameters: Any) -> Any:
    if not isinstance(value, str) or not isinstance(parameters, Mapping):
        return value
    try:
        scale = int(parameters["scale"])
        if abs(scale) > _SCALE_MAX:
            return value
        return values.decimal_text(base64.b64decode(value, validate=True), scale)
    except (KeyError, TypeError, ValueError, binascii.Error):
        return value


_SCALE_MAX = 10_000
