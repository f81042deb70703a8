"""A file of many profiles or choices → one PUT a line: bounded, each user in order, resumable.

What is finished is kept in a small file, so that a run that was cut short goes on where every
line before is finished. A line that is done again after that changes nothing: the later lines of
its user are done again, too.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay.apis.errors import NotThere, Refused
from relay.apis.mediarithmics_user_points import failure_code
from relay.disk import disk_errors
from relay.errors import InputError
from relay.model import Request, Unmappable

CONCURRENCY = 16  # PUTs at a time: a stream may send to the same API meanwhile
# Lines read ahead: enough that a user with many lines leaves work for the others.
_OPEN_MAX = 40 * CONCURRENCY
_KEEP_EVERY_S = 1.0  # what is done again after a crash; each line again changes nothing

Line = tuple[int, bytes]
Put = Callable[[Request], Awaitable[Any]]


@dataclass(slots=True)
class Tally:
    """What became of the lines so far."""

    lines: int = 0
    done: int = 0
    failed: dict[str, int] = field(default_factory=dict)

    @property
    def failed_lines(self) -> int:
        """How many lines failed."""
        return sum(self.failed.values())


class Progress:
    """The line from which a run goes on; kept in a file when there is one.

    It counts for a file of the same size only: another file has other lines.
    """

    def __init__(self, file: Path | None, source_bytes: int) -> None:
        self._file = file
        self._source_bytes = source_bytes
        self._open: dict[int, None] = {}
        self._last = 0
        self.first = 1 if file is None else self._read(file)

    @property
    def next_line(self) -> int:
        """The first line that is not finished."""
        return next(iter(self._open), max(self._last + 1, self.first))

    def began(self, number: int) -> None:
        """A line is under way."""
        self._open[number] = None
        self._last = number

    def finished(self, number: int) -> None:
        """A line is done, or has failed for good."""
        del self._open[number]

    def keep(self) -> None:
        """Write it down; whole or not at all."""
        if self._file is None:
            return
        text = json.dumps({"source_bytes": self._source_bytes, "next_line": self.next_line})
        new = self._file.with_name(f"{self._file.name}.new")
        with disk_errors(self._file):
            new.write_text(f"{text}\n", encoding="utf-8")
            new.replace(self._file)

    def forget(self) -> None:
        """The run is complete."""
        if self._file is not None:
            with disk_errors(self._file):
                self._file.unlink(missing_ok=True)

    def _read(self, file: Path) -> int:
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            size, line = int(kept["source_bytes"]), int(kept["next_line"])
        except FileNotFoundError:
            return 1
        except (OSError, ValueError, TypeError, KeyError):
            raise InputError(
                f"{file} is no progress of an earlier run", hint="name another file, or delete it"
            ) from None
        if size != self._source_bytes:
            raise InputError(
                f"{file} is about a file of {size} bytes, this one has {self._source_bytes}",
                hint="give the same file again, or delete the progress file to begin anew",
            )
        return line


@dataclass(slots=True)
class FileRun:
    """One run over the lines of a file."""

    put: Put
    read: Callable[[bytes, int], Request | Unmappable]
    progress: Progress
    fail: Callable[[int, str, str], None]
    advance: Callable[[int, int], None]
    tally: Tally = field(default_factory=Tally)
    _lanes: dict[str | None, deque[tuple[int, Request]]] = field(default_factory=dict)
    _kept_at: float = 0.0

    async def through(self, lines: AsyncIterator[Line]) -> None:
        """Put every line. Raises what stops all of them: no answer, no access."""
        room = asyncio.Semaphore(_OPEN_MAX)
        slots = asyncio.Semaphore(CONCURRENCY)
        try:
            async with asyncio.TaskGroup() as tasks:
                async for number, line in lines:
                    self.advance(number, len(line))
                    if number < self.progress.first:
                        continue
                    await room.acquire()
                    self._take(number, line, tasks, room, slots)
        finally:
            self.progress.keep()
        self.progress.forget()

    def _take(
        self,
        number: int,
        line: bytes,
        tasks: asyncio.TaskGroup,
        room: asyncio.Semaphore,
        slots: asyncio.Semaphore,
    ) -> None:
        self.tally.lines += 1
        self.progress.began(number)
        update = self.read(line, number)
        if isinstance(update, Unmappable):
            self._failed(number, update.code, update.reason)
            self._finish(number, room)
            return
        # A user's lines are put one after another: the first begins a task for that user, and those
        # that come meanwhile wait behind it. Different users go side by side.
        waiting = self._lanes.get(update.user)
        if waiting is not None:
            waiting.append((number, update))
            return
        self._lanes[update.user] = deque([(number, update)])
        tasks.create_task(self._drain(update.user, room, slots))

    async def _drain(
        self, user: str | None, room: asyncio.Semaphore, slots: asyncio.Semaphore
    ) -> None:
        """The lines of one user, one after another."""
        waiting = self._lanes[user]
        while waiting:
            number, request = waiting.popleft()
            async with slots:
                try:
                    await self.put(request)
                except (Refused, NotThere) as error:
                    self._failed(number, failure_code(error), error.problem)
                else:
                    self.tally.done += 1
            self._finish(number, room)
        del self._lanes[user]

    def _failed(self, number: int, code: str, reason: str) -> None:
        self.tally.failed[code] = self.tally.failed.get(code, 0) + 1
        self.fail(number, code, reason)

    def _finish(self, number: int, room: asyncio.Semaphore) -> None:
        self.progress.finished(number)
        room.release()
        now = asyncio.get_running_loop().time()
        if now - self._kept_at >= _KEEP_EVERY_S:
            self._kept_at = now
            self.progress.keep()
