"""Where the tracking API is, how to log in to it, and the limits of each request."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from relay.errors import SettingsError
from relay.section import Section
from relay.stream.sending.token import Authorization, TokenFile, static_token
from relay.stream.sending.wire import WireKind, WirePolicy


def _parts(address: str) -> SplitResult | None:
    """The parts of an http or https address, or None for anything else."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        return None
    return parts if usable else None


def _base_url(value: str) -> str:
    parts = _parts(value)
    if parts is None:
        raise ValueError("must be an address such as https://api.mediarithmics.com")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must have no user name, query or fragment")
    return value.rstrip("/")


def _proxy(value: SecretStr | None) -> SecretStr | None:
    if value is not None and _parts(value.get_secret_value()) is None:
        raise ValueError("must be an address such as http://user:password@proxy:3128")
    return value


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""An address that paths can be put behind."""


class TrackingSettings(Section):
    """The destination of the stream: one datamart of the mediarithmics tracking API."""

    base_url: BaseUrl = Field(
        "https://api.mediarithmics.com",
        description="Address of the API; a path in it is kept in front of every request's.",
    )
    datamart_id: str = Field(
        pattern=r"^[0-9]{1,20}$",
        examples=["1234"],
        description="The datamart that the activities belong to.",
    )
    api_token: SecretStr | None = Field(
        None,
        description="The long-term API token of a service account. It is sent as it is in the "
        "`Authorization` header. Give this or `api_token_file`.",
    )
    api_token_file: Path | None = Field(
        None,
        description="A file that holds the API token and nothing else. It is read again within a "
        "second when it changes, so a token can be renewed without a restart.",
    )
    api_token_prefix: Annotated[str, StringConstraints(strip_whitespace=False)] = Field(
        "",
        pattern=r"^[\x20-\x7e]*$",
        description="Put in front of the token as it stands, for a gateway that wants a scheme: "
        "`api:`, or `Bearer` followed by a space (quoted, in YAML).",
    )
    wire: WireKind = Field(
        WireKind.FAST,
        description="The HTTP client: `fast` speaks HTTP/1.1; `httpx` can speak HTTP/2 and go "
        "through a proxy, and takes many times the CPU.",
    )
    connect_timeout_s: float = Field(
        5.0, gt=0, le=300, description="Longest wait for a connection, TLS included."
    )
    write_timeout_s: float = Field(
        15.0,
        gt=0,
        le=300,
        description="Longest stall while a request is written.",
    )
    read_timeout_s: float = Field(
        15.0, gt=0, le=300, description="Longest silence while an answer is awaited or read."
    )
    total_timeout_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="Longest time for an attempt, everything included. An attempt that ends this "
        "way may have been stored: it is sent again with the same `$unique_key`.",
    )
    keepalive_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="How long an idle connection is kept. Below what the servers and balancers on "
        "the way allow (60 s is common), so that it is never closed under a request.",
    )
    connection_max_age_s: float = Field(
        300.0,
        ge=1,
        le=86400,
        description="How old a connection gets (each up to a fifth less, so that they are not all "
        "replaced at once). New ones look the name up again and use the TLS files as they are.",
    )
    connections_max: int = Field(
        1024,
        ge=1,
        le=65535,
        description="Most connections at a time. At least as many as requests in flight: what "
        "waits for a connection holds its place in the limit.",
    )
    response_bytes_max: int = Field(
        256 * 1024,
        ge=1024,
        le=64 * 1024 * 1024,
        description="Longest response body that is read; reading stops there. What was read is "
        "still judged by its status and its beginning.",
    )
    http2: bool = Field(
        False,
        description="Offer HTTP/2 to an `https` address. Needs `wire: httpx` and the extra "
        "`http2`.",
    )
    proxy: Annotated[SecretStr | None, AfterValidator(_proxy)] = Field(
        None,
        examples=["http://user:password@proxy.example.com:3128"],
        description="An HTTP proxy to go through. Needs `wire: httpx`. The usual proxy variables "
        "are not looked at.",
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of authorities to trust, besides those of the system.",
    )
    client_cert_file: Path | None = Field(
        None, description="PEM file of the certificate to show to the server (mutual TLS)."
    )
    client_key_file: Path | None = Field(
        None,
        description="PEM file of its key, not encrypted, unless it stands in the same file.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in ("connect_timeout_s", "write_timeout_s", "read_timeout_s"):
            if getattr(self, name) > self.total_timeout_s:
                raise ValueError(f"{name} is longer than total_timeout_s, which would always win")
        if self.client_key_file is not None and self.client_cert_file is None:
            raise ValueError("client_key_file is given without client_cert_file")
        if self.wire is WireKind.FAST and (self.http2 or self.proxy is not None):
            name = "http2" if self.http2 else "proxy"
            raise ValueError(f"{name} needs wire: httpx (the fast one is plain HTTP/1.1)")
        return self

    def authorization(self) -> Authorization:
        """The token's source. Reads the token file, so that a wrong one shows at the start."""
        if self.api_token_file is not None:
            return TokenFile(self.api_token_file, prefix=self.api_token_prefix)
        if self.api_token is None:
            raise SettingsError(
                "tracking.api_token is missing",
                hint="set tracking.api_token_file, or RELAY_TRACKING__API_TOKEN in the environment",
            )
        return static_token(self.api_token.get_secret_value(), prefix=self.api_token_prefix)

    def wire_policy(self) -> WirePolicy:
        """What `relay.stream.sending.open_wire.open_wire` needs."""
        return WirePolicy(
            base_url=self.base_url,
            authorization=self.authorization(),
            kind=self.wire,
            connect_timeout_s=self.connect_timeout_s,
            write_timeout_s=self.write_timeout_s,
            read_timeout_s=self.read_timeout_s,
            total_timeout_s=self.total_timeout_s,
            keepalive_s=self.keepalive_s,
            connection_max_age_s=self.connection_max_age_s,
            connections_max=self.connections_max,
            response_bytes_max=self.response_bytes_max,
            http2=self.http2,
            proxy_url=None if self.proxy is None else self.proxy.get_secret_value(),
            ca_file=self.ca_file,
            client_cert_file=self.client_cert_file,
            client_key_file=self.client_key_file,
        )
