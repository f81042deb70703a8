"""Wall-clock time, read in one place so that tests and simulations can hand in their own.

Durations and deadlines never use it: loops take those from `asyncio.get_running_loop().time()`.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the wall-clock time."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000
