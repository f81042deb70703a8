"""An event loop whose clock jumps: whenever everything waits, it is already later."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

SPINS_MAX = 50_000


class NothingWillHappen(Exception):
    """Everything waits and no timer runs: the program has come to a standstill."""


class BusyWithoutEnd(Exception):
    """The loop went round so often without the clock moving: something spins."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps; tells the loop how long it would have."""

    loop: "VirtualLoop"

    def select(self, timeout=None):
        self.loop.spin()
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None:
            raise NothingWillHappen
        self.loop.jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time begins at 1000 s, so that nobody mistakes 0 for "never".

    `wakeups` counts how often the clock moved: how often a real process would have been woken.
    """

    def __init__(self):
        selector = _JumpingSelector()
        selector.loop = self
        self._virtual = 1000.0
        self._spins = 0
        self.wakeups = 0
        super().__init__(selector)

    def time(self):
        return self._virtual

    def jump(self, seconds):
        self._virtual += seconds
        self.wakeups += 1
        self._spins = 0

    def spin(self):
        self._spins += 1
        if self._spins > SPINS_MAX:
            raise BusyWithoutEnd(f"at {self._virtual - 1000.0:.3f} s")


EPOCH_MS = 1_767_225_600_000


class VirtualClock:
    """The wall clock of a virtual loop: 2026-01-01 at time 1000."""

    def __init__(self, loop):
        self._loop = loop

    def now_ms(self):
        return EPOCH_MS + int((self._loop.time() - 1000.0) * 1000)


def run_virtually(main: Coroutine[Any, Any, Any]) -> Any:
    """Run `main` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
