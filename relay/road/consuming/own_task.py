"""A task that the source begins, looks after and ends by its own calls.

Its parent is the source, which raises what ends it and awaits its end: a task group cannot span two
methods.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class OwnTask:
    """One task between `start` and `stop`; `check` raises what ended it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin; once before each `stop`."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(work, name=self._name)

    @property
    def is_begun(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._task is not None

    def check(self) -> None:
        """Raise the defect that ended the task, if one did."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """End it, and wait until it has ended. Raises the defect that had ended it before."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
