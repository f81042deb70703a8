"""Where a partition without a commit begins, and what it waits for."""

import pytest

from relay.model import Partition
from relay.road.consuming.new_partitions import Begun, Wait

OLD, NEW = Partition("a", 0), Partition("a", 1)


@pytest.mark.parametrize(
    ("by_pattern", "committed", "partition", "added", "at_first"),
    [
        (False, [], NEW, False, False),
        (True, [], NEW, False, False),
        (False, [OLD], NEW, True, True),
        (True, [OLD], NEW, True, True),
        (False, [OLD], Partition("b", 0), False, False),
        (True, [OLD], Partition("b", 0), False, True),
    ],
)
def test_what_was_found_later_begins_at_its_beginning(
    by_pattern, committed, partition, added, at_first
):
    begun = Begun(by_pattern=by_pattern)
    begun.found(committed)

    assert begun.added(partition) is added
    assert begun.begins_at_first(partition) is at_first


def test_a_topic_that_has_begun_is_not_looked_up_again():
    begun = Begun(by_pattern=False)
    assert begun.unknown(["a", "b"]) == {"a", "b"}
    begun.found([OLD])
    assert begun.unknown(["a", "b"]) == {"b"}


@pytest.mark.parametrize(
    ("passed", "missing"),
    [({}, 15), ({OLD: 4}, 11), ({OLD: 10}, 5), ({OLD: 99, NEW: 5}, 0), ({OLD: 99}, 5)],
)
def test_a_wait_is_over_when_every_old_partition_is_passed(passed, missing):
    assert Wait(since=0.0, targets={OLD: 10, NEW: 5}).missing(passed) == missing
