"""How much was handed out and is not committed."""

from relay.model import Partition
from relay.road.consuming.taken import Taken

ONE, TWO, OTHER = Partition("a", 0), Partition("a", 1), Partition("b", 0)


def test_what_was_handed_out_counts_until_a_commit_passes_it():
    taken = Taken()
    taken.took(ONE, 10, 14)
    taken.took(ONE, 15, 19)
    taken.took(TWO, 0, 0)
    assert taken.uncommitted([ONE, TWO, OTHER]) == {"a": 11, "b": 0}
    assert (taken.next_offset(ONE), taken.next_offset(OTHER)) == (20, 0)

    taken.committed(ONE, 17)
    taken.committed(ONE, 12)  # an older one
    taken.committed(OTHER, 5)  # nothing was taken from it
    assert taken.uncommitted([ONE, TWO]) == {"a": 4}
    taken.committed(ONE, 25)
    assert taken.uncommitted([ONE]) == {"a": 0}

    taken.forget([TWO])
    assert taken.uncommitted([ONE, TWO]) == {"a": 0}
    assert (taken.position(ONE), taken.position(TWO)) == (20, None)


def test_where_reading_goes_on_is_behind_what_was_handed_out_unless_it_was_moved():
    taken = Taken()
    assert taken.position(ONE) is None
    taken.begins(ONE, 5)
    assert taken.position(ONE) == 5
    taken.took(ONE, 5, 9)
    taken.begins(ONE, 5)  # looked up again
    assert taken.position(ONE) == 10
    taken.moved(ONE, 100)
    assert taken.position(ONE) == 100


def test_what_is_put_back_is_not_handed_out():
    taken = Taken()
    taken.took(ONE, 10, 19)
    taken.put_back(ONE, 12)
    assert taken.next_offset(ONE) == 12
    assert taken.uncommitted([ONE]) == {"a": 2}
    taken.put_back(ONE, 10)
    assert taken.uncommitted([ONE]) == {"a": 0}
