"""Jitter, ceilings and the shared budget of retries."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.stream.sending.retries import RetryBudget, RetryPolicy, backoff_s, exhausted
from tests.support.policies import tuned


@given(st.integers(1, 10_000), st.integers(0, 2**32), st.floats(0.001, 10), st.floats(0.001, 600))
def test_a_wait_lies_between_nothing_and_a_bound_that_doubles_up_to_the_cap(
    failures, seed, base_s, cap_s
):
    policy = RetryPolicy(base_s=base_s, cap_s=cap_s)
    bound = min(cap_s, base_s * 2.0 ** min(failures - 1, 1000))
    assert 0.0 <= backoff_s(policy, failures, random.Random(seed)) <= bound


def test_the_jitter_is_full_so_that_those_who_failed_together_do_not_return_together():
    rng, policy = random.Random(1), RetryPolicy(base_s=1.0)
    waits = [backoff_s(policy, 4, rng) for _ in range(4000)]
    quarters = [sum(1 for wait in waits if low <= wait < low + 2.0) for low in (0, 2, 4, 6)]
    assert all(900 < count < 1100 for count in quarters)


@pytest.mark.parametrize(
    ("failures", "age_s", "enough"),
    [(8, 600.0, True), (8, 599.9, False), (7, 600.0, False), (9, 1e6, True), (0, 1e6, False)],
)
def test_enough_is_both_so_often_and_for_so_long(failures, age_s, enough):
    policy = RetryPolicy(attempts_max=8, age_max_s=600.0)
    assert exhausted(policy, failures, age_s) is enough


# -- the budget -------------------------------------------------------------------------------


def retries_in(budget, start, seconds, step=0.01):
    """How many retries leave in this time when there is always another one."""
    count = 0
    for tick in range(int(seconds / step)):
        now = start + tick * step
        while budget.available_at(now) <= now:
            budget.take(now)
            count += 1
    return count


def test_a_full_budget_lets_a_burst_out_and_then_a_trickle():
    budget = RetryBudget(tuned(RetryPolicy, budget_max=50.0, budget_per_second=2.0))
    assert retries_in(budget, 0.0, 0.1) == 50
    assert 18 <= retries_in(budget, 0.1, 10.0) <= 21


def test_successes_earn_a_tenth_of_a_retry_each():
    budget = RetryBudget(tuned(RetryPolicy, budget_per_second=1e-9))
    retries_in(budget, 0.0, 0.1)
    for _ in range(205):
        budget.succeeded()
    assert retries_in(budget, 1.0, 0.1) == 20


def test_quiet_time_fills_the_budget_and_no_more():
    budget = RetryBudget(tuned(RetryPolicy, budget_max=50.0))
    retries_in(budget, 0.0, 0.1)
    assert retries_in(budget, 1e6, 0.1) == 50


def test_it_says_when_the_next_retry_may_leave():
    budget = RetryBudget(tuned(RetryPolicy, budget_max=1.0, budget_per_second=0.5))
    budget.take(10.0)
    at = budget.available_at(10.0)
    assert at == pytest.approx(12.0)
    assert budget.available_at(at + 1e-9) == at + 1e-9


def test_a_retry_taken_without_budget_is_no_debt():
    budget = RetryBudget(tuned(RetryPolicy, budget_max=1.0, budget_per_second=1.0))
    for _ in range(100):
        budget.take(0.0)
    assert budget.available_at(0.0) == pytest.approx(1.0)


@given(
    st.lists(
        st.one_of(
            st.just("succeeded"), st.just("take"), st.floats(0.0, 30.0, allow_subnormal=False)
        ),
        max_size=200,
    )
)
def test_retries_never_exceed_what_was_there_what_time_gave_and_what_successes_earned(steps):
    policy = tuned(RetryPolicy, budget_max=5.0, budget_per_success=0.1, budget_per_second=0.5)
    budget = RetryBudget(policy)
    now = earned = 0.0
    retries = 0
    for step in steps:
        if step == "succeeded":
            budget.succeeded()
            earned += 0.1
        elif step == "take":
            if budget.available_at(now) <= now:
                budget.take(now)
                retries += 1
        else:
            now += step
    assert retries <= 5.0 + 0.5 * now + earned + 1e-6
