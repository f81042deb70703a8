"""Spans of events that are traced, made when their fate is known. Needs the extra `otel`.

Of each traced event a span `process {topic}`, child of the producer's, from the first attempt to
the fate; below it a span `POST` for the request that decided it, with the earlier attempts as a
number. Events that travelled together have one `POST`, below the first of them and linked to all.

Whether an event is traced is decided by the producer's `traceparent` before OpenTelemetry is
touched. With tracing off, this is not there: like a tap it is put in the place of what the engine
calls. No key, identifier, path or content is in a span.
"""

import random
from collections.abc import Sequence
from functools import partial

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from relay.model import Answer, Moment, Record, RequestKind, Undecodable, Unmappable
from relay.road.settling.assigned import Assigned
from relay.stream.engine import Engine, Other
from relay.stream.sender import Flight, Sender, TakeAnswer
from relay.stream.sending.lanes import Waiting
from relay.telemetry.histogram import Histogram
from relay.telemetry.trace_context import TraceContext, trace_context

_NS = 1_000_000
"""A millisecond."""

Traced = tuple[Waiting, TraceContext | None]


class Tracing:
    """Makes the spans of one engine. `ratio` is the share of events without a context."""

    def __init__(self, engine: Engine, tracer: Tracer, ratio: float, rng: random.Random) -> None:
        self._engine = engine
        self._tracer = tracer
        self._ratio = ratio
        self._rng = rng
        self._answered: dict[str, TakeAnswer] = {}
        self._took_other = engine.take_other

    def attach(self) -> None:
        """From now on, until the engine is thrown away; again, when it has further destinations."""
        self._engine.take_other = self.took_other
        for sender in self._engine.senders.values():
            if sender.name not in self._answered:
                self._answered[sender.name] = sender.take_answer
                sender.take_answer = partial(self.answered, sender)

    def answered(self, sender: Sender, flight: Flight, answer: Answer, now: Moment) -> None:
        """In the place of `Sender.take_answer`."""
        answered = self._answered[sender.name]
        traced: list[Traced] = []
        for waiting in flight.members:
            headers = waiting.parcel.record.headers
            context = trace_context(headers) if headers else None
            if self._is_traced(context):
                traced.append((waiting, context))
        if not traced:
            answered(flight, answer, now)
            return
        custody = self._engine.custody
        # A span is made when the event has its fate: of attempts that are tried again there is
        # none. Records of one event count in the ledger, events of several in the parts.
        delivered = custody.ledger.delivered + custody.parts.delivered
        letters = len(custody.letters)
        answered(flight, answer, now)
        if custody.ledger.delivered + custody.parts.delivered > delivered:
            self._tell(sender, flight, traced, answer, now, "delivered")
        elif len(custody.letters) > letters:
            self._tell(sender, flight, traced, answer, now, "dead_lettered")

    def took_other(self, record: Record, outcome: Other, assigned: Assigned, now: Moment) -> None:
        """In the place of `Engine.take_other`: what is never sent has a span, too."""
        self._took_other(record, outcome, assigned, now)
        if isinstance(outcome, Undecodable | Unmappable) and record.headers:
            context = trace_context(record.headers)
            if self._is_traced(context):
                span = self._process(record, context, now.wall_ms * _NS)
                self._fate(span, "dead_lettered", outcome.code, 0)
                span.end(now.wall_ms * _NS)

    def _is_traced(self, context: TraceContext | None) -> bool:
        if context is None:
            return self._ratio > 0 and self._rng.random() < self._ratio
        return context.sampled

    def _tell(  # noqa: PLR0917 - all that is known of an attempt
        self,
        sender: Sender,
        flight: Flight,
        traced: Sequence[Traced],
        answer: Answer,
        now: Moment,
        fate: str,
    ) -> None:
        end_ns = now.wall_ms * _NS
        left_ns = end_ns - int((now.steady - flight.left_at) * 1e9)
        spans = []
        for waiting, context in traced:
            first_ms = waiting.first_attempt_ms or now.wall_ms
            span = self._process(waiting.parcel.record, context, min(first_ms * _NS, left_ns))
            self._fate(span, fate, waiting.last_code, waiting.attempts)
            spans.append(span)
        self._post(flight, spans, answer, left_ns, end_ns)
        for (waiting, _), span in zip(traced, spans, strict=True):
            span.end(end_ns)
            self._exemplars(sender, waiting, span, now, now.steady - flight.left_at)

    def _process(self, record: Record, context: TraceContext | None, start_ns: int) -> Span:
        return self._tracer.start_span(
            f"process {record.topic}",
            context=_parent(context),
            kind=SpanKind.CONSUMER,
            start_time=start_ns,
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": record.topic,
                "messaging.destination.partition.id": str(record.partition),
                "messaging.kafka.offset": record.offset,
            },
        )

    def _fate(self, span: Span, fate: str, code: str, attempts: int) -> None:
        span.set_attributes({"relay.fate": fate, "relay.code": code, "relay.attempts": attempts})
        if fate != "delivered":
            span.set_status(Status(StatusCode.ERROR, code))

    def _post(
        self, flight: Flight, spans: Sequence[Span], answer: Answer, left_ns: int, end_ns: int
    ) -> None:
        request = flight.request
        # With one event the parent says it all.
        links = [Link(span.get_span_context()) for span in spans] if len(spans) > 1 else []
        post = self._tracer.start_span(
            request.method,
            context=set_span_in_context(spans[0]),
            kind=SpanKind.CLIENT,
            start_time=left_ns,
            links=links,
            attributes={
                "http.request.method": request.method,
                "http.request.resend_count": max(0, flight.members[0].attempts - 1),
                "relay.events": len(flight.members),
                "relay.request": str(RequestKind(request.kind)),
            },
        )
        if answer.status:
            post.set_attribute("http.response.status_code", answer.status)
        if answer.status >= 400 or not answer.status:  # noqa: PLR2004 - HTTP's own
            post.set_attribute("error.type", str(answer.status or answer.no_answer))
            post.set_status(Status(StatusCode.ERROR))
        post.end(end_ns)

    def _exemplars(
        self, sender: Sender, waiting: Waiting, span: Span, now: Moment, round_trip_s: float
    ) -> None:
        """An example beside each of the two histograms, so that a slow bucket leads to a trace."""
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        _example(sender.round_trips, round_trip_s, trace_id, now)
        if waiting.parcel.record.timestamp_ms >= 0:
            late_s = (now.wall_ms - waiting.parcel.record.timestamp_ms) / 1000
            _example(sender.lateness, late_s, trace_id, now)


def _example(histogram: Histogram, seconds: float, trace_id: str, now: Moment) -> None:
    histogram.examples[histogram.bucket(seconds)] = (trace_id, seconds, now.wall_ms / 1000)


def _parent(context: TraceContext | None) -> Context | None:
    if context is None:
        return Context()
    of_producer = SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return set_span_in_context(NonRecordingSpan(of_producer))
