"""One memory budget, several destinations: whose share is used up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.road.consuming.intake import IntakePolicy, SetAside, full
from relay.stream.shares import GUARANTEED, Held, Shares, used_up
from tests.support.policies import tuned

held_by_each = st.lists(st.integers(0, 2000), min_size=2, max_size=5)


@pytest.mark.parametrize(
    ("held", "used"),
    [
        # Of 1,000: 250 guaranteed in three parts of 83, 750 for whoever needs them.
        ((832, 10, 10), (False, False, False)),
        ((834, 10, 10), (True, False, False)),
        ((500, 420, 10), (True, True, False)),
        ((83, 83, 83), (False, False, False)),
        ((0, 0, 0), (False, False, False)),
    ],
)
def test_what_exceeds_its_part_gets_no_more_when_the_rest_is_used_up(held, used):
    assert tuple(used_up(1000, held, was=False, resume_below=0.7)) == used


def test_it_goes_on_only_when_enough_is_free():
    assert used_up(1000, (700, 0), was=True, resume_below=0.7) == [True, False]
    assert used_up(1000, (640, 0), was=True, resume_below=0.7) == [False, False]


@given(held_by_each, st.booleans())
def test_nobody_is_held_up_within_its_guaranteed_part(held, was):
    part = 1000 * GUARANTEED / len(held)
    for one, is_used_up in zip(held, used_up(1000, held, was=was, resume_below=0.7), strict=True):
        assert not (is_used_up and one <= part)


@given(held_by_each)
def test_when_the_budget_is_full_somebody_is_held_up(held):
    if sum(held) >= 1000:
        assert any(used_up(1000, held, was=False, resume_below=0.7))


class Held_:  # noqa: N801 - something that holds
    def __init__(self, *homes):
        self.homes = list(homes)
        self.requests = 0
        self.size_bytes = 0

    def held(self):
        return Held(len(self.homes), self.size_bytes, frozenset(self.homes))


def looked(shares, *holding):
    return shares.look(
        sum(len(one.homes) for one in holding), sum(one.size_bytes for one in holding)
    )


def policy(**values):
    given = {"memory_records_max": 100, "memory_bytes_max": 1_000_000, "user_records_max": 100}
    return tuned(IntakePolicy, **(given | values))


def test_the_partitions_that_feed_it_pause_and_no_other():
    down, fine = Held_(*["p0"] * 90), Held_("p1")
    shares = Shares(policy(), (down, fine))

    assert looked(shares, down, fine) == SetAside(90, 0)

    assert shares.is_fed_by("p0")
    assert not shares.is_fed_by("p1")
    assert shares.is_used_up(down)
    assert not shares.is_used_up(fine)

    shares.came(down, "p1")  # a record of it on a partition that had none
    assert shares.is_fed_by("p1")


def test_a_few_large_records_use_up_a_share_too():
    down, fine = Held_("p0"), Held_("p1")
    down.size_bytes = 950_000
    shares = Shares(policy(), (down, fine))
    assert looked(shares, down, fine) == SetAside(1, 950_000)
    assert shares.is_fed_by("p0")


def test_a_partition_that_feeds_it_no_more_goes_on_when_it_is_counted_anew():
    down, fine = Held_(*["p0"] * 50, *["p1"] * 40), Held_()
    shares = Shares(policy(), (down, fine))
    looked(shares, down, fine)
    assert shares.is_fed_by("p1")

    down.homes = ["p0"] * 85
    looked(shares, down, fine)
    assert shares.is_fed_by("p0")
    assert not shares.is_fed_by("p1")


def test_all_go_on_when_it_has_drained():
    down, fine = Held_(*["p0"] * 90), Held_()
    shares = Shares(policy(), (down, fine))
    looked(shares, down, fine)
    down.homes = ["p0"] * 30
    assert looked(shares, down, fine) == SetAside(0, 0)
    assert not shares.is_fed_by("p0")


def test_what_is_set_aside_does_not_keep_a_full_budget_full():
    # One that is down holds 83 of 100; the others have filled the rest, and are done again.
    given = policy()
    assert full(given, 100, 0, was_full=False, aside=SetAside(83, 0))
    assert not full(given, 84, 0, was_full=True, aside=SetAside(83, 0))
    assert full(given, 84, 0, was_full=True)
