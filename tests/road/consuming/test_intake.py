"""How much to take, and from where: the budget, its hysteresis, and the grading by map."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.road.consuming.intake import IntakePolicy, full, partition_allowance, room
from tests.support.policies import tuned

POLICY = tuned(
    IntakePolicy,
    memory_records_max=100,
    memory_bytes_max=1000,
    poll_records_max=50,
    resume_below=0.7,
)


@pytest.mark.parametrize(
    ("records", "size", "was_full", "expected"),
    [
        (0, 0, False, False),
        (99, 999, False, False),
        (100, 0, False, True),
        (0, 1000, False, True),
        (99, 999, True, True),
        (70, 0, True, True),
        (69, 700, True, True),
        (69, 699, True, False),
    ],
)
def test_it_stops_when_the_budget_is_used_up_and_starts_when_there_is_room_again(
    records, size, was_full, expected
):
    assert full(POLICY, records, size, was_full=was_full) is expected


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 1000))
def test_it_asks_for_at_least_one_and_never_for_more_than_fits(open_records, records_max, poll):
    policy = tuned(IntakePolicy, memory_records_max=records_max, poll_records_max=poll)
    asked = room(policy, open_records)
    assert 1 <= asked <= poll
    assert asked == 1 or open_records + asked <= records_max


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 100_000))
def test_a_fuller_map_never_allows_more_and_always_one(fill, more, records_max):
    policy = IntakePolicy(memory_records_max=records_max)
    low, high = sorted((fill, more))
    assert 1 <= partition_allowance(policy, high) <= partition_allowance(policy, low)
    assert partition_allowance(policy, low) <= records_max


@pytest.mark.parametrize(
    ("fill", "allowed"),
    [(0.0, 10_000), (0.25, 10_000), (0.5, 4_444), (0.75, 1_111), (0.9, 177), (1.0, 1)],
)
def test_the_allowance_shrinks_smoothly_as_the_map_fills(fill, allowed):
    assert partition_allowance(IntakePolicy(memory_records_max=10_000), fill) == allowed


def test_there_is_no_cliff():
    policy = IntakePolicy(memory_records_max=10_000)
    allowances = [partition_allowance(policy, step / 100) for step in range(101)]
    steps = [before - after for before, after in itertools.pairwise(allowances)]
    assert max(steps) < 300
