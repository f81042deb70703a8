"""Answers → whether each user has a limit of their own.

A limiter for each user and a limiter for all look alike, answer by answer. What tells them apart:
a user who was refused, waited as asked, and asks again, or who was not served lately. Under a
limiter for each user that request is accepted. Under one for all, and by chance, it is refused as
often as any other. So the refusals of such requests are counted, and beside them how many there
would be if these were refused as often as all are. Compared half second by half second: refusals
of one time say nothing about requests of another, because the rate was cut between.

    | known before | expected and observed refusals of such requests | known after          |
    |--------------|-------------------------------------------------|----------------------|
    | no           | less than half of those expected, and so few as | yes                  |
    |              | hardly come by chance                           |                      |
    | no           | anything else                                   | no                   |
    | yes          | two and more observed, half of those expected   | no                   |
    | yes          | anything else: few are refused at a pace of     | yes                  |
    |              | each user, and fewer say little                 |                      |

Refusals by chance scatter by the square root of their number. Less by twice that comes in one case
of a hundred: none where five are expected, two where eight are. More is needed to begin than to go
on.
"""

import math

_COMPARED_S = 0.5
_KEPT = 0.9
_DEVIATIONS = 2.0
_HALF = 0.5
_DOUBTED_MIN = 2.0


class EachUser:
    """What was seen of late, and whether it shows a limit for each user."""

    __slots__ = (
        "_ends",
        "_fresh",
        "_fresh_refused",
        "_refused",
        "_total",
        "expected",
        "found",
        "observed",
    )

    def __init__(self) -> None:
        self.found = False
        """Whether only those are refused who were just served: each has a limit of their own."""
        self.expected = 0.0
        """Refusals of such requests, if they were refused as often as all are."""
        self.observed = 0.0
        self._ends = 0.0
        self._total = self._refused = self._fresh = self._fresh_refused = 0

    def add(self, now: float, *, fresh: bool, refused: bool) -> None:
        """An answer came; `fresh`: to one who was not just served."""
        if now >= self._ends:
            self._close()
            self._ends = now + _COMPARED_S
        self._total += 1
        self._refused += refused
        self._fresh += fresh
        self._fresh_refused += fresh and refused

    # -- inside -------------------------------------------------------------------------------

    def _close(self) -> None:
        if not self._refused:
            self._total = self._fresh = 0
            return
        self.expected = self.expected * _KEPT + self._fresh * self._refused / self._total
        self.observed = self.observed * _KEPT + self._fresh_refused
        self._total = self._refused = self._fresh = self._fresh_refused = 0
        if self.found:
            doubtful = self.observed >= max(_DOUBTED_MIN, _HALF * self.expected)
            self.found = not doubtful
        else:
            chance = self.expected - _DEVIATIONS * math.sqrt(self.expected)
            self.found = self.observed < min(chance, _HALF * self.expected)
