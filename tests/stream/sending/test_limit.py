"""The concurrency limit against models of a remote service, with ranges for where it settles."""

import heapq
import random
import statistics
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Answer, RequestKind
from relay.stream.sending.destination import Destination, DestinationPolicy
from relay.stream.sending.gate import GatePolicy
from relay.stream.sending.limit import AdaptiveLimit, LimitPolicy
from relay.stream.sending.verdicts import DEFAULT_RULES, judge
from tests.support.policies import tuned

OK = Answer(200, {}, b'{"status":"ok"}')


@dataclass
class Service:
    """A remote service: latency by concurrency, and what it does when asked too much.

    `rate_max` throttles what comes faster; `slots` makes the rest queue (a knee in the latency);
    `refuses_above` throttles above so many at a time; `failing` is a share of fast 500s, and
    `throttled` one of 429s that has nothing to do with how much is asked.
    """

    latency_s: float = 0.05
    jitter: float = 0.0
    slots: int | None = None
    rate_max: float | None = None
    retry_after_s: float | None = None
    refuses_above: int | None = None
    throttled: float = 0.0
    failing: float = 0.0
    steps: list[tuple[float, float]] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self):
        self.free_at = []
        self.tokens_at = 0.0
        self.in_flight = 0

    def serve(self, now, rng):
        """When the answer comes, and what it is."""
        latency = self.latency_s
        for at, changed in self.steps:
            latency = changed if now >= at else latency
        latency *= 1 + self.jitter * rng.uniform(-1, 1)
        if (answer := self._refuses(now, rng)) is not None:
            return now + 0.002, answer
        if rng.random() < self.throttled:
            return now + latency / 2, Answer(429)
        if self.slots is None:
            return now + latency, OK
        while self.free_at and self.free_at[0] <= now:
            heapq.heappop(self.free_at)
        starts = now if len(self.free_at) < self.slots else heapq.heappop(self.free_at)
        heapq.heappush(self.free_at, starts + latency)
        return starts + latency, OK

    def _refuses(self, now, rng):
        """What it answers at once, or None."""
        if any(start <= now < stop for start, stop in self.outages):
            return Answer(500)
        if self.refuses_above is not None and self.in_flight > self.refuses_above:
            return Answer(429)
        if self.rate_max is not None:
            if self.tokens_at > now + 0.1:
                asks = self.retry_after_s is not None
                return Answer(429, {"retry-after": str(self.retry_after_s)} if asks else {})
            self.tokens_at = max(self.tokens_at, now) + 1 / self.rate_max
        return Answer(500) if rng.random() < self.failing else None


@dataclass
class Outcome:
    """What a run showed: the limit and the deliveries, second by second."""

    limits: list[int]
    delivered: list[int]
    throttled: int
    requests: int

    def limit(self, start, stop):
        return statistics.mean(self.limits[start:stop])

    def rate(self, start, stop):
        return sum(self.delivered[start:stop]) / (stop - start)


def _opens_at(destination, in_flight, now):
    opens = destination.opens_at(in_flight, now)
    route = destination.route_opens_at(RequestKind.ACTIVITY, now)
    return None if opens is None or route is None else max(opens, route)


SMALL = LimitPolicy(max_in_flight=64)


def run(service, seconds, policy=SMALL, seed=1, demand=None):
    """Send as fast as the destination lets us; `demand` caps what there is to send at a time."""
    rng = random.Random(seed)
    gate = GatePolicy(down_after_failures=5)
    destination = Destination(
        DestinationPolicy(limit=policy, gate=gate), random.Random(seed + 1), lambda fact: None
    )
    outcome = Outcome([0] * seconds, [0] * seconds, 0, 0)
    landing, number, now = [], 0, 0.0
    while now < seconds:
        opens = _opens_at(destination, len(landing), now)
        busy = demand is not None and len(landing) >= demand
        if opens is not None and opens <= now and not busy:
            service.in_flight = len(landing) + 1
            at, answer = service.serve(now, rng)
            number += 1
            outcome.requests += 1
            left = destination.left(now, in_flight=len(landing) + 1)
            heapq.heappush(landing, (at, number, now, answer, left))
            continue
        waits = [landing[0][0]] if landing else []
        if opens is not None and not busy:
            waits.append(max(opens, now + 1e-6))
        later = min(waits)
        for second in range(int(now), min(seconds, int(later) + 1)):
            outcome.limits[second] = destination.limit.value
        now = later
        while landing and landing[0][0] <= now:
            _, user, left_at, answer, left = heapq.heappop(landing)
            verdict = judge(answer, DEFAULT_RULES, 0)
            destination.judged(verdict, now - left_at, len(landing) + 1, now, left=left, lane=user)
            if now < seconds:
                outcome.delivered[int(now)] += answer is OK
                outcome.throttled += answer.status == 429
    return outcome


def test_a_service_of_constant_latency_is_used_to_the_full_within_seconds():
    outcome = run(Service(latency_s=0.05), 10, LimitPolicy())
    assert outcome.limit(3, 10) == 256
    assert outcome.rate(5, 10) > 0.95 * 256 / 0.05


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("jitter", [0.2, 0.5, 0.9])
def test_jitter_is_not_taken_for_load(jitter, seed):
    outcome = run(Service(latency_s=0.1, jitter=jitter), 30, seed=seed)
    assert outcome.limit(10, 30) > 60


@pytest.mark.parametrize(("slots", "most"), [(1, 28), (4, 32), (20, 80), (50, 180)])
def test_a_knee_is_found_and_not_run_over(slots, most):
    """Beyond the knee more in flight buys nothing but waiting."""
    outcome = run(Service(latency_s=0.05, slots=slots), 60, LimitPolicy())
    assert slots * 0.9 <= outcome.limit(20, 60) <= most
    assert outcome.rate(20, 60) > 0.9 * slots / 0.05


@pytest.mark.parametrize("rate", [20, 100, 500])
def test_a_rate_that_the_service_enforces_is_approached_without_a_flood(rate):
    outcome = run(Service(latency_s=0.05, rate_max=float(rate)), 40, LimitPolicy())
    assert outcome.rate(10, 40) > 0.7 * rate
    assert outcome.throttled / outcome.requests < 0.3


@pytest.mark.parametrize("rate", [20, 100, 500])
def test_a_service_that_asks_to_wait_whenever_it_is_too_much_is_asked_for_less(rate):
    service = Service(latency_s=0.05, rate_max=float(rate), retry_after_s=1.0)
    outcome = run(service, 90, LimitPolicy())
    assert outcome.rate(20, 90) > 0.5 * rate
    assert outcome.throttled / outcome.requests < 0.1


@pytest.mark.parametrize("most", [1, 5, 30])
def test_a_service_that_refuses_above_so_many_is_kept_just_below(most):
    outcome = run(Service(latency_s=0.05, refuses_above=most), 60)
    assert max(1, 0.4 * most) <= outcome.limit(20, 60) <= most + 3
    assert outcome.rate(20, 60) > 0.4 * most / 0.05
    assert outcome.throttled / outcome.requests < 0.25


def test_a_service_that_becomes_slow_for_good_is_accepted_as_it_is():
    outcome = run(Service(latency_s=0.05, steps=[(10.0, 0.5)]), 100)
    assert outcome.rate(70, 100) > 0.9 * 64 / 0.5


def test_a_service_that_becomes_fast_again_is_used_again():
    outcome = run(Service(latency_s=0.05, steps=[(10.0, 0.5), (40.0, 0.05)]), 70)
    assert outcome.rate(60, 70) > 0.9 * 64 / 0.05


@pytest.mark.parametrize("failing", [0.05, 0.3])
def test_fast_failures_do_not_make_good_answers_look_slow(failing):
    outcome = run(Service(latency_s=0.1, failing=failing), 40)
    assert outcome.limit(15, 40) > 60


def test_after_an_outage_full_speed_is_back_within_seconds():
    outcome = run(Service(latency_s=0.1, outages=[(20.0, 200.0)]), 240)
    before = outcome.rate(15, 20)
    first_back = next(second for second in range(200, 240) if outcome.delivered[second])
    assert first_back <= 216, "the next probe was further away than the longest wait"
    assert outcome.rate(first_back + 5, first_back + 10) > 0.9 * before


def test_a_few_refusals_that_have_nothing_to_do_with_load_do_not_starve_the_stream():
    service = Service(latency_s=0.1, jitter=0.9, throttled=0.05, failing=0.05)
    outcome = run(service, 60)
    assert outcome.limit(10, 60) > 8
    assert outcome.rate(10, 60) > 80


def test_an_idle_sender_learns_nothing():
    outcome = run(Service(latency_s=0.05), 30, demand=3)
    assert set(outcome.limits) == {LimitPolicy().initial}


def test_a_fixed_limit_never_moves():
    outcome = run(
        Service(latency_s=0.05, refuses_above=5),
        20,
        LimitPolicy(fixed_limit=True, max_in_flight=20),
    )
    assert set(outcome.limits) == {20}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("sample"), st.floats(0.0001, 60.0)),
            st.tuples(st.just("backpressure"), st.floats(0.0, 10.0)),
            st.tuples(st.just("restart"), st.floats(0.0, 10.0)),
        ),
        max_size=300,
    ),
    st.integers(1, 300),
)
def test_it_stays_between_the_floor_of_one_and_the_maximum(steps, maximum):
    limit = AdaptiveLimit(LimitPolicy(max_in_flight=maximum))
    now = 0.0
    for what, value in steps:
        now += 0.01
        if what == "sample":
            limit.sample(value, limit.value, now)
        elif what == "backpressure":
            limit.backpressure(0.01, now + value, "http_429")
        else:
            limit.restart(now + value, "after a pause")
        assert 1 <= limit.value <= maximum
        assert limit.why


@pytest.mark.parametrize(
    ("refused", "moves"), [(0, "up"), (1, "not"), (2, "not"), (3, "down"), (20, "down")]
)
def test_the_share_that_is_throttled_or_times_out_moves_it(refused, moves):
    limit = AdaptiveLimit(tuned(LimitPolicy, initial=100))
    limit.backpressure(0.01, 1.0, "http_429")
    before = limit.value
    for number in range(20):
        if number < refused:
            limit.backpressure(0.01, 2.0, "timeout")
        else:
            limit.sample(0.05, 200, 2.0)
    after = limit.value
    assert moves == ("up" if after > before else "down" if after < before else "not")
    assert after >= before / 2


def test_what_left_before_a_cut_does_not_cut_again():
    limit = AdaptiveLimit(tuned(LimitPolicy, initial=100))
    limit.backpressure(0.01, 100.0, "http_429")
    for number in range(500):
        limit.backpressure(5.0 + number / 100, 101.0 + number / 100, "timeout")
        limit.sample(5.0 + number / 100, 60, 101.0 + number / 100)
    assert limit.value == 60


def test_one_burst_of_throttling_is_one_message():
    limit = AdaptiveLimit(tuned(LimitPolicy, initial=100))
    for _ in range(50):
        limit.backpressure(0.01, 10.0, "http_429")
    assert limit.value == 60
    assert limit.why == "http_429"


def test_it_says_what_changed_and_why():
    told = []
    limit = AdaptiveLimit(tuned(LimitPolicy, initial=10), lambda *change: told.append(change))
    for _ in range(20):
        limit.sample(0.05, 10, 1.0)
    limit.backpressure(0.01, 2.0, "timeout")
    assert limit.why == "timeout"
    assert told == [(10, 20, "slow start"), (20, 12, "timeout")]
