"""Record → its events, by the source that its topic belongs to; else by Relay's own format.

    Record ──format──▶ documents ──mapping──▶ app events ──map_event──▶ Parcel
                │                    │            │            └▶ Unmappable | Unwanted
                │                    │            └▶ the road of membership events
                ├──────── Undecodable | Unwanted ◀─┘
                └──────── NeedsSchema: read again when it is fetched

Pure. One event gives one outcome, several give `Events` in the order of the record.
"""

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from relay.model import NeedsSchema, Record, Undecodable, Unmappable, Unwanted
from relay.road.settling.dead_letter import Envelope, newest
from relay.section import bound
from relay.sources.events import EventPart, MappingFunction, events_of
from relay.sources.formats import Documents, Format, FormatCode
from relay.sources.formats.outcome import NOT_READ
from relay.sources.mapping import Part
from relay.sources.mapping.faults import MappingCode
from relay.sources.shadow import Shadow, beside
from relay.stream.interpret import (
    Events,
    Interpret,
    Interpretation,
    InterpretPolicy,
    Outcome,
    interpreter,
    parcel_of,
    routed,
)
from relay.stream.mapping import MappingPolicy, map_event

Reading: TypeAlias = EventPart | list[EventPart] | NeedsSchema
"""What a record is: one event or none, or a list with an entry for each of its events."""

Reader: TypeAlias = Callable[[Record], Reading]

T = TypeVar("T")
DELIVERED_BEFORE = Unwanted("delivered_before_death", "the letter names other events of the record")
_NO_EVENTS = Unwanted(MappingCode.NO_EVENTS, "the record holds no events")


# A tuple that exists already: `A | B` would be a new object for each event.
_NO_EVENT = (Undecodable, Unwanted)
_NOT_MAPPED = (Unmappable, Unwanted)


@dataclass(frozen=True, slots=True)
class Source:
    """What stands on some topics, and what becomes of it. `topics` may have `*` and `?`."""

    topics: tuple[str, ...]
    format: Format
    mapping: MappingFunction
    events_max: int
    ids_from: str | None = None
    """Who gives its events their ids, for `$unique_key`; None: as for all other topics."""
    shadow: Shadow | None = None
    makes_segments: bool = True
    """Whether an event of it may be one of membership."""


def source_interpreter(sources: Sequence[Source], policy: InterpretPolicy) -> Interpret:
    """A function of (record, wall clock in ms); without sources it is that of the own format."""
    own = interpreter(policy)
    if not sources:
        return own
    chosen = by_topic(sources, [_interpret(source, policy) for source in sources], own)

    def interpret(record: Record, now_ms: int) -> Interpretation:
        reader, death = chosen(record)
        outcome = reader(record, now_ms)
        if death is None or not isinstance(outcome, Events):
            return outcome
        return Events(owed(death, outcome.outcomes))

    return interpret


def by_topic(
    sources: Sequence[Source], made: Sequence[T], own: T
) -> Callable[[Record], tuple[T, Envelope | None]]:
    """A function that chooses what was made of the source of a record, and says how it died.

    The first source that fits is the one. A replayed record is what it was where it died,
    whichever topic it was sent to.
    """
    fitting = [(matching(source.topics), one) for source, one in zip(sources, made, strict=True)]
    chosen: dict[str, T] = {}

    def choose(record: Record) -> tuple[T, Envelope | None]:
        death = newest(record.headers) if record.headers else None
        topic = record.topic if death is None else death.position.topic
        if topic not in chosen:
            chosen[topic] = next((one for fits, one in fitting if fits(topic)), own)
        return chosen[topic], death

    return choose


def owed(death: Envelope, outcomes: tuple[T, ...]) -> tuple[T | Unwanted, ...]:
    """Of a replayed record's events those that its letter is about; the others are done.

    When the record holds another number of events than it did, because its mapping has changed,
    nobody can say which are meant: then all are, under the keys that they always had.
    """
    if len(outcomes) != death.events_total:
        return outcomes
    named = frozenset(death.events)
    return tuple(one if index in named else DELIVERED_BEFORE for index, one in enumerate(outcomes))


def matching(topics: Sequence[str]) -> Callable[[str], object]:
    """Whether a topic is one of these names, of which each may have `*` and `?`."""
    return re.compile("|".join(fnmatch.translate(name) for name in topics)).match


def reader_of(source: Source) -> Reader:
    """What a record of the source is."""
    # One event, or a list with an entry for each:
    #
    #     the value cannot be read, is not wanted,   that, for the record as a whole
    #     or needs its schema
    #     more events than are allowed               a dead letter: it is one record, not a file
    #     one event, or "no events", which is one    that: nearly all records
    #     several                                    each with its own outcome, in their order
    decode, mapping, events_max = source.format, source.mapping, source.events_max

    def read(record: Record) -> Reading:
        documents = decode(record)
        if isinstance(documents, NOT_READ):
            return documents
        parts = _parts(documents, record, mapping)
        if len(parts) > events_max:
            return _too_many(events_max)
        events = events_of(parts)
        return events[0] if len(events) == 1 else events

    return read


def _interpret(source: Source, policy: InterpretPolicy) -> Interpret:
    shadow = source.shadow
    if shadow is not None:
        source = replace(source, mapping=beside(source.mapping, shadow))
    read = reader_of(source)
    outcome_of = _outcome_of(source, policy)

    def interpret(record: Record, now_ms: int) -> Interpretation:
        found = read(record)
        if isinstance(found, list):
            return Events(tuple([outcome_of(event, record, now_ms) for event in found]))
        if isinstance(found, NeedsSchema):
            return found
        return outcome_of(found, record, now_ms)

    return interpret


def _outcome_of(
    source: Source, policy: InterpretPolicy
) -> Callable[[EventPart, Record, int], Outcome]:
    order_by = policy.order_by
    if policy.routes is not None:
        mappings = {name: _with_ids(source, one) for name, one in policy.routes.mappings.items()}
        to_its_destination = routed(replace(policy.routes, mappings=mappings), order_by)

        def routed_outcome(event: EventPart, record: Record, now_ms: int) -> Outcome:
            if isinstance(event, _NO_EVENT):
                return event
            return to_its_destination(event, record, now_ms)

        return routed_outcome

    mapping = bound(_with_ids(source, policy.mapping))

    def outcome_of(event: EventPart, record: Record, now_ms: int) -> Outcome:
        if isinstance(event, _NO_EVENT):
            return event
        mapped = map_event(event, mapping, now_ms)
        if isinstance(mapped, _NOT_MAPPED):
            return mapped
        return parcel_of(record, mapped, order_by)

    return outcome_of


def _with_ids(source: Source, mapping: MappingPolicy) -> MappingPolicy:
    if source.ids_from is None:
        return mapping
    return mapping.model_copy(update={"source": source.ids_from})


def _parts(documents: Documents, record: Record, mapping: MappingFunction) -> Sequence[Part]:
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
