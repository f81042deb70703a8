"""An HTTP/2 server over TLS on a real socket that answers every request with a small JSON."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from tests.support.stream_server import stream_server

BODY = b'{"status":"ok"}'


@dataclass
class H2Server:
    """What the server saw: a mapping of (pseudo-)headers for each request."""

    port: int = 0
    connections: int = 0
    requests: list[dict[bytes, bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        state = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        state.initiate_connection()
        writer.write(state.data_to_send())
        try:
            while data := await reader.read(65536):
                for event in state.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        self.requests.append(dict(event.headers))
                    elif isinstance(event, h2.events.StreamEnded):
                        self._answer(state, event.stream_id)
                writer.write(state.data_to_send())
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    def _answer(self, state: h2.connection.H2Connection, stream: int) -> None:
        headers = [
            (":status", "200"),
            ("content-type", "application/json"),
            ("content-length", str(len(BODY))),
            ("retry-after", "5"),
        ]
        state.send_headers(stream, headers)
        state.send_data(stream, BODY, end_stream=True)


@contextlib.asynccontextmanager
async def h2_server(context: ssl.SSLContext) -> AsyncIterator[H2Server]:
    """A running server on a free port that speaks HTTP/2 and nothing else."""
    context.set_alpn_protocols(["h2"])
    state = H2Server()
    async with stream_server(state.serve, ssl=context) as state.port:
        yield state
