"""Health, metrics and status over HTTP, from inside the running loop.

`GET /livez` `/readyz` (200 or 503, with the reason), `/metrics` (Prometheus), `/status` (JSON),
and with a `View` the live page at `/` (`relay.telemetry.page`).
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import uvicorn
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.errors import SettingsError
from relay.telemetry.access import Access
from relay.telemetry.admin_limits import BoundedConnection
from relay.telemetry.health import StatusSource
from relay.telemetry.page import page_routes
from relay.telemetry.plain import plain
from relay.telemetry.recent import Recent
from relay.telemetry.replay_route import Replay, replay_route
from relay.telemetry.tap_route import OpenTap, tap_route
from relay.telemetry.troubles import troubles

_BACKLOG = 16  # connections that wait to be accepted: probes and a scrape
_CLOSE_S = 1  # for answers under way at the end; the stop's deadline is over by then


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows beside the state of the roads."""

    access: Access
    recent: Recent
    about: Mapping[str, Any]
    """What does not change while the process runs: version, group, topics."""
    settings: dict[str, Any]
    """All of them, with secrets masked. Changed in place when others hold."""
    open_tap: OpenTap | None = None
    send_again: Replay | None = None
    """Where there is a dead-letter topic that letters can be taken from."""


def admin_app(
    source: StatusSource, registry: CollectorRegistry, view: View | None = None
) -> Starlette:
    """The routes. `registry` is read at each /metrics. Without a view there is no page."""

    async def livez(_request: Request) -> Response:
        said = source.liveness()
        return _json({"alive": said.ok, "reason": said.reason}, ok=said.ok)

    async def readyz(_request: Request) -> Response:
        said = source.readiness()
        return _json({"ready": said.ok, "reason": said.reason}, ok=said.ok)

    async def status(_request: Request) -> Response:
        said = dict(source.status())
        if view is not None:
            ready = source.readiness()
            said = {
                "process": {**view.about, "ready": ready.ok, "ready_reason": ready.reason},
                "troubles": troubles(said, "" if ready.ok else ready.reason),
                **said,
                "recent": view.recent.status(),
            }
        return _json(said)

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return Starlette(
        routes=[
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/status", status),
            Route("/metrics", metrics),
            *([] if view is None else _routes_of(view)),
        ]
    )


def _routes_of(view: View) -> list[Route]:
    routes = page_routes(view.access, view.settings)
    if view.open_tap is not None:
        routes.append(tap_route(view.access, view.open_tap))
    if view.send_again is not None:
        routes.append(replay_route(view.access, view.send_again))
    return routes


def new_registry(source: StatusSource) -> CollectorRegistry:
    """A registry of its own, not the library's global one, that asks `source` at each scrape."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Snapshot(source))
    return registry


@contextlib.asynccontextmanager
async def serve_admin(app: Starlette, host: str, port: int) -> AsyncIterator[str]:
    """Serve `app` while the block runs; gives the address. A port that is taken is an error."""
    listener = _listen(host, port)
    address = _address(listener)
    server = _Server(
        uvicorn.Config(
            app,
            loop="none",  # the loop runs already
            http=BoundedConnection,
            lifespan="off",  # the app has none
            log_config=None,  # our log takes what it has to say, from WARNING on
            access_log=False,  # a probe every few seconds is no news
            ws="none",
            timeout_keep_alive=75,  # longer than any usual scrape interval
            timeout_graceful_shutdown=_CLOSE_S,
            server_header=False,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listener]), name="admin")
        try:
            yield address
        finally:
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await serving
            listener.close()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: SIGTERM starts our drain and nothing else."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Snapshot(Collector):
    """Hands a scrape on to the pipeline."""

    def __init__(self, source: StatusSource) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        return self._source.metrics()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(place[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is taken by another process" if taken else f"cannot be used: {error.strerror}"
        raise SettingsError(
            f"admin: {host}:{port} {why}",
            hint="set RELAY_ADMIN__HOST and RELAY_ADMIN__PORT; port 0 takes a free one",
        ) from None


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _json(body: object, *, ok: bool = True) -> Response:
    # Codes are members of enumerations, which orjson takes for keys only when told so.
    try:
        content = orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # the name of a file, say, in bytes that are no UTF-8
        content = orjson.dumps(plain(body), option=orjson.OPT_NON_STR_KEYS)
    return Response(content, 200 if ok else 503, media_type="application/json")
