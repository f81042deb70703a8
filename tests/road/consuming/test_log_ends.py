"""The two ends of a partition, and since when the first has stood still."""

from relay.model import Partition
from relay.road.consuming.log_ends import LogEnds

HERE, THERE = Partition("events", 0), Partition("events", 1)


def test_without_an_open_transaction_nothing_is_held_back():
    ends = LogEnds()
    ends.told(HERE, 7, 7, 1.0)

    assert ends.readable(HERE) == 7
    assert ends.readable(THERE) is None
    assert (ends.held_back, ends.held_since) == ({}, {})


def test_what_is_held_back_is_counted_from_when_the_first_end_stood_still():
    ends = LogEnds()
    ends.told(HERE, 7, 9, 1.0)
    ends.told(HERE, 7, 12, 2.0)
    assert (ends.held_back, ends.held_since) == ({HERE: 5}, {HERE: 1.0})

    ends.told(HERE, 8, 12, 3.0)
    assert (ends.held_back, ends.held_since) == ({HERE: 4}, {HERE: 3.0})

    ends.told(HERE, 12, 12, 4.0)
    assert (ends.held_back, ends.held_since) == ({}, {})


def test_a_transaction_at_the_end_of_what_was_read_counts_from_when_it_was_seen():
    ends = LogEnds()
    ends.told(HERE, 7, 7, 1.0)
    ends.told(HERE, 7, 8, 50.0)

    assert ends.held_since == {HERE: 50.0}


def test_what_was_taken_away_is_forgotten():
    ends = LogEnds()
    ends.told(HERE, 7, 9, 1.0)
    ends.told(THERE, 7, 9, 1.0)
    ends.keep([THERE])

    assert ends.readable(HERE) is None
    assert (set(ends.held_back), set(ends.held_since)) == ({THERE}, {THERE})
