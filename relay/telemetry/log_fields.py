"""What the keys of a log line in JSON are called: structlog's own, ECS, or OpenTelemetry's. Pure.

Elastic Common Schema: https://www.elastic.co/guide/en/ecs-logging/overview/current/intro.html
OpenTelemetry: https://opentelemetry.io/docs/specs/otel/logs/data-model/
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from relay.telemetry.facts import Level
from relay.wording import rfc3339

_ECS_VERSION = "8.11.0"
_SERVICE = "relay"

# The data model gives each of the four names a range of four numbers; these are the first ones.
_SEVERITY = {
    Level.DEBUG: ("DEBUG", 5),
    Level.INFO: ("INFO", 9),
    Level.WARNING: ("WARN", 13),
    Level.ERROR: ("ERROR", 17),
}


class LogFields(StrEnum):
    """Whose names the keys of a line are."""

    DEFAULT = "default"
    ECS = "ecs"
    OTEL = "otel"


Line = dict[str, Any]


def arranged(fields: LogFields) -> Callable[[Mapping[str, Any], str], Line]:
    """The function that makes a line of a fact's fields, given the version of Relay.

    It takes `timestamp` (seconds since the epoch), `level`, `event`, `stage`, and what the fact
    has. It needs every one of the four.
    """
    return _ARRANGED[fields]


def _default(said: Mapping[str, Any], _version: str) -> Line:
    """The keys that structlog and most log tools know come first."""
    at = rfc3339(said["timestamp"], "microseconds")
    return {"timestamp": at, "level": said["level"], "event": said["event"], **_rest(said)}


def _ecs(said: Mapping[str, Any], version: str) -> Line:
    """What is Relay's own lies under `relay`, where no field of ECS can have the same name."""
    rest = _rest(said)
    line = {
        "@timestamp": rfc3339(said["timestamp"], "microseconds"),
        "log.level": said["level"],
        "message": said["event"],
        "ecs.version": _ECS_VERSION,
        "service.name": _SERVICE,
        "service.version": version,
        "event.action": said["event"],
        "event.dataset": f"{_SERVICE}.{rest.pop('stage')}",
    }
    if trace_id := rest.pop("trace_id", None):
        line["trace.id"] = trace_id
    if rest:
        line[_SERVICE] = rest
    return line


def _otel(said: Mapping[str, Any], version: str) -> Line:
    rest = _rest(said)
    text, number = _SEVERITY[Level(said["level"])]
    line: Line = {
        "Timestamp": str(round(said["timestamp"] * 1_000_000) * 1000),
        "SeverityText": text,
        "SeverityNumber": number,
        "Body": said["event"],
        "EventName": f"{_SERVICE}.{said['event']}",
    }
    if trace_id := rest.pop("trace_id", None):
        line["TraceId"] = trace_id
    line["Resource"] = {"service.name": _SERVICE, "service.version": version}
    line["Attributes"] = rest
    return line


_ARRANGED: dict[LogFields, Callable[[Mapping[str, Any], str], Line]] = {
    LogFields.DEFAULT: _default,
    LogFields.ECS: _ecs,
    LogFields.OTEL: _otel,
}


def _rest(said: Mapping[str, Any]) -> Line:
    return {name: said[name] for name in said if name not in ("timestamp", "level", "event")}
