"""Record bytes → documents. A format is a pure function of a record; a file for each.

outcome.py       what a format makes of a record: documents, Undecodable, Unwanted, NeedsSchema
json_text.py     one value, an array, or a document a line
wire.py          values that name their schema: Avro, Protobuf, JSON Schema
avro.py …        a schema → a reader of values
cloudevents.py, debezium.py, snowplow_tsv.py
schemas.py       the cache of compiled schemas, which `relay.sources.registry` fills

`build_format` gives a format by its name.
"""

from importlib.util import find_spec

from relay.errors import SettingsError, install
from relay.model import Record
from relay.sources.formats.cloudevents import ReadFramed, cloudevents_format
from relay.sources.formats.debezium import debezium_format
from relay.sources.formats.json_schema import json_schema_format
from relay.sources.formats.json_text import json_format, ndjson_format
from relay.sources.formats.outcome import (
    Decoded,
    Document,
    Documents,
    Format,
    FormatCode,
    FormatName,
    FormatPolicy,
)
from relay.sources.formats.schemas import NoRegistry, SchemaKind, SchemaLookup
from relay.sources.formats.snowplow_tsv import snowplow_tsv_format
from relay.sources.formats.wire import Frame, frame, is_framed, read, schema_format

__all__ = [
    "Decoded",
    "Document",
    "Documents",
    "Format",
    "FormatCode",
    "FormatName",
    "FormatPolicy",
    "build_format",
    "require_extra",
]

_ANY_KIND = frozenset(SchemaKind)
_EXTRAS = {SchemaKind.AVRO: ("avro", "fastavro"), SchemaKind.PROTOBUF: ("protobuf", "grpc_tools")}


def build_format(  # noqa: PLR0911 - a return for each format
    name: FormatName, policy: FormatPolicy, schemas: SchemaLookup | None = None
) -> Format:
    """The format of that name. `schemas` is the cache that a registry fills; None: no registry.

    Raises SettingsError where the format needs a registry, or a package, that is not there.
    """
    match name:
        case FormatName.JSON:
            return json_format(policy)
        case FormatName.NDJSON:
            return ndjson_format(policy)
        case FormatName.JSON_SCHEMA:
            return json_schema_format(policy)
        case FormatName.SNOWPLOW_TSV:
            return snowplow_tsv_format(policy)
        case FormatName.CLOUDEVENTS:
            return cloudevents_format(policy, _framed_or_not(schemas))
        case FormatName.DEBEZIUM:
            return debezium_format(policy, _framed_or_not(schemas))
        case FormatName.AVRO | FormatName.PROTOBUF | FormatName.SCHEMA_REGISTRY:
            if schemas is None:
                raise SettingsError(
                    f"sources: format {name} needs a schema registry",
                    hint="set schema_registry.urls",
                )
            if name is FormatName.SCHEMA_REGISTRY:
                return schema_format(policy, schemas, _ANY_KIND)
            kind = SchemaKind(name.upper())
            require_extra(kind)
            return schema_format(policy, schemas, frozenset({kind}))


def require_extra(kind: SchemaKind) -> None:
    """Raises SettingsError where the package that reads schemas of this kind is not installed."""
    extra, package = _EXTRAS.get(kind, ("", ""))
    if package and find_spec(package) is None:
        raise SettingsError(
            f"records with {kind.capitalize()} schemas need the package of the extra `{extra}`",
            hint=install(extra),
        )


def _framed_or_not(given: SchemaLookup | None) -> ReadFramed:
    # An empty cache is false, and not the same as none.
    schemas = NoRegistry() if given is None else given

    def read_framed(record: Record, value: bytes) -> object:
        if not is_framed(record, value):
            return None
        framed = frame(record, value)
        return read(framed, schemas, _ANY_KIND) if isinstance(framed, Frame) else framed

    return read_framed
