"""Whether each user has a limit of their own: what shows it, what does not, and what ends it."""

import random

import pytest

from relay.stream.sending.each_user import EachUser


def answers(seen, seconds, refused, *, fresh_refused, start=0.0, seed=1):
    """A hundred answers a second, every fourth of them to one who was not just served."""
    rng = random.Random(seed)
    for number in range(int(seconds * 100)):
        fresh = number % 4 == 0
        share = fresh_refused if fresh else refused
        seen.add(start + number / 100, fresh=fresh, refused=rng.random() < share)


def test_refusals_of_those_only_who_were_just_served_show_it():
    seen = EachUser()
    answers(seen, 5.0, 0.5, fresh_refused=0.0)
    assert seen.found


def test_some_of_them_may_be_refused_too():
    """On a network the rests of users end a little early or late."""
    seen = EachUser()
    answers(seen, 5.0, 0.5, fresh_refused=0.15)
    assert seen.found


def test_refusals_of_all_alike_do_not():
    seen = EachUser()
    answers(seen, 60.0, 0.5, fresh_refused=0.5)
    assert not seen.found


@pytest.mark.parametrize("seed", range(20))
def test_a_few_by_chance_do_not(seed):
    seen = EachUser()
    found = []
    for second in range(60):
        answers(seen, 1.0, 0.05, fresh_refused=0.05, start=second, seed=seed * 1000 + second)
        found.append(seen.found)
    assert sum(found) <= 6


def test_it_stays_found_while_hardly_anything_is_refused():
    seen = EachUser()
    answers(seen, 5.0, 0.5, fresh_refused=0.0)
    answers(seen, 300.0, 0.01, fresh_refused=0.0, start=5.0)
    assert seen.found


def test_it_ends_when_those_are_refused_who_were_not_served():
    seen = EachUser()
    answers(seen, 5.0, 0.5, fresh_refused=0.0)
    answers(seen, 20.0, 0.5, fresh_refused=0.5, start=5.0)
    assert not seen.found
