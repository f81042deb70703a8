"""A TCP server on loopback, whose connections are cut off when its test is over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def stream_server(serve: Serve, **options: Any) -> AsyncIterator[int]:
    """Call `serve` for each connection to a free port, which is given; `options` of asyncio's."""
    tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
    async with asyncio.TaskGroup() as group:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks[group.create_task(serve(reader, writer))] = writer

        server = await asyncio.start_server(accept, "127.0.0.1", 0, **options)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task, writer in tasks.items():
                task.cancel()
                writer.transport.abort()  # a task that never began closes nothing
