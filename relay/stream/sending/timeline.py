"""How many requests were accepted when: the last minute, for whoever asks what a limiter grants."""

import math
from collections import deque

_MARK_EVERY_S = 0.25
_MARKS = 256


class Timeline:
    """How many were accepted when: the last minute, in quarters of a second."""

    __slots__ = ("_marks", "count", "mark_at")

    def __init__(self, marks: int = _MARKS) -> None:
        self.count = 0
        self.mark_at = -math.inf
        """From then on `mark` is due before the next is counted."""
        self._marks: deque[tuple[float, int]] = deque(maxlen=marks)

    def mark(self, now: float) -> None:
        """Note how many were counted before now."""
        self._marks.append((now, self.count))
        self.mark_at = now + _MARK_EVERY_S

    def accepted_since(self, at: float) -> float:
        """How many were accepted since then."""
        later_at, later = math.inf, self.count
        for mark_at, count in reversed(self._marks):
            if mark_at <= at:
                # Those after a mark came within a quarter of a second of it.
                span_s = min(later_at - mark_at, _MARK_EVERY_S)
                before = count + (later - count) * min(1.0, (at - mark_at) / span_s)
                return self.count - before
            later_at, later = mark_at, count
        return self.count - later
