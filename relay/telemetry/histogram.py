"""Durations → a few counters from which percentiles are read. Cheap enough for every event."""

from bisect import bisect_left
from collections.abc import Sequence

# Three bounds a decade tell a p99 within a factor of three, from a millisecond (a server beside us)
# to an hour (a record that waited for an outage to end).
BOUNDS_S: tuple[float, ...] = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600,
)  # fmt: skip


class Histogram:
    """Counts of durations in seconds, per bucket, with their sum."""

    def __init__(self, bounds_s: Sequence[float] = BOUNDS_S) -> None:
        self.bounds_s = tuple(bounds_s)
        self.counts = [0] * (len(self.bounds_s) + 1)
        self.sum_s = 0.0
        self.examples: dict[int, tuple[str, float, float]] = {}
        """Of some buckets a trace: its id, the duration, and when (seconds since the epoch)."""

    def bucket(self, seconds: float) -> int:
        """The index of the bucket that a duration falls into."""
        return bisect_left(self.bounds_s, seconds)

    def add(self, seconds: float) -> None:
        """Count one duration; what is negative (clocks that disagree) counts as nothing."""
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        if seconds > 0:
            self.sum_s += seconds

    @property
    def total(self) -> int:
        """How many durations were counted."""
        return sum(self.counts)

    def quantile(self, share: float, since: Sequence[int] | None = None) -> float | None:
        """The duration below which `share` of them lie, interpolated; None when there are none.

        `since` is an earlier copy of `counts`: then only what came after it is looked at.
        """
        counts = (
            self.counts
            if since is None
            else [a - b for a, b in zip(self.counts, since, strict=True)]
        )
        total = sum(counts)
        if not total:
            return None
        rank = share * total
        below = 0
        for index, count in enumerate(counts):
            if count and below + count >= rank:
                low = self.bounds_s[index - 1] if index else 0.0
                high = self.bounds_s[min(index, len(self.bounds_s) - 1)]
                return low + (high - low) * max(0.0, rank - below) / count
            below += count
        return self.bounds_s[-1]


def together(histograms: Sequence[Histogram]) -> Histogram:
    """All of them as one, without examples. They have the same buckets."""
    if len(histograms) == 1:
        return histograms[0]
    found = Histogram(histograms[0].bounds_s)
    found.counts = [sum(counts) for counts in zip(*(h.counts for h in histograms), strict=True)]
    found.sum_s = sum(histogram.sum_s for histogram in histograms)
    return found
