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

- HTTP/2 and proxies: `httpx` only. With `fast` they are a `SettingsError`: nobody shall pay
  several times the CPU without having chosen it.
- Bytes that follow an answer, or come before a request, close the connection with `fast`. httpx
  takes them for the answer to the next request, as h11 does.
- A connection that answers 5xx several times in a row is closed by `fast` only.
- `fast` refuses more than 64 KiB of headers with `too_large`; `httpx` more than 100 KiB, with
  `broken`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from relay import __version__
from relay.model import Answer, Request
from relay.stream.sending.token import Authorization


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


@dataclass(frozen=True, slots=True)
class WirePolicy:
    """Where requests go, with which credentials, and every limit on the way.

    A total of `total_timeout_s` covers waiting for a connection, connecting, writing and reading;
    `read_timeout_s` is the longest silence while an answer is awaited or read.
    """

    base_url: str
    authorization: Authorization
    kind: WireKind = WireKind.FAST
    connect_timeout_s: float = 5.0
    write_timeout_s: float = 15.0
    read_timeout_s: float = 15.0
    total_timeout_s: float = 30.0
    keepalive_s: float = 30.0
    connection_max_age_s: float = 300.0
    connections_max: int = 1024
    response_bytes_max: int = 256 * 1024
    http2: bool = False
    proxy_url: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    user_agent: str = f"mics-relay/{__version__}"
