"""Spans, from a producer's header to the POST, as a collector receives them over OTLP."""

import gzip
import http.server
import json
import threading

import httpx
import pytest
from confluent_kafka import Producer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from relay.telemetry.trace_context import TraceContext, trace_context, trace_id_of
from tests.support.embedded import whole_relay
from tests.support.kafka_admin import wait_for

pytestmark = pytest.mark.slow

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{PARENT}-01".encode()
NOT_SAMPLED = f"00-{TRACE}-{PARENT}-00".encode()


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([("traceparent", SAMPLED)], TraceContext(TRACE, PARENT, True)),
        ([("other", b""), ("traceparent", NOT_SAMPLED)], TraceContext(TRACE, PARENT, False)),
        ([("traceparent", SAMPLED + b"-more")], TraceContext(TRACE, PARENT, True)),
        ([("traceparent", None)], None),
        ([("traceparent", b"nonsense")], None),
        ([("traceparent", b"ff" + SAMPLED[2:])], None),
        ([("traceparent", f"00-{'0' * 32}-{PARENT}-01".encode())], None),
        ([("traceparent", f"00-{TRACE}-{'0' * 16}-01".encode())], None),
        ([], None),
    ],
)
def test_the_context_is_read_without_a_library(headers, found):
    assert trace_context(headers) == found
    assert trace_id_of(headers) == ("" if found is None else TRACE)


class Collector:
    """The receiving side of OTLP over HTTP."""

    def __init__(self):
        self.requests = []
        requests = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def spans(self):
        return [
            span
            for path, request in self.requests
            if path == "/v1/traces"
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.close()


def produced(whole, *records):
    producer = Producer({"bootstrap.servers": whole.kafka.bootstrap_servers, "log_level": 2})
    for value, traceparent in records:
        headers = [] if traceparent is None else [("traceparent", traceparent)]
        producer.produce("app-events", value, key=b"u", headers=headers, partition=0)
    assert producer.flush(30) == 0


def attributes(span):
    return {
        one.key: one.value.string_value
        if one.value.HasField("string_value")
        else one.value.int_value
        for one in span.attributes
    }


def test_a_trace_goes_from_the_producers_header_to_the_post(collector):
    settings = {"TRACING__ENABLED": "true", "TRACING__ENDPOINT": collector.url}
    with whole_relay(**settings) as whole:
        whole.sandbox.faults({"rules": [{"kind": "status", "status": 500, "times": 1}]})
        event = whole.feeder.event
        produced(
            whole,
            (event("user-1", 0), SAMPLED),
            (event("user-2", 0), NOT_SAMPLED),
            (event("user-3", 0), None),
            (b"{", SAMPLED),
        )
        whole.until_settled(4)
        open_metrics = {"accept": "application/openmetrics-text"}
        metrics = httpx.get(f"{whole.admin}/metrics", headers=open_metrics).text
        assert whole.relay.terminate() == 0
        (dead,) = whole.relay.said("record_dead_lettered")
    spans = collector.spans()
    processed = [span for span in spans if span.name == "process app-events"]
    (post,) = [span for span in spans if span.name == "POST"]
    delivered, died = sorted(
        processed, key=lambda span: attributes(span)["relay.fate"] != "delivered"
    )

    assert len(processed) == 2
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert {span.parent_span_id.hex() for span in processed} == {PARENT}
    assert post.parent_span_id == delivered.span_id
    assert attributes(delivered)["messaging.destination.name"] == "app-events"
    assert attributes(post)["http.response.status_code"] == 200
    assert (
        attributes(post)["http.request.resend_count"] == attributes(delivered)["relay.attempts"] - 1
    )
    assert attributes(died)["relay.code"] == "invalid_json"
    assert "user-1" not in str(spans)
    assert dead["trace_id"] == TRACE
    for histogram in ("relay_round_trip_seconds_bucket", "relay_lateness_seconds_bucket"):
        examples = [
            line for line in metrics.splitlines() if line.startswith(histogram) and " # " in line
        ]
        assert examples
        assert all(f'trace_id="{TRACE}"' in line for line in examples)


def test_events_that_travel_together_share_a_post_that_is_linked_to_each(collector):
    settings = {
        "TRACING__ENABLED": "true",
        "TRACING__ENDPOINT": collector.url,
        "DELIVERY__COALESCE__EVENTS_MAX": "50",
        "DELIVERY__MAX_IN_FLIGHT": "1",
    }
    with whole_relay(**settings) as whole:
        whole.sandbox.faults({"latency_ms": 300, "rules": []})
        app_events = []
        for number in range(6):
            document = json.loads(whole.feeder.event("user-1", number))
            document["session_status"] = "IN_SESSION"
            trace_id = f"{number + 1:032x}"
            app_events.append(
                (json.dumps(document).encode(), f"00-{trace_id}-{PARENT}-01".encode())
            )
        produced(whole, *app_events)
        whole.until_settled(6)
        assert whole.relay.terminate() == 0
    posts = [span for span in collector.spans() if span.name == "POST"]
    together = max(posts, key=lambda span: len(span.links))
    processed = {span.span_id for span in collector.spans() if span.name != "POST"}
    assert len(processed) == 6
    assert len(together.links) > 1
    assert {link.span_id for link in together.links} <= processed


def test_without_a_collector_spans_are_lost_and_events_are_not():
    settings = {"TRACING__ENABLED": "true", "TRACING__ENDPOINT": "http://127.0.0.1:1"}
    with whole_relay(**settings) as whole:
        produced(whole, *[(whole.feeder.event("user-1", n), SAMPLED) for n in range(20)])
        wait_for(lambda: whole.sandbox.summary()["events"] == 20, 30, "events are missing")
        assert whole.relay.terminate() == 0
