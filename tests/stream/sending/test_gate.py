"""The gate's state table, and what it promises about pauses, probes and floods."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import RequestKind, Verdict, VerdictKind
from relay.stream.sending.destination import Destination, DestinationPolicy, Left
from relay.stream.sending.gate import GatePolicy, GateState
from relay.stream.sending.limit import LimitPolicy
from tests.support.policies import tuned

DELIVERED = Verdict(VerdictKind.DELIVERED, "http_200", "200 accepted", 200)
REFUSED = Verdict(VerdictKind.REFUSED, "http_400", "400 refused", 400)
THROTTLED = Verdict(VerdictKind.THROTTLED, "http_429", "429 too many requests", 429)
UNAVAILABLE = Verdict(VerdictKind.UNAVAILABLE, "http_500", "500 unavailable", 500)
MISCONFIGURED = Verdict(VerdictKind.MISCONFIGURED, "http_401", "401 token not accepted", 401)

FLOWING, PAUSED, DOWN, HELD = GateState.FLOWING, GateState.PAUSED, GateState.DOWN, GateState.HELD


def throttled(seconds):
    return Verdict(VerdictKind.THROTTLED, "http_429", "429 wait", 429, retry_after_s=seconds)


class Gated:
    """The gate of a destination with one route in use, and what decides about it."""

    def __init__(self, policy, seed):
        limit = LimitPolicy(fixed_limit=True, max_in_flight=1000)
        self.destination = Destination(
            DestinationPolicy(gate=policy, limit=limit), random.Random(seed), [].append
        )
        self.gate = self.destination.gate
        self.route = self.destination.routes[RequestKind.ACTIVITY]
        self.opens_at = self.gate.opens_at
        self.tick = self.gate.tick

    @property
    def state(self):
        return self.gate.state

    def left(self):
        return self.destination.left(0.0).probe

    def judged(self, verdict, now, probe, in_flight=1, lane=None):
        before = self.state
        self.route.in_flight = in_flight
        self.destination.judged(verdict, 0.0, in_flight, now, left=Left(probe), lane=lane)
        return before if before is not self.state else None


def gate(seed=1, **changes):
    return Gated(tuned(GatePolicy, **changes), seed)


def attempt(subject, verdict, now):
    """Send one request and learn its answer at once."""
    probe = subject.left()
    return subject.judged(verdict, now, probe)


def asked(subject, seconds, now):
    """All who ask are asked to wait."""
    for _ in range(3):
        attempt(subject, throttled(seconds), now)


def brought_to(state):
    subject = gate(down_after_failures=2)
    if state is PAUSED:
        for _ in range(3):
            attempt(subject, throttled(5.0), 0.0)
    elif state is DOWN:
        attempt(subject, UNAVAILABLE, 0.0)
        attempt(subject, UNAVAILABLE, 0.0)
    elif state is HELD:
        attempt(subject, MISCONFIGURED, 0.0)
    assert subject.state is state
    return subject


@pytest.mark.parametrize(
    ("before", "verdict", "after"),
    [
        (FLOWING, DELIVERED, FLOWING),
        (FLOWING, REFUSED, FLOWING),
        (FLOWING, THROTTLED, FLOWING),
        (FLOWING, throttled(5.0), FLOWING),
        (FLOWING, UNAVAILABLE, FLOWING),
        (FLOWING, MISCONFIGURED, HELD),
        (PAUSED, DELIVERED, PAUSED),
        (PAUSED, REFUSED, PAUSED),
        (PAUSED, THROTTLED, PAUSED),
        (PAUSED, UNAVAILABLE, PAUSED),
        (PAUSED, MISCONFIGURED, HELD),
        (DOWN, DELIVERED, FLOWING),
        (DOWN, REFUSED, FLOWING),
        (DOWN, THROTTLED, PAUSED),
        (DOWN, UNAVAILABLE, DOWN),
        (DOWN, MISCONFIGURED, HELD),
        (HELD, DELIVERED, FLOWING),
        (HELD, REFUSED, FLOWING),
        (HELD, THROTTLED, PAUSED),
        (HELD, UNAVAILABLE, DOWN),
        (HELD, MISCONFIGURED, HELD),
    ],
)
def test_each_state_and_verdict_lead_to_one_state(before, verdict, after):
    subject = brought_to(before)
    changed = attempt(subject, verdict, 1.0)
    assert subject.state is after
    assert changed is (None if before is after else before)


def test_it_is_down_after_so_many_failures_in_a_row_and_a_success_begins_the_count_anew():
    subject = gate(down_after_failures=3)
    for verdict in (UNAVAILABLE, UNAVAILABLE, DELIVERED, UNAVAILABLE, UNAVAILABLE):
        attempt(subject, verdict, 0.0)
    assert subject.state is FLOWING
    attempt(subject, UNAVAILABLE, 0.0)
    assert subject.state is DOWN


def test_failures_that_land_before_the_successes_of_the_same_time_are_no_outage():
    subject = gate(down_after_failures=3)
    for landed in range(50):
        subject.judged(UNAVAILABLE, 0.0, 0, in_flight=100 - landed)
    assert subject.state is FLOWING
    subject.judged(UNAVAILABLE, 0.0, 0, in_flight=50)
    assert subject.state is DOWN


def test_one_record_that_fails_alone_is_an_outage_only_after_a_while():
    subject = gate(down_after_failures=3, down_after_alone_s=15.0)
    for second in range(15):
        subject.judged(UNAVAILABLE, float(second), 0, 1, "a")
        assert subject.state is FLOWING
    subject.judged(UNAVAILABLE, 15.0, 0, 1, "a")
    assert subject.state is DOWN


def test_two_that_fail_in_a_row_are_an_outage_at_once():
    subject = gate(down_after_failures=3)
    for lane in ("a", "b", "a"):
        subject.judged(UNAVAILABLE, 0.0, 0, 1, lane)
    assert subject.state is DOWN


def test_a_pause_lasts_as_long_as_was_asked():
    subject = gate()
    asked(subject, 10.0, 100.0)
    assert subject.opens_at(100.0) == 110.0
    assert subject.tick(109.9) is None
    assert subject.tick(110.0) is PAUSED
    assert subject.state is FLOWING
    assert subject.opens_at(110.0) == 110.0


def test_an_absurd_pause_is_capped():
    subject = gate(pause_max_s=300.0)
    asked(subject, 1e9, 0.0)
    assert subject.opens_at(0.0) == 300.0


def test_a_shorter_pause_never_ends_a_longer_one():
    subject = gate()
    asked(subject, 60.0, 0.0)
    subject.judged(throttled(1.0), 1.0, 0)
    assert subject.opens_at(1.0) >= 60.0


def test_a_pause_that_was_asked_for_survives_an_outage_that_begins_in_it():
    subject = gate(down_after_failures=2)
    asked(subject, 60.0, 0.0)
    for _ in range(2):
        subject.judged(UNAVAILABLE, 1.0, 0)
    assert subject.state is DOWN
    assert subject.opens_at(1.0) >= 60.0


def test_a_pause_that_was_asked_for_survives_a_late_success_that_ends_an_outage():
    subject = gate(down_after_failures=2)
    asked(subject, 60.0, 0.0)
    for _ in range(2):
        subject.judged(UNAVAILABLE, 1.0, 0)
    subject.judged(DELIVERED, 2.0, 0)
    assert subject.state is PAUSED
    assert subject.opens_at(2.0) >= 60.0


def test_throttling_without_a_time_waits_longer_each_time_up_to_a_bound():
    subject = gate(pause_first_s=0.1, pause_unasked_max_s=2.0)
    now, waits = 0.0, []
    for _ in range(2):
        attempt(subject, THROTTLED, now)
    for _ in range(8):
        attempt(subject, THROTTLED, now)
        waits.append(round(subject.opens_at(now) - now, 6))
        now += waits[-1]
        subject.tick(now)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]


def test_a_few_refusals_among_many_answers_pause_nobody():
    """Each user who is refused waits; a pause for all would starve everybody."""
    subject = gate()
    for _ in range(20):
        attempt(subject, THROTTLED, 0.0)
        attempt(subject, THROTTLED, 0.0)
        attempt(subject, DELIVERED, 0.0)
        assert subject.state is FLOWING
    for _ in range(3):
        attempt(subject, THROTTLED, 0.0)
    assert subject.state is PAUSED


def test_what_left_before_a_pause_does_not_lengthen_it():
    """A burst of a hundred refusals is one message, not a hundred doublings."""
    subject = gate(pause_first_s=0.1)
    for _ in range(100):
        subject.judged(THROTTLED, 0.0, 0)
    assert subject.opens_at(0.0) == pytest.approx(0.1)


def test_a_retry_after_of_nothing_does_not_make_a_flood():
    subject = gate(pause_first_s=0.1, pause_unasked_max_s=2.0)
    now = 0.0
    for _ in range(8):
        attempt(subject, throttled(0.0), now)
        now = subject.opens_at(now)
        subject.tick(now)
    assert now > 3.0


def test_refusals_that_land_before_the_successes_of_the_same_time_pause_nobody():
    subject = gate()
    for landed in range(50):
        subject.judged(throttled(30.0), 0.0, 0, in_flight=100 - landed)
    assert subject.state is FLOWING
    subject.judged(throttled(30.0), 0.0, 0, in_flight=50)
    assert subject.state is PAUSED


@pytest.mark.parametrize(("state", "verdict"), [(DOWN, UNAVAILABLE), (HELD, MISCONFIGURED)])
def test_one_probe_at_a_time(state, verdict):
    subject = brought_to(state)
    at = subject.opens_at(0.0)
    probe = subject.left()
    assert probe
    assert subject.opens_at(at) is None
    subject.judged(verdict, at + 3.0, probe)
    assert subject.opens_at(at + 3.0) > at + 3.0


@pytest.mark.parametrize("state", [DOWN, HELD])
def test_probes_are_spaced_further_and_further_up_to_a_bound(state):
    subject = brought_to(state)
    verdict = UNAVAILABLE if state is DOWN else MISCONFIGURED
    now, waits = 0.0, []
    for _ in range(10):
        at = subject.opens_at(now)
        waits.append(at - now)
        now = at
        attempt(subject, verdict, now)
    assert 0.25 <= waits[0] <= 0.5
    assert all(7.5 <= wait <= 15.0 for wait in waits[-3:])


@pytest.mark.parametrize("state", [DOWN, HELD])
def test_failures_of_requests_that_left_before_do_not_space_the_probes(state):
    subject = brought_to(state)
    verdict = UNAVAILABLE if state is DOWN else MISCONFIGURED
    for _ in range(60):
        subject.judged(verdict, 0.0, 0)
    assert subject.opens_at(0.0) <= 0.5


def test_failures_of_requests_that_left_before_do_not_let_a_second_probe_out():
    subject = brought_to(DOWN)
    subject.left()
    subject.judged(UNAVAILABLE, 1.0, 0)
    assert subject.opens_at(1.0) is None


def test_a_probe_of_an_earlier_outage_is_not_taken_for_one_of_this():
    subject = brought_to(DOWN)
    old = subject.left()
    subject.judged(DELIVERED, 1.0, 0)
    assert subject.state is FLOWING
    for _ in range(2):
        subject.judged(UNAVAILABLE, 2.0, 0)
    assert subject.state is DOWN
    assert subject.opens_at(2.0) is not None, "the old probe still counts as out"
    subject.left()
    subject.judged(UNAVAILABLE, 30.0, old)
    assert subject.opens_at(30.0) is None


VERDICTS = st.sampled_from([DELIVERED, REFUSED, THROTTLED, UNAVAILABLE, MISCONFIGURED])


@given(
    st.lists(
        st.tuples(
            st.one_of(VERDICTS, st.floats(0, 1000).map(throttled)),
            st.floats(0.0, 20.0),
            st.booleans(),
        ),
        max_size=60,
    ),
    st.integers(0, 5),
)
def test_whatever_comes_it_opens_again_and_never_before_a_pause_is_over(answers, seed):
    subject = gate(seed)
    now = pause_ends = 0.0
    out: list[int] = []
    for verdict, passes, lands_late in answers:
        now += passes
        subject.tick(now)
        at = subject.opens_at(now)
        if at is None:
            assert out, "it waits for a probe that is not out"
            subject.judged(verdict, now, out.pop())
        elif at > now:
            assert at - now <= 300.0, "nothing holds for longer than the longest pause"
            continue
        else:
            assert now >= pause_ends, "it opened during a pause that was asked for"
            probe = subject.left()
            if lands_late:
                out.append(probe)
                continue
            subject.judged(verdict, now, probe)
        # Less than the first pause is "at once".
        asks = (verdict.retry_after_s or 0.0) >= GatePolicy().pause_first_s
        if asks and subject.state is PAUSED:
            pause_ends = max(pause_ends, now + min(verdict.retry_after_s, 300.0))
