"""What a mapping made → app events, judged by the models of the input format.

The document that a mapping made is validated as it is: nothing is written as JSON and parsed again.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from pydantic import ValidationError

from relay.model import Record, Undecodable, Unwanted
from relay.sources.mapping.rules import Mapped, Part, told
from relay.stream.decoding.app_event import AppEvent
from relay.stream.decoding.decode import APP_EVENT
from relay.stream.decoding.reasons import why_not_an_event
from relay.stream.decoding.user import DEVICE_TAGS

MappingFunction: TypeAlias = Callable[[Any, Record], Sequence[Part]]
"""A compiled mapping or a plug-in: (document, record) → its parts."""

EventPart: TypeAlias = AppEvent | Undecodable | Unwanted
_validate = APP_EVENT.validator.validate_python


def events_of(parts: Sequence[Part]) -> list[EventPart]:
    """Each part as an app event, or why it is none. Never raises."""
    return [app_event(part) if type(part) is Mapped else part for part in parts]  # type: ignore[misc]


def app_event(mapped: Mapped) -> AppEvent | Undecodable:
    """The event, or the first thing that is wrong with it: what, made from where, by which rule."""
    try:
        event: AppEvent = _validate(mapped.document)
    except ValidationError as error:
        why = why_not_an_event(error)
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        target = tuple(
            step for step in first["loc"][1:] if step not in DEVICE_TAGS and step != "[key]"
        )
        place, _, text = why.reason.partition(": ")
        read = mapped.rule.read_for(target)
        return Undecodable(why.code, told(place, text, read, mapped.rule))
    return event
