"""What a member holds, claims, reads and may commit, after each of what can happen to it."""

import pytest

from relay.model import Partition
from relay.road.consuming.held import Held

A, B, C = (Partition("a", number) for number in range(3))
NOTHING = (frozenset(), -1)


def holding(*partitions):
    held = Held()
    held.rebalanced(1)
    held.begin(partitions)
    held.begun()
    return held


def test_what_comes_is_ours_at_once_and_is_read_when_the_listener_knows():
    held = Held()
    assert held.claim(is_member=True) == NOTHING
    assert held.rebalanced(7)
    assert held.begin({A, B}) == 1
    assert (held.all, held.coming, held.read) == ({A, B}, {A, B}, set())
    held.begun()
    assert (held.all, held.coming, held.read) == ({A, B}, set(), {A, B})
    assert held.claim(is_member=True) == ({A, B}, 7)


def test_what_leaves_is_ours_and_claimed_until_the_listener_has_finished():
    held = holding(A, B)
    assert not held.rebalanced(2)
    held.leave({B})
    assert (held.all, held.read) == ({A, B}, {A})
    assert held.claim(is_member=True) == ({A, B}, 2)
    assert held.epochs([B]) == {B: 1}, "its last commit counts"
    held.left({B})
    assert held.claim(is_member=True) == ({A}, 2)
    assert held.epochs([A, B]) is None
    assert held.epoch_of(B) == 0


def test_what_stays_keeps_its_assignment_and_what_comes_back_has_another():
    held = holding(A, B)
    held.leave({B})
    held.left({B})
    assert held.begin({B, C}) == 2
    held.begun()
    assert held.epochs([A, B, C]) == {A: 1, B: 2, C: 2}


def test_a_member_that_was_forgotten_claims_nothing_and_commits_nothing():
    held = holding(A)
    assert held.claim(is_member=False) == NOTHING
    assert held.forgotten
    assert held.claim(is_member=True) == NOTHING, "also when it has a new name before it gave up"
    assert held.epochs([A]) is None
    assert held.all == {A}, "until the listener has finished with it"


@pytest.mark.parametrize("is_member", [True, False])
def test_a_member_that_holds_nothing_cannot_be_forgotten(is_member):
    held = Held()
    assert held.claim(is_member=is_member) == NOTHING
    assert not held.forgotten
