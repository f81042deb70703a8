"""The sandbox in a thread of its own, for commands that run an event loop themselves."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from relay.sandbox.app import create_app
from relay.sandbox.options import SandboxOptions
from relay.sandbox.server import serve


@contextmanager
def sandbox_thread(**options: object) -> Iterator[str]:
    """Serve a sandbox; its base address."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()
    urls: list[str] = []

    async def run() -> None:
        async with serve(create_app(SandboxOptions(**options))) as url:  # type: ignore[arg-type]
            urls.append(url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(60)
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()
