"""429 at random, without a limiter behind it: few events for a while, then many at once.

The engine in virtual time, as one member of a group and alone. What it learns while little is
produced must not hold it back when much waits.
"""

import itertools

import pytest

from bench.limiters import Model, Simulated
from relay.model import Answer, Moment, Record
from relay.sandbox.limiters import LimiterKind, LimiterRule

_CALM_S = 40.0
_FLOOD_S = 30.0
_CALM_PER_SECOND = 3
_FLOOD = 500
_USERS = 200
_LATENCY_S = (0.2, 0.8)
_OK = b'{"status":"ok","data":true}'
_TOO_MANY = b'{"status":"error","error":"Too Many Requests"}'
_NO_RULE = LimiterRule(kind=LimiterKind.CONCURRENCY, limit=10**6)


class ByChance(Simulated):
    """So many answers are 429, whatever the rate is."""

    def __init__(self, refused: float, seed: int, *, alone: bool) -> None:
        super().__init__(Model("by chance", _NO_RULE, 1.0, _LATENCY_S, users=_USERS), seed)
        self._refused = refused
        self._feeds_at = 0.0
        self.engine.sender.destination.share(1.0 if alone else 0.25)

    def flood(self) -> float:
        """Requests a second that leave in the floods."""
        self.run(_CALM_S + _FLOOD_S)
        return sum(map(_is_flood, self.departures)) / _FLOOD_S

    def _feed(self) -> None:
        if _is_flood(self.now):
            missing = _FLOOD - self.engine.sender.lanes.waiting
        elif self.now >= self._feeds_at:
            self._feeds_at, missing = self.now + 1.0, _CALM_PER_SECOND
        else:
            return
        for _ in range(missing):
            value = f"a{self.rng.randrange(_USERS)}".encode()
            offset = next(self.offsets)
            record = Record("events", 0, offset, -1, None, value, (), 1)
            self.engine.admit(record, Moment(self.now, 1))

    def _arrived(self, flight):
        refused = self.rng.random() < self._refused
        answer = Answer(429, {}, _TOO_MANY) if refused else Answer(200, {}, _OK)
        takes_s = self.rng.uniform(*self.model.latency_s)
        self._after(takes_s, lambda: self._done(flight, answer, None))


def _is_flood(at: float) -> bool:
    return at % (_CALM_S + _FLOOD_S) >= _CALM_S


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("alone", [True, False])
def test_a_flood_after_a_calm_is_sent_though_some_are_refused_by_chance(seed, alone):
    undisturbed = ByChance(0.0, seed, alone=alone).flood()
    assert ByChance(0.05, seed, alone=alone).flood() >= 0.5 * undisturbed


def test_nobody_waits_longer_than_five_seconds_for_the_next_try():
    """What is taken for a limit of the route, or of a user, is tried again soon."""
    run = ByChance(0.3, 1, alone=False)
    run.flood()
    in_floods = [at for at in run.departures if _is_flood(at)]
    gaps = (b - a for a, b in itertools.pairwise(in_floods))
    assert max(gap for gap in gaps if gap < _CALM_S) <= 5.5
