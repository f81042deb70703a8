"""Where health, metrics and status are served."""

from pydantic import Field, SecretStr

from relay.base_url import HostName
from relay.section import Section


class AdminSettings(Section):
    """The admin port: /livez, /readyz, /metrics and /status, and the live page at `/`."""

    host: HostName = Field(
        "127.0.0.1",
        description="Address to listen on. In a container: `0.0.0.0`, so that probes reach it.",
    )
    port: int = Field(
        9464,
        ge=0,
        le=65535,
        description="Port to listen on; 0 takes a free one and logs which.",
    )
    token: SecretStr | None = Field(
        None,
        min_length=8,
        description="What the live page asks for where `host` is not this machine's own, and "
        "everywhere before dead letters are sent again or content is shown. Without it there is no "
        "page beyond this machine. Probes, /metrics and /status never need it.",
    )
