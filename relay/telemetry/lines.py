"""Finished lines of the log → a byte stream. The event loop never waits for whoever reads it.

Standard output is often a pipe, and a pipe whose reader has stopped blocks whoever writes to it.
So lines for it wait in a bounded queue, and a thread of its own writes them. What does not fit is
lost and counted; `LogLinesLost` tells the number when the reader is back.

Making the descriptor non-blocking instead would change it for every process that shares it.
"""

import atexit
import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

_BYTES_MAX = 4 * 1024 * 1024
"""Lines that wait for a reader: some ten thousand of them."""

_BATCH_BYTES = 64 * 1024
"""What is written at once: as much as a pipe of Linux holds."""

_AT_EXIT_S = 1.0  # as `process_exit.LAST_WORDS_S`: a reader that stopped must not hold up the end
_STANDARD = (1, 2)


class DirectLines:
    """Writes to a stream that nobody reads from meanwhile: a file, or memory.

    A stream that fails costs lines, never records.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.lost = 0

    def msg(self, line: bytes | str) -> None:
        """Write one line now."""
        try:
            self._stream.write(_ended(line))
            self._stream.flush()
        except (OSError, ValueError):  # full disk, closed file
            self.lost += 1

    debug = info = warning = error = msg


class QueuedLines:
    """Writes to a descriptor that may block, from a thread of its own.

    `tell` is called in that thread with the number of lost lines, after one was written again;
    a line that it writes goes before those that wait.
    """

    def __init__(self, descriptor: int, *, bytes_max: int = _BYTES_MAX) -> None:
        self.tell: Callable[[int], None] | None = None
        self._descriptor = descriptor
        self._bytes_max = bytes_max
        self._waiting: deque[bytes] = deque()
        self._bytes = 0  # waiting, or being written
        self.lost = 0
        """Lines that did not fit, or could not be written."""
        self._torn = False  # the last write ended within a line
        # Its lock can be taken twice by one thread: a signal handler may write and flush.
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        _queues.append(self)
        atexit.register(self.flush, _AT_EXIT_S)

    def msg(self, line: bytes | str) -> None:
        """Queue one line, or count it as lost. Never waits."""
        data = _ended(line)
        with self._changed:
            # Where a line goes:
            #
            #     of the writing thread  first: it tells of lost lines, and must not be lost itself
            #     no room                nowhere: lost, and counted
            #     else                   last
            if threading.current_thread() is self._thread:
                self._waiting.appendleft(data)
            elif self._bytes + len(data) > self._bytes_max:
                self.lost += 1
                return
            else:
                self._waiting.append(data)
            self._bytes += len(data)
            self._changed.notify_all()

    debug = info = warning = error = msg

    def flush(self, within_s: float) -> None:
        """Wait until all is written, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes, within_s)

    def _run(self) -> None:
        told = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                batch = self._batch()
            rest = self._write(batch)
            with self._changed:
                self._bytes -= len(batch)
                self.lost += rest.count(b"\n")
                self._changed.notify_all()
                lost = self.lost
            if not rest and lost > told and self.tell is not None:
                self.tell(lost - told)
                told = lost

    def _batch(self) -> bytes:
        taken = []
        size = 0
        while self._waiting and size < _BATCH_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1])
        return b"".join(taken)

    def _write(self, data: bytes) -> bytes:
        """What could not be written of `data`."""
        if self._torn:
            with contextlib.suppress(OSError):
                self._torn = os.write(self._descriptor, b"\n") == 0
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another process made it non-blocking
                select.select((), (self._descriptor,), ())
            except OSError:  # full disk, a reader that is gone
                break
        written = data[: len(data) - len(rest)]
        self._torn = not written.endswith(b"\n") if written else self._torn
        return bytes(rest)


_queues: list[QueuedLines] = []


Lines = DirectLines | QueuedLines
"""Takes finished lines, without their ends; counts in `lost` what cannot be written."""


def lines_on(stream: BinaryIO) -> Lines:
    """A queue before standard output and standard error; other streams are written directly."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # memory, or closed
        return DirectLines(stream)
    return QueuedLines(descriptor) if descriptor in _STANDARD else DirectLines(stream)


def flush_lines(within_s: float) -> None:
    """Wait until the queues are written, at most so long for each; for the end of the process."""
    for queue in _queues:
        queue.flush(within_s)


def _ended(line: bytes | str) -> bytes:
    return (line if isinstance(line, bytes) else line.encode(errors="replace")) + b"\n"
