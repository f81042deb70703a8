"""Refusals by how many requests were under way → how many a limiter serves at a time.

A limiter of concurrency refuses only where more are under way than it serves. One of the rate, and
chance, refuse at every number alike. So the answers are counted by the number under way when the
request left, while a pace is kept to: without one, as many are under way as may be, and nothing
differs.

    | at or below a number  | above it               | the limiter                                |
    |-----------------------|------------------------|--------------------------------------------|
    | hardly any is refused | many are               | serves that number at a time               |
    | some are refused      | many are               | counts something else: nothing is learned  |
    | hardly any is refused | few are                | has not been met, or serves more           |

Behind a network an answer on its way back is under way here and not at the limiter any more: above
its number some are accepted, too. Of several numbers the one is taken that divides best.
"""

_LOOK_EVERY = 50
_KEPT_MOST = 1000
_BELOW_MIN = 200
_REFUSED_ABOVE_MIN = 8
_ABOVE_LEAST = 0.05
_TIMES_MORE = 10
_STILL_BELOW_MOST = 0.05
_STILL_ABOVE_LEAST = 0.05


class AtATime:
    """What was accepted and refused of late, and the number that divides them, if one does."""

    __slots__ = ("_added", "_counts", "_fresh", "_total", "number")

    def __init__(self) -> None:
        self.number: int | None = None
        """How many are served at a time; None: not known, or not limited."""
        self._counts: dict[int, list[int]] = {}
        self._total = self._added = 0
        self._fresh = False

    def forget(self) -> None:
        """The pace has changed: what was refused before says nothing about what is accepted now."""
        self._counts.clear()
        self._total = self._added = 0
        self._fresh = False

    def add(self, in_flight: int, *, refused: bool) -> int | None:
        """An answer to a request that left with so many under way, itself included; 0: not known.

        Returns the number, where it was found or confirmed by this.
        """
        if not in_flight:
            return None
        self._counts.setdefault(in_flight, [0, 0])[refused] += 1
        self._total += 1
        self._added += 1
        self._fresh |= refused
        if self._added < _LOOK_EVERY:
            return None
        fresh, self._added, self._fresh = self._fresh, 0, False
        self.number = self._best()
        if self._total >= _KEPT_MOST:
            self._keep_half()
        return self.number if fresh else None

    # -- inside -------------------------------------------------------------------------------

    def _best(self) -> int | None:
        accepted_in_all = sum(accepted for accepted, _ in self._counts.values())
        refused_in_all = sum(refused for _, refused in self._counts.values())
        if not accepted_in_all or not refused_in_all:
            return self.number
        accepted = refused = 0
        best, best_at = 0.0, None
        for level in sorted(self._counts):
            accepted += self._counts[level][0]
            refused += self._counts[level][1]
            accepted_above, refused_above = accepted_in_all - accepted, refused_in_all - refused
            divided = refused_above / refused_in_all - accepted_above / accepted_in_all
            known = level == self.number
            if divided > best and _divides(
                (accepted, refused), (accepted_above, refused_above), known=known
            ):
                best, best_at = divided, level
        return best_at

    def _keep_half(self) -> None:
        """What is old counts half as much."""
        self._counts = {
            level: [accepted // 2, refused // 2]
            for level, (accepted, refused) in self._counts.items()
            if accepted + refused > 1
        }
        self._total = sum(map(sum, self._counts.values()))


def _divides(below: tuple[int, int], above: tuple[int, int], *, known: bool) -> bool:
    """Of both how many were accepted and refused. What is known needs less to stay so."""
    answers_below, answers_above = sum(below), sum(above)
    if known:
        return below[1] <= _STILL_BELOW_MOST * answers_below and (
            above[1] >= _STILL_ABOVE_LEAST * answers_above
        )
    if answers_below < _BELOW_MIN or above[1] < _REFUSED_ABOVE_MIN:
        return False
    share_below, share_above = below[1] / answers_below, above[1] / answers_above
    return share_above >= _ABOVE_LEAST and share_above >= _TIMES_MORE * share_below
