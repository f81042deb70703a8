"""Numbered lines of a file → an asynchronous stream of them, so that a slow pipe stops nothing."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Iterable

_AHEAD_MAX = 2_000  # lines read before they are sent: a file may be larger than memory

Line = tuple[int, bytes]


async def fed(lines: Iterable[Line]) -> AsyncGenerator[Line]:
    """The lines as they come, read in a thread, at most so many ahead.

    The thread is a daemon: one that waits for a terminal must not keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    come: asyncio.Queue[Line | BaseException | None] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD_MAX)
    stopped = threading.Event()

    def hand_over(item: Line | BaseException | None) -> None:
        if not stopped.is_set():
            with contextlib.suppress(RuntimeError):  # the loop ended meanwhile
                loop.call_soon_threadsafe(come.put_nowait, item)

    def read() -> None:
        try:
            for line in lines:
                room.acquire()
                if stopped.is_set():
                    return
                hand_over(line)
        except Exception as error:  # noqa: BLE001 - raised where the lines are used
            hand_over(error)
        else:
            hand_over(None)

    threading.Thread(target=read, name="lines", daemon=True).start()
    try:
        while (item := await come.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            room.release()
            yield item
    finally:
        stopped.set()
        room.release()
