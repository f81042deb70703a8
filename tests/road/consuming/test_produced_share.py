"""Which part of the group's work is whose, by what was produced to the partitions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Partition
from relay.road.consuming.produced_share import ProducedShare

A, B, C, D = (Partition("events", number) for number in range(4))


def told(*ends_by_time):
    share = ProducedShare()
    for now, ends in ends_by_time:
        share.told(ends, now)
    return share


def test_before_anything_is_known_partitions_count():
    assert ProducedShare().of([A], 4) == 0.25


def test_where_nothing_is_produced_partitions_count():
    assert told((0.0, {A: 900, B: 7}), (10.0, {A: 900, B: 7})).of([A], 2) == 0.5


def test_what_was_in_the_log_before_does_not_count():
    share = told((0.0, {A: 10**9, B: 0}), (10.0, {A: 10**9, B: 100}))
    assert share.of([B], 2) == pytest.approx(1.0, abs=0.02)


def test_the_part_follows_what_is_produced():
    share = told((0.0, {A: 0, B: 0}), (10.0, {A: 3000, B: 1000}))
    assert share.of([A], 2) == pytest.approx(0.75, abs=0.001)
    share.told({A: 3000, B: 11_000}, 20.0)
    assert share.of([A], 2) < 0.25


def test_what_was_produced_long_ago_is_forgotten():
    share = told((0.0, {A: 0, B: 0}), (10.0, {A: 3000, B: 1000}), (3600.0, {A: 3000, B: 1000}))
    assert share.of([A], 2) == pytest.approx(0.5)


def test_what_a_broker_did_not_tell_is_counted_when_it_does():
    share = told((0.0, {A: 0, B: 0}), (10.0, {A: 1000}), (20.0, {A: 1000, B: 1000}))
    # The first thousand was produced ten seconds earlier.
    assert share.of([A], 2) == pytest.approx(1 / (1 + math.exp(10 / 60)), abs=0.001)


def test_a_topic_that_was_made_anew_counts_from_its_beginning():
    share = told((0.0, {A: 5000, B: 0}), (10.0, {A: 0, B: 100}), (20.0, {A: 100, B: 200}))
    assert 0.3 < share.of([A], 2) < 0.5


def test_partitions_of_a_topic_that_is_gone_count_no_more():
    share = told((0.0, {A: 0, B: 0}), (10.0, {A: 1000, B: 1000}))
    share.keep([B])
    share.told({B: 1000}, 20.0)
    assert share.of([B], 1) == 1.0
    assert share.of([B], 2) > 0.99


def test_a_member_without_partitions_has_no_part_and_one_with_all_has_everything():
    share = told((0.0, {A: 0, B: 0}), (10.0, {A: 10, B: 0}))
    assert share.of([], 2) == 0.0
    assert share.of([A, B], 2) == 1.0
    assert share.of([], 0) == 1.0


def test_looks_are_close_at_first_and_ten_seconds_apart_later():
    share = ProducedShare()
    assert [share.look_again_s() for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@given(
    st.lists(
        st.tuples(st.floats(0.0, 100.0), st.lists(st.integers(0, 10**9), min_size=4, max_size=4)),
        max_size=6,
    )
)
def test_the_parts_of_all_members_are_one_whole(looks):
    share = ProducedShare()
    now = 0.0
    for waited, ends in looks:
        now += waited
        share.told(dict(zip((A, B, C, D), ends, strict=True)), now)
    parts = [share.of(ours, 4) for ours in ([A, C], [B], [D])]
    assert sum(parts) == pytest.approx(1.0)
    assert min(parts) > 0.0
