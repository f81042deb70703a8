"""Serves an ASGI application on a real socket inside the running event loop.

For tests, for `relay demo` and for the command. Uvicorn's protocol does the HTTP; the lifecycle
is ours, because the sandbox starts and stops within other programs: no signal handlers, no
polling, no output.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from relay.errors import InputError
from relay.sandbox.fault_middleware import CLOSE
from relay.sandbox.state import State

# How long answers that are under way may take once the sandbox is asked to stop.
GRACE_S = 1.0
BACKLOG = 2048


@asynccontextmanager
async def serve(app: Starlette, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `app` for the time of the `async with`, whose value is the base address."""
    listener = _listen(host, port)
    config = uvicorn.Config(
        app,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="error",  # a defect of a handler is told, nothing else
        access_log=False,
        proxy_headers=False,
        date_header=False,  # uvicorn renews it by polling
        timeout_keep_alive=75,  # what a usual load balancer has: clients must cope with the end
    )
    config.load()
    server_state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(config, server_state, {}), sock=listener, backlog=BACKLOG
    )
    address, bound = listener.getsockname()[:2]
    try:
        yield f"http://[{address}]:{bound}" if ":" in address else f"http://{address}:{bound}"
    finally:
        server.close()
        state: State = app.state.sandbox
        state.closing.set()
        await _drain(server_state)
        state.closing.clear()
        await server.wait_closed()


class _Connection(HttpToolsProtocol):
    """Uvicorn's connection, which the application may close without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # The loop does so only for sockets that name their protocol. An answer leaves in two
        # writes; without this the second waits 40 ms for the client to acknowledge the first.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app = _Closable(self.app, transport)


class _Closable:
    """The application as one connection sees it."""

    def __init__(self, app: ASGIApp, transport: asyncio.Transport) -> None:
        self._app = app
        self._transport = transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[CLOSE] = self._transport.close
        await self._app(scope, receive, send)


async def _drain(server_state: ServerState) -> None:
    for connection in list(server_state.connections):
        connection.shutdown()
    if server_state.tasks:
        await asyncio.wait(list(server_state.tasks), timeout=GRACE_S)
    for connection in list(server_state.connections):
        transport = connection.transport
        if transport is not None:
            transport.abort()
    if server_state.tasks:  # an aborted connection ends the request that reads from it
        await asyncio.wait(list(server_state.tasks), timeout=GRACE_S)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(place[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "the address is taken" if taken else str(error.strerror)
        raise InputError(
            f"the sandbox cannot listen on {host}:{port}: {why}",
            hint="choose another with --host and --port; port 0 takes a free one",
        ) from None
