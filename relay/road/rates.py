"""Counters → how fast they moved of late. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence

_EVERY_S = 1.0
_MARKS_MAX = 11
"""Ten seconds: what a reader calls now."""


class Rates:
    """Remembers counters at moments a second apart. Times in steady seconds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, tuple[int, ...]]] = deque(maxlen=_MARKS_MAX)

    def mark(self, now: float, counters: Sequence[int]) -> None:
        """Take note of the counters; call it as often as they are looked at."""
        if not self._marks or now - self._marks[-1][0] >= _EVERY_S:
            self._marks.append((now, tuple(counters)))

    def since(self) -> tuple[int, ...] | None:
        """The counters as they were at the oldest moment."""
        return self._marks[0][1] if self._marks else None

    def per_second(
        self, now: float, names: Sequence[str], counters: Sequence[int]
    ) -> Mapping[str, float]:
        """By name; 0 before there is a moment to compare with. `over_s` is the time looked at."""
        if not self._marks or now <= self._marks[0][0]:
            return {**dict.fromkeys(names, 0.0), "over_s": 0.0}
        at, before = self._marks[0]
        over_s = now - at
        rates = (
            round((count - old) / over_s, 2) for count, old in zip(counters, before, strict=True)
        )
        return {**dict(zip(names, rates, strict=True)), "over_s": round(over_s, 1)}
