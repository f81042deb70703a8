"""Requests to the API and its answers back: the one outside thing that the hot path talks to.

`send` gives an `Answer` for everything that can happen to an attempt and never raises, except
that cancelling it cancels the request. Two implementations are held to one contract test
(`tests/stream/sending/test_wire_contract.py`):

    fast    pyreqwest, a Rust client with a thread of its own: the default
            (docs/adr/0002-fast-wire.md)
    httpx   pure Python, several times slower; takes any httpx transport, an ASGI app included

What both do: keep connections alive and never open more than `connections_max`; refuse redirects
(the 3xx is the answer, so credentials never leave for another host); decode gzip; stop reading
at `response_bytes_max`; look at no proxy and no credential of the environment.

Response headers that come several times are joined with a comma. A value outside ASCII has no
agreed meaning (RFC 9110, 5.5) and is left out.

HTTP/2 is negotiated over `https` when `http2` is set; over plain `http` both speak HTTP/1.1.

Where the two differ:

- A cancelled attempt, or one that `close` cuts short, is given up at once by both. httpx closes
  its connection at once as well; the fast client finishes the exchange in its own thread, at most
  until `total_timeout_s`. Either way such an attempt may have arrived.
- The fast client has no limit of its own for writing: a stalled write ends with `read_timeout_s`.
- httpx speaks HTTP/2 only with the extra `http2`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from relay import __version__
from relay.model import Answer, Request
from relay.stream.sending.token import Authorization

DETAIL_CHARS_MAX = 300


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
    connections_max: int = 1024
    response_bytes_max: int = 256 * 1024
    http2: bool = False
    proxy_url: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    user_agent: str = f"mics-relay/{__version__}"


def detail(*messages: str) -> str:
    """One bounded line out of what a client library says, innermost cause last.

    A message that holds an address is left out: paths can name a user.
    """
    seen: list[str] = []
    for message in messages:
        line = " ".join(message.split())
        if line and "://" not in line and not any(line in earlier for earlier in seen):
            seen.append(line)
    return ": ".join(seen)[:DETAIL_CHARS_MAX]
