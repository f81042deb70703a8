"""Mappings written in Python: `mapping: python:module:function`.

    def to_events(record: SourceRecord) -> Iterable[dict]: ...

The function must be pure and gives documents of the input format (schemas/app-event.v1.json).
What it raises is one dead letter, never the end of the stream.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from relay.errors import SettingsError
from relay.model import Record, Undecodable, Unwanted
from relay.sources.mapping.compiling import EVENTS_MAX
from relay.sources.mapping.faults import MappingCode, kind_of
from relay.sources.mapping.rules import Mapped, Part, RuleName

PREFIX = "python:"
_NOTHING = Unwanted(MappingCode.NO_EVENTS, "the function gave no events")


class SourceRecord(NamedTuple):
    """What a plug-in gets: the document, and what Kafka says about the record.

    Its `repr` shows nothing of the content.
    """

    document: Any
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: Mapping[str, bytes | None]

    def __repr__(self) -> str:
        return f"SourceRecord({self.topic}-{self.partition}-{self.offset})"


ToEvents = Callable[[SourceRecord], Iterable[dict[str, Any]]]


def load_plugin(reference: str) -> ToEvents:
    """The function that `python:module:function` names. Raises SettingsError."""
    module_name, _, name = reference.removeprefix(PREFIX).partition(":")
    if not module_name or not name:
        raise SettingsError(
            f"mapping {reference}: is not python:module:function", hint="python:shop.mapping:events"
        )
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # Whatever a module of somebody else's does when it is imported, the setting is what to fix.
        raise SettingsError(
            f"mapping {reference}: the module cannot be imported ({type(error).__name__})",
            hint="it must be on PYTHONPATH, and importable by itself",
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise SettingsError(f"mapping {reference}: the module has no function {name}")
    found: ToEvents = function
    return found


def plugin_mapping(
    function: ToEvents, name: str, *, events_max: int = EVENTS_MAX
) -> Callable[[Any, Record], Sequence[Part]]:
    """The function as a mapping: its exceptions are dead letters, and its events are bounded."""
    rule = RuleName(name)

    def mapping(document: Any, record: Record) -> Sequence[Part]:
        given = SourceRecord(
            document,
            record.topic,
            record.partition,
            record.offset,
            record.timestamp_ms,
            record.key,
            dict(record.headers),
        )
        try:
            events = list(islice(function(given), events_max + 1))
        except Exception as error:  # noqa: BLE001 -- others' code, with the record as its input
            return (Undecodable(MappingCode.MAPPING_RAISED, _told(error, name)),)
        if not events:
            return (_NOTHING,)
        if len(events) > events_max:
            text = f"{name}: more than {events_max} events for one record"
            return (Undecodable(MappingCode.TOO_MANY_EVENTS, text),)
        return [_part(event, rule) for event in events]

    return mapping


def _part(event: Any, rule: RuleName) -> Part:
    if type(event) is dict:
        return Mapped(event, rule)
    text = f"{rule.name}: an event must be a dict, and is {kind_of(event)}"
    return Undecodable(MappingCode.INVALID_FIELD, text)


def _told(error: Exception, name: str) -> str:
    """Type and line, never the message: it may quote what the function was given."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        line, trace = trace.tb_lineno, trace.tb_next
    return f"{name}: raised {type(error).__name__} at line {line}"
