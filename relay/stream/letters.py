"""Dead letters of the stream, made of what went wrong. Pure."""

from typing import TypedDict

from relay.model import DeadLetter, DeadLetterClass, Record, Undecodable, Unmappable
from relay.road.settling.assigned import Part


class OfEvents(TypedDict, total=False):
    """Which events of a record a letter is about."""

    events: tuple[int, ...]
    events_total: int


def letter_of(
    record: Record,
    cls: DeadLetterClass,
    why: Undecodable | Unmappable,
    part: Part | None = None,
    destination: str = "",
) -> DeadLetter:
    """A letter about a record, or one event of it; `destination` where it was bound for one."""
    return DeadLetter(
        record, cls, why.code, why.reason, destination=destination, **events_of_letter(part)
    )


def events_of_letter(part: Part | None) -> OfEvents:
    """Which event a letter is about: nothing to say when the record is one event."""
    if part is None:
        return {}
    return {"events": (part.index,), "events_total": part.join.total}


def class_of(why: Undecodable | Unmappable) -> DeadLetterClass:
    """The stage that found out."""
    if isinstance(why, Undecodable):
        return DeadLetterClass.UNDECODABLE
    return DeadLetterClass.UNMAPPABLE
