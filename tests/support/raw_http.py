"""An HTTP/1.1 server on a real socket that a test scripts down to the byte.

It shares nothing with the clients it is there to try: requests are read by hand, answers are
written by the test.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from tests.support.stream_server import stream_server

OK_BODY = b'{"status":"ok","data":{}}'


@dataclass(frozen=True)
class Seen:
    """A request as the server got it; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Exchange:
    """One request, and the means to answer it."""

    seen: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "RawServer"

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def respond(
        self,
        status: int = 200,
        body: bytes = OK_BODY,
        headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
    ) -> None:
        await self.send(response(status, body, headers))

    def cut(self) -> None:
        """Close the connection as a crash would: with a reset."""
        self.writer.transport.abort()

    def hang_up(self) -> None:
        """Close the connection politely."""
        self.writer.close()


Script = Callable[[Exchange], Awaitable[None]]


def response(
    status: int = 200,
    body: bytes = OK_BODY,
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
) -> bytes:
    lines = [f"HTTP/1.1 {status} Some Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def answer_ok(exchange: Exchange) -> None:
    await exchange.respond()


@dataclass
class RawServer:
    """What the server saw. Conditions can be waited for, so no test has to sleep."""

    script: Script
    port: int = 0
    scheme: str = "http"
    connections: int = 0
    open_now: int = 0
    open_most: int = 0
    ended: int = 0
    requests: list[Seen] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def until(self, holds: Callable[["RawServer"], bool]) -> None:
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: holds(self))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        await self._tell()
        try:
            while (seen := await read_request(reader, number)) is not None:
                self.requests.append(seen)
                await self._tell()
                await self.script(Exchange(seen, reader, writer, self))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_now -= 1
            self.ended += 1
            writer.transport.abort()
            await self._tell()


async def read_request(reader: asyncio.StreamReader, connection: int) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, value = line.split(":", 1)
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, target, headers, body, connection)


@contextlib.asynccontextmanager
async def raw_server(
    script: Script = answer_ok, *, context: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """A running server on a free port; whatever is still open at the end is cut off."""
    state = RawServer(script, scheme="http" if context is None else "https")
    async with stream_server(state.serve, ssl=context, backlog=1024, limit=2**20) as state.port:
        yield state
