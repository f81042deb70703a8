"""Record and event → the name of the destination that it goes to, where there are several. Pure.

    | the settings say                                   | the event goes to                      |
    |----------------------------------------------------|----------------------------------------|
    | its topic (`topics`)                               | that one, whatever stands in it        |
    | else a header or a field, and it has a value that  | the one that the table gives; without  |
    | is known                                           | a table, the one of that name          |
    | the same, and its value is not known               | none: a dead letter                    |
    | the same, and it has no such header or field       | `default`                              |
    | none of these                                      | `default`; without one none: a dead    |
    |                                                    | letter                                 |

A value that is not known is never sent to `default`: events of a new shop would end in another's
datamart, and nobody could take them out again.
"""

import fnmatch
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, Field, model_validator

from relay.model import Record, Unmappable
from relay.road.settling.dead_letter import newest
from relay.section import Section
from relay.stream.decoding.app_event import AppEvent, Choice, Profile, Segment, Track
from relay.stream.mapping.codes import MappingCode

Choose: TypeAlias = Callable[[Record, AppEvent], str | Unmappable]
TopicPattern = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._*?-]+$", max_length=249)]
_FIELDS = frozenset(
    name for kind in (Track, Profile, Choice, Segment) for name in kind.model_fields
)


class RoutingPolicy(Section):
    """Which of several destinations an event goes to; the first that decides is the one."""

    topics: dict[TopicPattern, str] = Field(
        default_factory=dict,
        description="Topic → destination, for topics that carry one destination's events only; "
        "`*` stands for any signs, `?` for one. The first that fits is the one.",
    )
    header: str | None = Field(
        None, min_length=1, description="Header of the Kafka record whose value decides."
    )
    field: str | None = Field(
        None,
        pattern=r"^[a-z_]+(\.[^.]+)*$",
        description="Field of the event whose value decides, with dots between levels, as "
        "`site_id` or `properties.shop`. Of a source with a mapping: of the event that it makes.",
    )
    table: dict[str, str] = Field(
        default_factory=dict,
        description="Value of the header or field → destination. Without it the value is the name "
        "of the destination.",
    )
    default: str | None = Field(
        None,
        description="Where events go that have no such header or field. An event whose value is "
        "not known is a dead letter all the same.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.header is not None and self.field is not None:
            raise ValueError("give header or field, not both")
        if self.table and self.header is None and self.field is None:
            raise ValueError("table needs header or field")
        if self.field is not None and self.field.split(".")[0] not in _FIELDS:
            raise ValueError(f"field: an event has {', '.join(sorted(_FIELDS))}")
        return self

    @property
    def decides(self) -> bool:
        """Whether anything is said at all."""
        return bool(self.topics or self.header or self.field or self.default)

    def named(self) -> Mapping[tuple[str, ...], str]:
        """Every destination that is named, by the path of keys to it."""
        found: dict[tuple[str, ...], str] = {}
        for key in ("topics", "table"):
            found |= {(key, value): name for value, name in getattr(self, key).items()}
        return found if self.default is None else {**found, ("default",): self.default}


def chooser(policy: RoutingPolicy, destinations: Collection[str]) -> Choose:
    """A function of (record, event): the name of the destination, or why there is none."""
    table = policy.table or {name: name for name in destinations}
    read = _reader(policy)
    of_topic = _by_topic(policy.topics)

    def choose(record: Record, event: AppEvent) -> str | Unmappable:
        name = of_topic(record)
        if name is not None:
            return name
        value = None if read is None else read(record, event)
        if value is None:
            return _none(policy) if policy.default is None else policy.default
        found = table.get(value)
        return _unknown(policy) if found is None else found

    return choose


_Value: TypeAlias = Callable[[Record, AppEvent], str | None]


def _by_topic(topics: Mapping[str, str]) -> Callable[[Record], str | None]:
    """What `topics` says. A replayed record is one of the topic in which it died."""
    fitting = [(re.compile(fnmatch.translate(topic)).match, name) for topic, name in topics.items()]
    known: dict[str, str | None] = {}

    def of_topic(record: Record) -> str | None:
        if not fitting:
            return None
        death = newest(record.headers) if record.headers else None
        topic = record.topic if death is None else death.position.topic
        if topic not in known:
            known[topic] = next((name for fits, name in fitting if fits(topic)), None)
        return known[topic]

    return of_topic


def _reader(policy: RoutingPolicy) -> _Value | None:
    if policy.header is not None:
        name = policy.header
        return lambda record, _: _header(record, name)
    if policy.field is not None:
        steps = tuple(policy.field.split("."))
        return lambda _, event: _field(event, steps)
    return None


def _header(record: Record, name: str) -> str | None:
    """The header's value, the last one where it stands several times; what is no text is empty."""
    for known, value in reversed(record.headers):
        if known == name and value is not None:
            return value.decode("utf-8", "replace")
    return None


def _field(event: AppEvent, steps: Sequence[str]) -> str | None:
    """The field's value as text; empty where a map or a list stands, which names nothing."""
    here: Any = event
    for step in steps:
        if isinstance(here, BaseModel):
            here = getattr(here, step, None) if step in type(here).model_fields else None
        elif isinstance(here, Mapping):
            here = here.get(step)
        elif isinstance(here, Sequence) and not isinstance(here, str):
            here = here[int(step)] if step.isdecimal() and int(step) < len(here) else None
        else:
            return None
        if here is None:
            return None
    if isinstance(here, bool):
        return "true" if here else "false"
    return str(here) if isinstance(here, str | int) else ""


def _unknown(policy: RoutingPolicy) -> Unmappable:
    where = _where(policy)
    to_do = "add its value to routing.table" if policy.table else "give it a routing.table"
    return Unmappable(
        MappingCode.UNKNOWN_DESTINATION, f"{where}: names no destination of the settings; {to_do}"
    )


def _none(policy: RoutingPolicy) -> Unmappable:
    if policy.header is None and policy.field is None:
        reason = "no destination for this topic; add it to routing.topics, or set routing.default"
    else:
        reason = f"{_where(policy)}: missing, so it has no destination; set routing.default"
    return Unmappable(MappingCode.UNKNOWN_DESTINATION, reason)


def _where(policy: RoutingPolicy) -> str:
    return f"header {policy.header}" if policy.header is not None else str(policy.field)
