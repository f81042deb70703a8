"""OpenTelemetry's SDK: spans → a collector, over OTLP and HTTP. Needs the extra `otel`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from relay.errors import SettingsError, install

if TYPE_CHECKING:  # an extra: imported where it is used
    from opentelemetry.trace import Tracer

_FLUSH_MS = 2000  # a collector that does not answer holds up the end for no longer


@contextlib.asynccontextmanager
async def open_tracer(endpoint: str, resource: Mapping[str, str]) -> AsyncIterator["Tracer"]:
    """A tracer while the block runs; what is left is sent at its end, for two seconds at most.

    Spans are sent by a thread of the SDK. When the collector is away they are lost, and the stream
    does not wait.

    Raises:
        SettingsError: The extra is not installed.
    """
    try:
        import requests  # noqa: PLC0415 - the exporter's own HTTP client
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415
    except ImportError:
        raise SettingsError(
            "tracing.enabled: OpenTelemetry is not installed",
            hint=install("otel"),
        ) from None
    # Which events are traced was decided before a span is asked for.
    provider = TracerProvider(
        sampler=ALWAYS_ON, resource=Resource(dict(resource)), shutdown_on_exit=False
    )
    session = requests.Session()
    session.trust_env = False  # as every client here: no proxy of the environment, no .netrc
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=5, session=session)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider.get_tracer("relay")
    finally:
        await asyncio.to_thread(provider.force_flush, _FLUSH_MS)
