"""Waits that double with each failure in a row. Pure: who waits draws the jitter around them.

Where what is drawn from, and why, stands with each: a retry from nothing up to the wait, a probe
and a look-up from its second half.
"""

from dataclasses import dataclass

# Doubled so often, anything is beyond any limit; more would not be a finite number at some time.
_DOUBLINGS_MAX = 30


def doubled(first_s: float, times: int, most_s: float) -> float:
    """Seconds: `first_s` doubled so many times, at most `most_s`."""
    return min(most_s, first_s * 2.0 ** min(times, _DOUBLINGS_MAX))


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How soon to start again what has failed: a road, or a process. Seconds."""

    restart_first_s: float = 1.0
    restart_max_s: float = 30.0
    healthy_after_s: float = 60.0
    """After running this long, a failure counts as the first one."""

    def failures(self, before: int, ran_s: float) -> int:
        """Failures in a row with this one, after `before` and running for so long."""
        return 1 if ran_s >= self.healthy_after_s else before + 1

    def wait_s(self, failures: int) -> float:
        """How long to wait after so many in a row."""
        return doubled(self.restart_first_s, failures - 1, self.restart_max_s)
