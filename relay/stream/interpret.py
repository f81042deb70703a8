"""Record → Parcel, or why not: decoding, mapping and the choice of the lane, as one pure step.

Called by the engine for each record that it takes.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from relay.model import (
    DEFAULT_DESTINATION,
    Activity,
    NeedsSchema,
    Parcel,
    Record,
    Request,
    Undecodable,
    Unmappable,
    Unwanted,
)
from relay.section import bound
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.decoding.app_event import AppEvent
from relay.stream.mapping import MappingPolicy, map_event
from relay.stream.routing import Choose

Outcome: TypeAlias = Parcel | Undecodable | Unmappable | Unwanted


class Events(NamedTuple):
    """The outcome of each event of a record that holds several, in the order of the record."""

    outcomes: tuple[Outcome, ...]


Interpretation: TypeAlias = Outcome | Events | NeedsSchema
"""`NeedsSchema`: it cannot be said before that schema is fetched."""
Interpret: TypeAlias = Callable[[Record, int], Interpretation]
Each: TypeAlias = Callable[[AppEvent, Record, int], Outcome]
"""What becomes of one event of a record, at a time (wall clock in ms)."""

# Tuples that exist already: `A | B` would be a new object for each event.
_NOT_DECODED = (Undecodable, Unwanted)
_NOT_MAPPED = (Unmappable, Unwanted)


class OrderBy(StrEnum):
    """What keeps its order. Everything else may overtake."""

    USER = "user"
    KEY = "key"
    PARTITION = "partition"
    NONE = "none"


# Found once: Python 3.11 takes 80 ns to find a member of an enumeration.
_BY_USER: Final = OrderBy.USER


@dataclass(frozen=True, slots=True)
class Routes:
    """Several destinations: which an event goes to, and how each of them wants it."""

    choose: Choose
    mappings: Mapping[str, MappingPolicy]


@dataclass(frozen=True, slots=True)
class InterpretPolicy:
    """The policies of the parts, and what keeps its order."""

    decoding: DecodingPolicy
    mapping: MappingPolicy
    order_by: OrderBy = OrderBy.USER
    routes: Routes | None = None
    """Where there are several destinations: which is whose. Then `mapping` is not used."""


def interpreter(policy: InterpretPolicy) -> Interpret:
    """A function of (record, wall clock in ms) that says what becomes of the record."""
    if policy.routes is not None:
        return _routed_interpreter(policy, policy.routes)

    decoding, mapping, order_by = bound(policy.decoding), bound(policy.mapping), policy.order_by

    def interpret(record: Record, now_ms: int) -> Outcome:
        event = decode(record.value, decoding)
        if isinstance(event, _NOT_DECODED):
            return event
        mapped = map_event(event, mapping, now_ms)
        if isinstance(mapped, _NOT_MAPPED):
            return mapped
        return parcel_of(record, mapped, order_by)

    return interpret


def _routed_interpreter(policy: InterpretPolicy, routes: Routes) -> Interpret:
    outcome_of, decoding = routed(routes, policy.order_by), bound(policy.decoding)

    def interpret(record: Record, now_ms: int) -> Outcome:
        event = decode(record.value, decoding)
        if isinstance(event, _NOT_DECODED):
            return event
        return outcome_of(event, record, now_ms)

    return interpret


def routed(routes: Routes, order_by: OrderBy) -> Each:
    """A function of (event, record, wall clock in ms): what becomes of it, and where it goes."""
    choose = routes.choose
    mappings = {name: bound(mapping) for name, mapping in routes.mappings.items()}
    first = next(iter(mappings.values()))

    def outcome_of(event: AppEvent, record: Record, now_ms: int) -> Outcome:
        name = choose(record, event)
        if isinstance(name, Unmappable):
            # What is not sent by choice needs no destination.
            mapped = map_event(event, first, now_ms)
            return mapped if isinstance(mapped, Unwanted) else name
        mapped = map_event(event, mappings[name], now_ms)
        if isinstance(mapped, _NOT_MAPPED):
            return mapped
        return parcel_of(record, mapped, order_by, name)

    return outcome_of


def parcel_of(
    record: Record,
    mapped: Activity | Request,
    order_by: OrderBy,
    destination: str = DEFAULT_DESTINATION,
) -> Parcel:
    """What is sent for an event, in the lane of its user or its record."""
    # One lane for both: what a user did, is and chose arrives in the order of the events.
    lane = lane_of(order_by, record, mapped)
    return Parcel(record, lane, mapped, destination)


def lane_of(order_by: OrderBy, record: Record, mapped: Activity | Request) -> Hashable | None:
    """The lane that the record must keep to; None when it may overtake and be overtaken.

    A record without a key, or an event without a user, has nothing to be in order with.
    """
    # What keeps its order, and what may overtake:
    #
    #     user       the best identifier of the user, as a digest; all kinds of events together
    #     key        the key of the record in its topic; without a key it may overtake
    #     partition  everything of a partition: one request at a time
    #     none       nothing
    if order_by is _BY_USER:
        return mapped.user
    match order_by:
        case OrderBy.KEY:
            return None if record.key is None else (record.topic, record.key)
        case OrderBy.PARTITION:
            return record.tp
        case OrderBy.NONE:
            return None
