"""A document that is no app event → the preset that it looks as if it were for."""

from typing import Any

_SEGMENT_KINDS = frozenset({"track", "page", "screen", "identify", "group", "alias"})


def looks_like(document: Any) -> str | None:
    """The name of a preset; None when the document looks like nothing that is known.

    What is the company's own may look like anything: a hint, never a decision.
    """
    if not isinstance(document, dict):
        return None
    for name, looks in _LOOKS.items():
        if looks(document):
            return name
    return None


def _cloudevents(document: dict[str, Any]) -> bool:
    return {"specversion", "id", "source", "type"} <= document.keys()


def _debezium(document: dict[str, Any]) -> bool:
    inner = document.get("payload", document)
    if not isinstance(inner, dict):
        return False
    return {"op", "source", "after"} <= inner.keys() or {"__op", "__deleted"} <= inner.keys()


def _mparticle(document: dict[str, Any]) -> bool:
    events = document.get("events")
    if not isinstance(events, list) or not document.keys() & {
        "user_identities",
        "mpid",
        "device_info",
    }:
        return False
    return all(isinstance(event, dict) and "event_type" in event for event in events)


def _ga4(document: dict[str, Any]) -> bool:
    if {"event_name", "event_timestamp", "event_params"} <= document.keys():
        return True
    return "events" in document and bool(document.keys() & {"client_id", "app_instance_id"})


def _snowplow(document: dict[str, Any]) -> bool:
    return {"event_id", "collector_tstamp", "event_vendor"} <= document.keys()


def _segment(document: dict[str, Any]) -> bool:
    return (
        isinstance(kind := document.get("type"), str)
        and kind in _SEGMENT_KINDS
        and "messageId" in document
        and bool(document.keys() & {"userId", "anonymousId"})
    )


def _rudderstack(document: dict[str, Any]) -> bool:
    return _segment(document) and bool(document.keys() & {"rudderId", "request_ip"})


def _jitsu(document: dict[str, Any]) -> bool:
    return _segment(document) and bool(document.keys() & {"writeKey", "requestIp"})


# RudderStack and Jitsu send what Segment does, with a field or two of their own: so they stand
# before it.
# The more particular first.
_LOOKS = {
    "cloudevents": _cloudevents,
    "debezium": _debezium,
    "mparticle": _mparticle,
    "ga4": _ga4,
    "snowplow": _snowplow,
    "rudderstack": _rudderstack,
    "jitsu": _jitsu,
    "segment": _segment,
}
