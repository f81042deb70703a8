"""Requests to the API and its answers back: the one outside thing that the hot path talks to.

`send` gives an `Answer` for everything that can happen to an attempt and never raises, except
that cancelling it cancels the request. Two implementations are held to one contract test
(`tests/stream/sending/test_wire_contract.py`):

    fast    HTTP/1.1 in the event loop's own thread (`wire_http1.py`): the default
            (docs/adr/0006-own-wire.md)
    httpx   several times the CPU; speaks HTTP/2, goes through proxies, takes any httpx transport,
            an ASGI app included

What both do: keep connections alive and never open more than `connections_max`; replace them when
they are older than `connection_max_age_s`; read the TLS files again when these change; refuse
redirects (the 3xx is the answer, so credentials never leave for another host); decode gzip and
deflate; stop reading at `response_bytes_max`; close the connection of an attempt that is
cancelled or cut short by `close` (such an attempt may have arrived); look at no proxy and no
credential of the environment.

Response headers that come several times are joined with a comma. A value outside ASCII has no
agreed meaning (RFC 9110, 5.5) and is left out.

Where the two differ:

- HTTP/2 and proxies: `httpx` only. With `fast` they are a `SettingsError`: several
  times the CPU must be somebody's choice.
- Bytes that follow an answer, or come before a request, close the connection with `fast`. httpx
  takes them for the answer to the next request, as h11 does.
- A connection that answers 5xx several times in a row is closed by `fast` only.
- `fast` refuses more than 64 KiB of headers with `too_large`; `httpx` more than 100 KiB, with
  `broken`.
"""

from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol, Self

from pydantic import Field, model_validator

from relay import __version__
from relay.base_url import BaseUrl, ProxyUrl
from relay.model import Answer, Request
from relay.section import Section


class Wire(Protocol):
    """Sends requests to one destination. Belongs to one event loop."""

    async def send(self, request: Request) -> Answer:
        """One attempt. Never raises, except `CancelledError` when it is cancelled."""
        ...

    async def close(self) -> None:
        """Ends all connections. Requests still in flight are answered `broken`; so is any later."""
        ...


class WireKind(StrEnum):
    """Which HTTP client carries the requests."""

    FAST = "fast"
    HTTPX = "httpx"


class WirePolicy(Section):
    """Where requests go, and every limit on the way.

    A total of `total_timeout_s` covers waiting for a connection, connecting, writing and reading;
    `read_timeout_s` is the longest silence while an answer is awaited or read.
    """

    base_url: BaseUrl = Field(
        "https://api.mediarithmics.com",
        description="Address of the API; a path in it is kept in front of every request's.",
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
    proxy: ProxyUrl | None = Field(
        None,
        examples=["https://user:password@proxy.example.com:3128"],
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

    user_agent: ClassVar[str] = f"mics-relay/{__version__}"

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
