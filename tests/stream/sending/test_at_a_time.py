"""How many a limiter of concurrency serves at a time, behind a network that wavers."""

import random

import pytest

from relay.stream.sending.at_a_time import AtATime


def told(counts, rounds=40):
    """`counts` has for each number under way how many are accepted and refused in a round."""
    found, answers = AtATime(), []
    for level, (accepted, refused) in counts.items():
        answers += [(level, False)] * accepted + [(level, True)] * refused
    random.Random(1).shuffle(answers)
    for _ in range(rounds):
        for level, refused in answers:
            found.add(level, refused=refused)
    return found


def test_it_is_the_number_above_which_some_are_refused():
    assert told({6: (20, 0), 7: (20, 0), 8: (15, 0), 9: (5, 2), 10: (2, 2)}).number == 8


def test_a_number_that_nobody_counted_says_nothing():
    assert told({0: (5, 5), 7: (20, 0), 8: (15, 0), 9: (5, 2)}).number == 8
    assert told({0: (20, 5)}).number is None


@pytest.mark.parametrize("share", [0.002, 0.01, 0.02, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(10))
def test_refusals_by_chance_divide_nothing(share, seed):
    rng, found = random.Random(seed), AtATime()
    for _ in range(5_000):
        level = max(1, round(rng.gauss(7, 2)))
        assert found.add(level, refused=rng.random() < share) is None
    assert found.number is None


def test_what_is_refused_below_as_well_is_no_limit_of_what_is_under_way():
    found = told({7: (20, 0), 8: (15, 0), 9: (5, 2)})
    assert found.number == 8
    for _ in range(500):
        found.add(5, refused=False)
        found.add(5, refused=True)
    assert found.number is None


def test_a_limit_that_was_lifted_is_forgotten():
    found = told({7: (20, 0), 8: (15, 0), 9: (5, 2)})
    for _ in range(10_000):
        found.add(9, refused=False)
        found.add(8, refused=False)
    assert found.number is None
