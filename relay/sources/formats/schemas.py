"""Schemas that are known, ready to read with: what formats look up and the registry fills.

A schema never changes under its id, so what is cached stays until room is needed.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from relay.model import SchemaKey, Undecodable
from relay.sources.formats.outcome import FormatCode

Read: TypeAlias = Callable[[bytes, bytes | None], Any]
"""(body, what follows the schema's id where that stands in a header) → value, or Undecodable."""

SCHEMA_NAME = "_schema"
"""Key of a document that names its record or message type, unless it has a field of that name."""


class SchemaKind(StrEnum):
    """The languages of schemas, as registries name them."""

    AVRO = "AVRO"
    PROTOBUF = "PROTOBUF"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema, compiled: `read` makes plain values of a record's body."""

    kind: SchemaKind
    read: Read


@dataclass(frozen=True, slots=True)
class NoSchema:
    """The registry has no such schema, or none that can be used: every record says `why`."""

    why: Undecodable


class SchemaUnusable(Exception):
    """A schema that no record can be read with. The text names what is wrong, for people."""


class SchemaLookup(Protocol):
    """What formats see of the cache."""

    def get(self, key: SchemaKey) -> Schema | NoSchema | None:
        """What is known of a schema; None is nothing yet."""
        ...


class SchemaCache:
    """The schemas used last, at most `entries_max` of them."""

    def __init__(self, entries_max: int = 1_000) -> None:
        self._entries: OrderedDict[SchemaKey, Schema | NoSchema] = OrderedDict()
        self._entries_max = entries_max

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: SchemaKey) -> Schema | NoSchema | None:
        """What is known of a schema; None is nothing yet."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: SchemaKey, found: Schema | NoSchema) -> None:
        """Remember what a key stands for; forgets what was not used for longest."""
        self._entries[key] = found
        self._entries.move_to_end(key)
        if len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)

    def forget(self, key: SchemaKey) -> None:
        """Ask for it again the next time that it is needed."""
        self._entries.pop(key, None)


class NoRegistry:
    """The lookup of formats that may meet a schema's id where no registry is set."""

    def get(self, key: SchemaKey) -> NoSchema:  # noqa: ARG002 - whichever it is
        """That there is none."""
        return _NO_REGISTRY


_NO_REGISTRY = NoSchema(
    Undecodable(
        FormatCode.SCHEMA_UNKNOWN,
        "the value names a schema (Confluent wire format), and no registry is set "
        "(schema_registry.urls)",
    )
)
