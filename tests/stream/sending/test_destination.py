"""The gate, the limit, the rate and the budget together, and what they tell."""

import random

import pytest

from relay.model import NoAnswer, Verdict, VerdictKind
from relay.stream.facts import (
    DestinationDown,
    DestinationHeld,
    DestinationResumed,
    DestinationThrottled,
)
from relay.stream.sending.brake import BrakePolicy
from relay.stream.sending.destination import Destination, DestinationPolicy
from relay.stream.sending.gate import GatePolicy, GateState
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.pacing import RatePolicy
from relay.stream.sending.retries import RetryPolicy
from relay.stream.sending.scope import Scope
from tests.support.policies import tuned

DELIVERED = Verdict(VerdictKind.DELIVERED, "http_200", "200 accepted", 200)
REFUSED = Verdict(VerdictKind.REFUSED, "http_400", "400 refused", 400)
FAILED = Verdict(VerdictKind.UNAVAILABLE, "http_500", "500 unavailable", 500)
NO_CONNECTION = Verdict(VerdictKind.UNAVAILABLE, NoAnswer.CONNECT, "no answer", 0)
HELD = Verdict(VerdictKind.MISCONFIGURED, "http_401", "401 token not accepted", 401)


def throttled(seconds=None):
    return Verdict(VerdictKind.THROTTLED, "http_429", "429 too many", 429, seconds)


def overload(code):
    return Verdict(VerdictKind.UNAVAILABLE, code, "overload", 0)


class Bench:
    def __init__(self, **policies):
        self.told = []
        policies.setdefault("limit", tuned(LimitPolicy, initial=100, max_in_flight=100))
        self.destination = Destination(
            DestinationPolicy(**policies), random.Random(1), self.told.append
        )

    def answer(self, verdict, now, *, times=1, round_trip_s=0.05, in_flight=1):
        came_back = False
        for _ in range(times):
            left = self.destination.left(now)
            learned = self.destination.judged(verdict, round_trip_s, in_flight, now, left=left)
            came_back = learned.came_back
        return came_back

    def said(self):
        return [type(fact) for fact in self.told]


def test_it_opens_below_the_limit_and_waits_at_it():
    destination = Bench(limit=tuned(LimitPolicy, initial=3, max_in_flight=3)).destination
    assert destination.opens_at(2, 5.0) == 5.0
    assert destination.opens_at(3, 5.0) is None


def test_the_rate_counts_from_when_the_gate_opens():
    bench = Bench(rate=RatePolicy(rate_per_second=10.0))
    for _ in range(5):
        bench.destination.left(0.0)
    bench.answer(throttled(20.0), 0.0, times=10)
    assert bench.destination.opens_at(0, 0.0) == 20.0


@pytest.mark.parametrize(
    ("verdict", "moves"),
    [
        (throttled(), False),
        (throttled(30.0), False),
        (overload("http_503"), True),
        (overload("http_504"), True),
        (overload(NoAnswer.TIMEOUT), True),
        (overload(NoAnswer.CONNECT), False),
        (overload(NoAnswer.BROKEN), False),
        (FAILED, False),
        (REFUSED, False),
        (HELD, False),
    ],
)
def test_only_what_says_too_much_cuts_the_limit(verdict, moves):
    bench = Bench()
    bench.answer(verdict, 10.0)
    assert (bench.destination.limit.value < 100) is moves


@pytest.mark.parametrize("verdict", [FAILED, REFUSED, NO_CONNECTION])
def test_only_deliveries_are_round_trips(verdict):
    bench = Bench(
        limit=tuned(LimitPolicy, initial=50, max_in_flight=100),
        gate=tuned(GatePolicy, down_after_failures=10**6),
    )
    for second in range(40):
        bench.answer(verdict, float(second), times=5, round_trip_s=0.0001, in_flight=50)
    assert bench.destination.limit.value == 50
    bench.answer(DELIVERED, 50.0, times=60, in_flight=100)
    assert bench.destination.limit.value == 100


def test_deliveries_earn_retries():
    bench = Bench(retry=tuned(RetryPolicy, budget_max=1.0, budget_per_second=1e-9))
    bench.destination.budget.take(0.0)
    bench.answer(DELIVERED, 1.0, times=11)
    assert bench.destination.budget.available_at(1.0) == 1.0


@pytest.mark.parametrize(
    ("verdict", "fact"), [(HELD, DestinationHeld), (NO_CONNECTION, DestinationDown)]
)
def test_a_closing_is_told_once_and_so_is_the_return(verdict, fact):
    bench = Bench()
    now = 0.0
    for _ in range(30):
        bench.answer(verdict, now)
        now += 20.0
    assert bench.said() == [fact]
    assert bench.answer(DELIVERED, now)
    assert bench.said() == [fact, DestinationResumed]
    assert bench.told[-1].after_s > 400
    assert not bench.answer(DELIVERED, now)


def test_a_destination_that_throttles_its_probe_has_come_back():
    bench = Bench()
    bench.answer(HELD, 0.0)
    assert bench.answer(throttled(5.0), 20.0)
    assert not bench.destination.gate.is_closed


def test_short_pauses_are_not_told_and_long_ones_are():
    bench = Bench()
    bench.answer(throttled(0.5), 0.0, times=3)
    bench.destination.opens_at(0, 1.0)
    assert bench.said() == []
    bench.answer(throttled(5.0), 2.0)
    assert bench.said() == [DestinationThrottled]
    assert bench.told[0].pause_s == 5.0
    bench.destination.opens_at(0, 8.0)
    assert bench.said() == [DestinationThrottled, DestinationResumed]


def test_after_an_outage_it_begins_small():
    bench = Bench(limit=tuned(LimitPolicy, initial=16, max_in_flight=256))
    bench.answer(DELIVERED, 0.0, times=200, in_flight=256)
    for second in range(5):
        bench.answer(DELIVERED, 1.0 + second, times=40, in_flight=256)
    assert bench.destination.limit.value == 256
    bench.answer(NO_CONNECTION, 10.0, times=5)
    assert bench.destination.gate.state is GateState.DOWN
    bench.answer(DELIVERED, 20.0)
    assert bench.destination.limit.value == 16


def test_a_limiter_that_refuses_above_so_many_is_kept_at_them_and_hardly_tried():
    bench = Bench(limit=tuned(LimitPolicy, initial=16, max_in_flight=256))
    limit = bench.destination.limit
    limit.granted(8, 0.0)
    assert limit.value == 8
    refused = 0
    for tenth in range(1, 1200):
        now = tenth / 10
        if limit.value > 8:
            bench.answer(throttled(), now, times=10)
            refused += 10
        bench.answer(DELIVERED, now, times=20, in_flight=limit.value)
    assert 8 <= limit.value <= 9
    assert refused <= 5 * 10, "each try costs ten, and they come further and further apart"


def test_nearly_all_refused_holds_the_stream_and_one_accepted_ends_it():
    bench = Bench(brake=BrakePolicy(share=0.9, number=20))
    dead = 0
    for _ in range(50):
        left = bench.destination.left(0.0)
        learned = bench.destination.judged(REFUSED, 0.05, 1, 0.0, left=left)
        dead += learned.scope is Scope.RECORD
    assert dead == 20
    assert bench.said() == [DestinationHeld]
    assert "400 refused" in bench.told[0].reason
    assert "delivery.brake" in bench.told[0].reason
    assert bench.answer(DELIVERED, 30.0)
    assert bench.said() == [DestinationHeld, DestinationResumed]


def test_one_in_ten_refused_holds_nobody():
    bench = Bench(brake=BrakePolicy(share=0.9, number=20))
    for _ in range(200):
        bench.answer(REFUSED, 0.0)
        bench.answer(DELIVERED, 0.0, times=9)
    assert bench.said() == []


def test_where_every_tenth_is_good_each_hold_comes_sooner():
    bench = Bench(brake=BrakePolicy(share=0.8, number=200))
    dead, now = 0, 0.0
    for _ in range(200):
        for verdict in [REFUSED] * 9 + [DELIVERED]:
            now += 20.0
            left = bench.destination.left(now)
            learned = bench.destination.judged(verdict, 0.05, 1, now, left=left)
            dead += verdict is REFUSED and learned.scope is Scope.RECORD
    assert dead < 900, "of 1800; without the brake, all"


def test_what_is_down_says_why_at_once():
    bench = Bench()
    bench.answer(NO_CONNECTION, 0.0, times=5)
    (down,) = bench.told
    assert (down.scope, down.reason) == ("all", "no answer")
