"""The admin port with clients that open connections and do not go on."""

import asyncio
import contextlib

import pytest

from relay.telemetry import admin_limits
from relay.telemetry.admin import admin_app, new_registry, serve_admin
from tests.telemetry.test_admin import Pipeline

PROBE = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"


@contextlib.asynccontextmanager
async def served(app):
    """Opens connections to an admin port, and closes what is left of them."""
    async with serve_admin(app, "127.0.0.1", 0) as address:
        port = int(address.rpartition(":")[2])
        async with contextlib.AsyncExitStack() as stack:

            async def connect():
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.push_async_callback(closed, writer)
                return reader, writer

            yield connect


@pytest.fixture
async def connect():
    pipeline = Pipeline()
    async with served(admin_app(pipeline, new_registry(pipeline))) as connect:
        yield connect


async def silent(scope, receive, send):
    """Reads requests to their end, and answers none."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.Event().wait()


async def closed(writer):
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def ended(reader):
    """Wait until the server has cut this connection."""
    with contextlib.suppress(ConnectionError):
        # Sooner than uvicorn closes what is idle, which is no cut.
        async with asyncio.timeout(30):
            while await reader.read(65536):
                pass


async def asked(reader, writer):
    writer.write(PROBE)
    return await reader.readline()


@pytest.mark.parametrize(
    "start",
    [b"", b"GET /livez HTTP/1.1\r\nhost:", b"POST /login HTTP/1.1\r\ncontent-length: 9\r\n\r\nto"],
    ids=["nothing", "half of the headers", "half of the body"],
)
async def test_a_request_that_does_not_come_to_its_end_is_cut(monkeypatch, start):
    monkeypatch.setattr(admin_limits, "REQUEST_S", 0.05)
    async with served(silent) as connect:
        reader, writer = await connect()
        writer.write(start)
        await ended(reader)


async def test_a_later_request_of_a_connection_has_the_same_time(monkeypatch, connect):
    reader, writer = await connect()
    assert await asked(reader, writer) == b"HTTP/1.1 200 OK\r\n"
    monkeypatch.setattr(admin_limits, "REQUEST_S", 0.05)
    writer.write(PROBE[:20])
    await ended(reader)


async def test_an_answer_that_is_not_handed_over_in_time_is_cut(monkeypatch):
    monkeypatch.setattr(admin_limits, "ANSWER_S", 0.05)
    async with served(silent) as connect:
        reader, writer = await connect()
        writer.write(PROBE)
        await ended(reader)


async def test_headers_without_an_end_are_cut(monkeypatch, connect):
    reader, writer = await connect()
    writer.write(b"GET /livez HTTP/1.1\r\n" + b"x: y\r\n" * admin_limits.HEADERS_BYTES_MAX)
    await ended(reader)


async def test_idle_connections_keep_no_probe_out(monkeypatch, connect):
    monkeypatch.setattr(admin_limits, "CONNECTIONS_MAX", 3)
    first, *others = [await connect() for _ in range(3)]
    assert await asked(*first) == b"HTTP/1.1 200 OK\r\n"
    newest = await connect()
    assert await asked(*newest) == b"HTTP/1.1 200 OK\r\n"
    await ended(others[0][0])
    assert await asked(*others[1]) == b"HTTP/1.1 200 OK\r\n"
