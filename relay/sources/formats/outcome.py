"""What a format makes of a record: documents, why there are none, or the schema that it needs.

    Record ──format──▶ Documents ──mapping──▶ app events
              ├──────▶ Undecodable    dead letter
              ├──────▶ Unwanted       skipped, counted
              └──────▶ NeedsSchema    fetch it (relay.sources.registry), then decode again

Formats are pure: they read the cache of schemas and never fetch. So a record whose schema is not
there yet is an outcome of its own, and whoever reads the topic holds it and what comes after it.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeAlias

from pydantic import Field

from relay.model import NeedsSchema, Record, Undecodable, Unwanted
from relay.stream.decoding.decode import DecodingPolicy, no_value, too_large
from relay.stream.decoding.reasons import UndecodableCode

Document: TypeAlias = dict[str, Any]
"""What a mapping reads: dict, list, str, int, float, bool and None, nothing else."""

Documents: TypeAlias = tuple[Document | Undecodable, ...]
"""One part for each event of the record, in the order of the record. One part may be unusable."""

NOT_READ = (Undecodable, Unwanted, NeedsSchema)
"""What a record is instead of documents. A tuple: `A | B` would be a new object at each use."""

Decoded: TypeAlias = Documents | Undecodable | Unwanted | NeedsSchema
Format: TypeAlias = Callable[[Record], Decoded]


class FormatName(StrEnum):
    """The formats, by the name that settings use."""

    JSON = "json"
    NDJSON = "ndjson"
    AVRO = "avro"
    PROTOBUF = "protobuf"
    JSON_SCHEMA = "json_schema"
    SCHEMA_REGISTRY = "schema_registry"
    CLOUDEVENTS = "cloudevents"
    SNOWPLOW_TSV = "snowplow_tsv"
    DEBEZIUM = "debezium"


class FormatCode(StrEnum):
    """Why a record is not what its format says, beside the codes of `UndecodableCode`."""

    NOT_WIRE_FORMAT = "not_wire_format"
    SCHEMA_UNKNOWN = "schema_unknown"
    SCHEMA_UNUSABLE = "schema_unusable"
    SCHEMA_TYPE = "schema_type"
    INVALID_AVRO = "invalid_avro"
    INVALID_PROTOBUF = "invalid_protobuf"
    TRAILING_BYTES = "trailing_bytes"
    INVALID_CLOUDEVENT = "invalid_cloudevent"
    INVALID_TSV = "invalid_tsv"
    INVALID_ENVELOPE = "invalid_envelope"
    TOO_MANY_EVENTS = "too_many_events"


class FormatPolicy(DecodingPolicy):
    """What a record on the topic may be (schemas/app-event.v1.json)."""

    events_per_record_max: int = Field(
        1_000,
        ge=1,
        le=10_000,
        description="Records of `sources` that hold more events are dead-lettered as "
        "`too_many_events`.",
    )


def of_values(policy: FormatPolicy, read: Callable[[Record, bytes], Decoded]) -> Format:
    """A format by what it makes of a value; none, and one that is too large, are alike for all."""

    def decode(record: Record) -> Decoded:
        value = record.value
        if value is None:
            return no_value(policy)
        if len(value) > policy.record_bytes_max:
            return too_large(policy)
        return read(record, value)

    return decode


def as_documents(value: Any, policy: FormatPolicy) -> Documents | Undecodable:
    """A decoded value → its documents: an object is one, an array holds one in each element.

    What could not be decoded passes through.
    """
    kind = type(value)
    if kind is dict:
        return (value,)
    if kind is Undecodable:
        return value  # type: ignore[no-any-return]
    if kind is list:
        if len(value) > policy.events_per_record_max:
            return Undecodable(
                FormatCode.TOO_MANY_EVENTS,
                f"the record holds more than {policy.events_per_record_max} events",
            )
        return tuple(part if type(part) is dict else NOT_AN_OBJECT for part in value)
    return NOT_AN_OBJECT


NOT_AN_OBJECT = Undecodable(UndecodableCode.NOT_AN_OBJECT, "the value must be an object")
