"""A line of a file, or the options of a command → the PUT that it asks for, or why not. Pure.

A line is an app event (docs/EVENTS.md), so it is held to the same rules as the stream. `type`,
`id` and `ts` may be left out: they follow from the command, the line and the moment.
"""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from relay.model import Request, Undecodable, Unmappable, Unwanted
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.decoding.app_event import Choice, Profile
from relay.stream.mapping import MappingPolicy, map_event
from relay.stream.mapping.policy import ChoiceRoute, ProfileRoute, UpdateStrategy

Kind = Literal["profile", "choice"]


@dataclass(frozen=True, slots=True)
class Reader:
    """What lines are read by."""

    kind: Kind
    decoding: DecodingPolicy
    mapping: MappingPolicy
    strategy: UpdateStrategy | None = None
    """The one strategy that the command stands for; None leaves it to the line."""

    def update(self, line: bytes, number: int, now_ms: int) -> Request | Unmappable:
        """The PUT of one line."""
        event = self.event(line, number, now_ms)
        if isinstance(event, Unmappable):
            return event
        if isinstance(event, Profile) and self.strategy is not None:
            if event.update_strategy not in (None, self.strategy):
                return Unmappable("strategy_contradicted", f"update_strategy: not {self.strategy}")
            event = event.model_copy(update={"update_strategy": self.strategy.value})
        mapped = map_event(event, self.mapping, now_ms)
        match mapped:
            case Request() | Unmappable():
                return mapped
            case Unwanted():
                return Unmappable(mapped.code, mapped.reason)
            case _:
                return Unmappable("route_contradicted", "route: an activity is for the stream")

    def event(self, line: bytes, number: int, now_ms: int) -> Profile | Choice | Unmappable:
        """The event of one line."""
        event = decode(_completed(line, self.kind, number, now_ms), self.decoding)
        match event:
            case Profile() | Choice() if event.type == self.kind:
                return event
            case Undecodable() | Unwanted():
                return Unmappable(event.code, event.reason)
            case _:
                return Unmappable("wrong_type", f"type: this command takes {self.kind}")


def reader(
    kind: Kind,
    decoding: DecodingPolicy,
    mapping: MappingPolicy,
    strategy: UpdateStrategy | None = None,
) -> Reader:
    """A reader that puts, whatever route the settings have for the stream.

    The consent gate is about activities in the stream; what an operator does by hand passes.
    """
    by_put = mapping.model_copy(
        update={
            "profile_route": ProfileRoute.USER_PROFILES,
            "choice_route": ChoiceRoute.USER_CHOICES,
            "required_processings": [],
        }
    )
    return Reader(kind, decoding, by_put, strategy)


def _completed(line: bytes, kind: Kind, number: int, now_ms: int) -> bytes:
    """The line with the fields that it may leave out. Its own text stays as it is."""
    try:
        document: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line
    if not isinstance(document, dict):
        return line
    usual = {"type": kind, "id": f"line-{number}", "ts": now_ms}
    missing = {name: value for name, value in usual.items() if name not in document}
    if not missing:
        return line
    rest = line.strip()[1:]
    return orjson.dumps(missing)[:-1] + (b"," if document else b"") + rest
