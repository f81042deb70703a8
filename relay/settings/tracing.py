"""Which events are traced, and where spans go."""

from pydantic import Field

from relay.base_url import BaseUrl
from relay.section import Section


class TracingSettings(Section):
    """Spans by OpenTelemetry. Needs the extra `otel`."""

    enabled: bool = Field(
        False,
        description="Make spans of events whose producer says that they are sampled "
        "(header `traceparent`).",
    )
    endpoint: BaseUrl = Field(
        "http://localhost:4318",
        description="Collector of OTLP over HTTP; spans are posted to `/v1/traces` below it.",
    )
    ratio: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Which share of the events is traced whose producer says nothing.",
    )
