"""A JSON Schema → a reader: the value is the JSON behind the schema's id.

The producer's serialiser has checked the value; Relay does not check it again. So a source of
`format: json_schema` needs no registry: the id is stepped over. Only where schemas of several
kinds share a topic (`format: schema_registry`) the registry is asked which kind it is.
"""

from typing import Any

from relay.model import Record
from relay.sources.formats.json_text import parse
from relay.sources.formats.outcome import (
    Decoded,
    Format,
    FormatPolicy,
    as_documents,
    of_values,
)
from relay.sources.formats.schemas import Read
from relay.sources.formats.wire import Frame, frame


def compile_json() -> Read:
    """The reader, the same for every schema."""

    def read(body: bytes, suffix: bytes | None) -> Any:  # noqa: ARG001 - no indexes
        return parse(body)

    return read


def json_schema_format(policy: FormatPolicy) -> Format:
    """JSON behind a schema's id."""

    def decode(record: Record, value: bytes) -> Decoded:
        framed = frame(record, value)
        if not isinstance(framed, Frame):
            return framed
        return as_documents(parse(framed.body), policy)

    return of_values(policy, decode)
