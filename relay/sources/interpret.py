"""Record → its events, by the source that its topic belongs to; else by Relay's own format.

    Record ──format──▶ documents ──mapping──▶ app events ──map_event──▶ Parcel
                │                    │                         └▶ Unmappable | Unwanted
                └──────── Undecodable | Unwanted ◀─┘

Pure. One event gives one outcome, several give `Events` in the order of the record.
"""

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from relay.model import Record, Undecodable, Unmappable, Unwanted
from relay.road.settling.dead_letter import Envelope, newest
from relay.sources.events import app_event
from relay.sources.formats import Documents, Format, FormatCode, NeedsSchema
from relay.sources.mapping import Mapped, Part
from relay.sources.mapping.faults import MappingCode
from relay.stream.interpret import (
    Events,
    Interpret,
    Interpretation,
    InterpretPolicy,
    Outcome,
    interpreter,
    parcel_of,
)
from relay.stream.mapping import map_event

Mapping: TypeAlias = Callable[[Any, Record], Sequence[Part]]
"""A compiled mapping or a function of the company's own: (document, record) → its events."""

DELIVERED_BEFORE = Unwanted("delivered_before_death", "the letter names other events of the record")
_NOT_FETCHED = Undecodable(FormatCode.SCHEMA_UNKNOWN, "the schema was not fetched")
_NO_EVENTS = Unwanted(MappingCode.NO_EVENTS, "the record holds no events")


@dataclass(frozen=True, slots=True)
class Source:
    """What stands on some topics, and what becomes of it. `topics` may have `*` and `?`."""

    topics: tuple[str, ...]
    format: Format
    mapping: Mapping
    events_max: int


def source_interpreter(sources: Sequence[Source], policy: InterpretPolicy) -> Interpret:
    """A function of (record, wall clock in ms); without sources it is that of the own format."""
    own = interpreter(policy)
    if not sources:
        return own
    readers = [(matching(source.topics), _reader(source, policy)) for source in sources]
    chosen: dict[str, Interpret] = {}

    def interpret(record: Record, now_ms: int) -> Interpretation:
        # A replayed record is what it was where it died, whichever topic it was sent to.
        death = newest(record.headers) if record.headers else None
        topic = record.topic if death is None else death.position.topic
        reader = chosen.get(topic)
        if reader is None:
            fitting = (reader for fits, reader in readers if fits(topic))
            reader = chosen[topic] = next(fitting, own)
        outcome = reader(record, now_ms)
        return outcome if death is None else _that_died(outcome, death)

    return interpret


def _that_died(outcome: Interpretation, death: Envelope) -> Interpretation:
    """Of a replayed record the events that its letter names; the others were delivered.

    When the record holds another number of events than it did, because its mapping has changed,
    nobody can say which are meant: then all are sent, under the keys that they always had.
    """
    if not isinstance(outcome, Events) or len(outcome.outcomes) != death.events_total:
        return outcome
    named = frozenset(death.events)
    return Events(
        tuple(
            part if index in named else DELIVERED_BEFORE
            for index, part in enumerate(outcome.outcomes)
        )
    )


def matching(topics: Sequence[str]) -> Callable[[str], object]:
    """Whether a topic is one of these names, of which each may have `*` and `?`."""
    return re.compile("|".join(fnmatch.translate(name) for name in topics)).match


def _reader(source: Source, policy: InterpretPolicy) -> Interpret:
    decode, mapping, events_max = source.format, source.mapping, source.events_max

    def outcome_of(part: Part, record: Record, now_ms: int) -> Outcome:
        if not isinstance(part, Mapped):
            return part
        event = app_event(part)
        if isinstance(event, Undecodable):
            return event
        mapped = map_event(event, policy.mapping, now_ms)
        if isinstance(mapped, Unmappable | Unwanted):
            return mapped
        return parcel_of(record, mapped, policy.order_by)

    def read(record: Record, now_ms: int) -> Interpretation:
        documents = decode(record)
        if isinstance(documents, Undecodable | Unwanted):
            return documents
        if isinstance(documents, NeedsSchema):
            return _NOT_FETCHED
        parts = _parts(documents, record, mapping)
        if len(parts) == 1:
            return outcome_of(parts[0], record, now_ms)
        if len(parts) > events_max:
            return _too_many(events_max)
        return Events(tuple(outcome_of(part, record, now_ms) for part in parts))

    return read


def _parts(documents: Documents, record: Record, mapping: Mapping) -> Sequence[Part]:
    if len(documents) == 1 and not isinstance(documents[0], Undecodable):
        return mapping(documents[0], record)
    parts: list[Part] = []
    for document in documents:
        if isinstance(document, Undecodable):
            parts.append(document)
        else:
            parts.extend(mapping(document, record))
    return parts or (_NO_EVENTS,)


def _too_many(events_max: int) -> Undecodable:
    return Undecodable(
        FormatCode.TOO_MANY_EVENTS,
        f"the record holds more than {events_max} events (decoding.events_per_record_max)",
    )
