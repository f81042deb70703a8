"""The W3C trace context in a record's headers, read without any library. Pure.

`traceparent` is `00-<32 hex>-<16 hex>-<2 hex flags>` (https://www.w3.org/TR/trace-context/). Read
before anything of OpenTelemetry is touched: of most records the producer has decided already that
they are not traced, and then nothing else happens.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_FORM = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)
_SAMPLED = 1


class TraceContext(NamedTuple):
    """Of the span that sent the record. Ids in hex."""

    trace_id: str
    span_id: str
    sampled: bool


def trace_context(headers: Sequence[tuple[str, bytes | None]]) -> TraceContext | None:
    """What the headers say; None when they say nothing, or nothing valid."""
    for name, value in headers:
        if name == "traceparent":
            found = _FORM.match(value or b"")
            if found is None:
                return None
            trace_id, span_id, flags = found.groups()
            return TraceContext(
                trace_id.decode(), span_id.decode(), bool(int(flags, 16) & _SAMPLED)
            )
    return None


def trace_id_of(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """The id for a line of the log; empty when there is none."""
    context = trace_context(headers)
    return "" if context is None else context.trace_id
