"""Which events are traced, and where spans go."""

from pydantic import Field

from relay.section import Section


class TracingSettings(Section):
    """Spans by OpenTelemetry. Needs the extra `otel`."""

    enabled: bool = Field(
        False,
        description="Make spans of events whose producer says that they are sampled "
        "(header `traceparent`).",
    )
    endpoint: str = Field(
        "http://localhost:4318",
        pattern=r"^https?://[^/\s@]+(/\S*)?$",
        description="Collector of OTLP over HTTP; spans are posted to `/v1/traces` below it.",
    )
    ratio: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Which share of the events is traced whose producer says nothing.",
    )
