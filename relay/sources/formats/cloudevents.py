"""CloudEvents 1.0 over Kafka → one shape: the event's JSON format, whichever way it travelled.

    content-type begins with application/cloudevents   structured: the value is the whole event
    all of ce_id ce_source ce_specversion ce_type      binary: attributes in headers, value = data
    neither                                            no CloudEvent

The document has the attributes by name, and `data`: as JSON it is the value, of a schema registry
what its schema says, text is text, and anything else is base64 in `data_base64`. The Kafka binding
has no batch mode; a batch is taken nevertheless, since some producers write one.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from relay.model import Record, Undecodable
from relay.sources.formats.json_text import parse
from relay.sources.formats.outcome import (
    NOT_READ,
    Decoded,
    Document,
    Format,
    FormatCode,
    FormatPolicy,
    as_documents,
    of_values,
)
from relay.sources.formats.values import text_of_bytes
from relay.stream.decoding.reasons import UndecodableCode

ReadFramed: TypeAlias = Callable[[Record, bytes], Any]
"""A value that names its schema → the value, Undecodable or NeedsSchema; None: it names none."""

_MANDATORY = ("id", "source", "specversion", "type")
_STRUCTURED = "application/cloudevents"
_BATCH = "application/cloudevents-batch"


def cloudevents_format(policy: FormatPolicy, read_framed: ReadFramed) -> Format:
    """A CloudEvent in a record.

    Without a value it is none, in binary mode either: Kafka takes it for a deletion.
    """

    def decode(record: Record, value: bytes) -> Decoded:
        headers = _headers(record)
        if isinstance(headers, Undecodable):
            return headers
        content_type = headers.get("content-type", "")
        kind = content_type.partition(";")[0].strip().lower()
        if kind.startswith(_STRUCTURED):
            return _structured(value, kind, policy)
        if all(f"ce_{name}" in headers for name in _MANDATORY):
            return _binary(record, value, headers, kind, read_framed)
        missing = ", ".join(f"ce_{name}" for name in _MANDATORY if f"ce_{name}" not in headers)
        return Undecodable(
            FormatCode.INVALID_CLOUDEVENT,
            f"no header content-type: {_STRUCTURED}…, and no header {missing}",
        )

    return of_values(policy, decode)


def _headers(record: Record) -> dict[str, str] | Undecodable:
    """The headers that matter, by their names in lower case; of equal ones the last counts."""
    found: dict[str, str] = {}
    for name, value in record.headers:
        lower = name.lower()
        if value is None or not (lower.startswith("ce_") or lower == "content-type"):
            continue
        try:
            found[lower] = value.decode()
        except UnicodeDecodeError:
            return Undecodable(
                FormatCode.INVALID_CLOUDEVENT, "an attribute in a header is not UTF-8"
            )
    return found


def _structured(value: bytes, kind: str, policy: FormatPolicy) -> Decoded:
    if not kind.endswith("+json"):
        return Undecodable(
            FormatCode.INVALID_CLOUDEVENT, "structured mode in a format other than JSON"
        )
    found = parse(value)
    if isinstance(found, Undecodable):
        return found
    if isinstance(found, dict):
        event = _complete(found)
        return event if isinstance(event, Undecodable) else (event,)
    if isinstance(found, list) and not kind.startswith(_BATCH):
        return Undecodable(
            UndecodableCode.NOT_AN_OBJECT, "a batch, and the header content-type does not say so"
        )
    parts = as_documents(found, policy)
    if isinstance(parts, Undecodable):
        return parts
    return tuple(part if isinstance(part, Undecodable) else _complete(part) for part in parts)


def _complete(event: Document) -> Document | Undecodable:
    """An event that has the mandatory attributes, with data that was JSON in base64 unpacked."""
    missing = [name for name in _MANDATORY if not isinstance(event.get(name), str)]
    if missing:
        return Undecodable(
            FormatCode.INVALID_CLOUDEVENT, f"{missing[0]}: is missing, or is not text"
        )
    if not event["specversion"].startswith("1."):
        return Undecodable(FormatCode.INVALID_CLOUDEVENT, "specversion: must be 1.0")
    return event


def _binary(
    record: Record, value: bytes, headers: dict[str, str], kind: str, read_framed: ReadFramed
) -> Decoded:
    event: Document = {name[3:]: text for name, text in headers.items() if name.startswith("ce_")}
    complete = _complete(event)
    if isinstance(complete, Undecodable):
        return complete
    if "content-type" in headers:
        event["datacontenttype"] = headers["content-type"]
    # What the value is, by its content type; a schema registry's bytes go before all of it:
    #
    #     text, but not JSON     text
    #     JSON, or not said      JSON
    #     anything else          base64, under another name, so that nobody takes it for data
    data = read_framed(record, value)
    if data is None:
        if kind.startswith("text/") and not _is_json(kind):
            data = _text(value)
        elif not kind or _is_json(kind):
            data = parse(value)
        else:
            event["data_base64"] = text_of_bytes(value)
            return (event,)
    if isinstance(data, NOT_READ):
        return data
    event["data"] = data
    return (event,)


def _is_json(kind: str) -> bool:
    return kind.endswith(("/json", "+json"))


def _text(value: bytes) -> str | Undecodable:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        return Undecodable(UndecodableCode.NOT_UTF8, f"not UTF-8 from byte {error.start} on")
