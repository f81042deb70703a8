import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.road.settling.frontier import Frontier
from relay.road.settling.offset_map import OffsetMap, decode, encode


class FrontierAgainstModel(RuleBasedStateMachine):
    """The frontier against the plain idea of it: a log with holes and the set of what is done."""

    def __init__(self):
        super().__init__()
        self.frontier = Frontier(OffsetMap(0, 0))
        self.next = 0
        self.log: list[int] = []
        self.done: set[int] = set()
        self.open: set[int] = set()
        self.position = 0

    def _arrive(self, offset):
        if self.frontier.seen_before(offset):
            assert offset in self.done, "a record that never met its fate would be skipped"
            self.frontier.taken(offset)
        else:
            self.frontier.taken(offset)
            self.open.add(offset)

    @rule(gap=st.integers(0, 3))
    def produce_and_take(self, gap):
        if self.position < len(self.log):
            offset = self.log[self.position]
        else:
            offset = self.next + gap
            self.log.append(offset)
            self.next = offset + 1
        self.position += 1
        self._arrive(offset)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def finish(self, data):
        offset = data.draw(st.sampled_from(sorted(self.open)))
        self.frontier.finished(offset)
        self.open.discard(offset)
        self.done.add(offset)

    @precondition(lambda self: self.open)
    @rule()
    def a_second_fate_is_refused(self):
        offset = min(self.open)
        self.frontier.finished(offset)
        self.open.discard(offset)
        self.done.add(offset)
        with pytest.raises(KeyError):
            self.frontier.finished(offset)

    @rule(bytes_max=st.sampled_from([25, 4096]))
    def restart_from_the_commit(self, bytes_max):
        snapshot = self.frontier.snapshot()
        encoded = encode(snapshot, bytes_max)
        start = decode(snapshot.offset, encoded.metadata) or OffsetMap(
            snapshot.offset, snapshot.offset
        )
        self.frontier = Frontier(start)
        self.open.clear()
        self.done = {o for o in self.done if o < start.offset or start.finished(o)}
        self.position = next(
            (i for i, o in enumerate(self.log) if o >= start.offset), len(self.log)
        )

    @rule(keep=st.integers(1, 4))
    def compact_what_is_not_read_yet(self, keep):
        tail = self.log[self.position :]
        self.log[self.position :] = tail[::keep]

    @rule(count=st.integers(1, 4))
    def delete_what_would_be_read_next(self, count):
        del self.log[self.position : self.position + count]
        follows = self.log[self.position :] or [self.next]
        self.frontier.pass_over(follows[0])
        assert self.frontier.next_offset == follows[0]

    @invariant()
    def nothing_open_is_passed(self):
        snapshot = self.frontier.snapshot()
        unread = self.log[self.position :]
        for offset in [*self.open, *(o for o in unread if o not in self.done)]:
            assert not snapshot.finished(offset)

    @invariant()
    def everything_done_that_was_read_is_known(self):
        snapshot = self.frontier.snapshot()
        for offset in self.log[: self.position]:
            assert snapshot.finished(offset) == (offset in self.done)


FrontierAgainstModel.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestFrontier = FrontierAgainstModel.TestCase


def test_offsets_come_in_order():
    frontier = Frontier(OffsetMap(0, 0))
    frontier.taken(5)
    with pytest.raises(AssertionError):
        frontier.taken(5)


def test_a_stuck_record_pins_the_frontier_and_is_named():
    frontier = Frontier(OffsetMap(0, 0))
    for offset in range(10):
        frontier.taken(offset)
    for offset in range(10):
        if offset != 3:
            frontier.finished(offset)
    assert frontier.lowest_open == 3
    assert frontier.snapshot() == OffsetMap(3, 10, (3,))


def test_what_an_earlier_life_finished_is_known_and_what_it_left_open_is_not():
    frontier = Frontier(OffsetMap(10, 15, (10, 13)))
    assert [offset for offset in range(10, 18) if frontier.seen_before(offset)] == [11, 12, 14]


def test_what_is_passed_over_is_committed_before_anything_follows():
    frontier = Frontier(OffsetMap(3, 9, (3, 6)))
    frontier.taken(3)
    frontier.pass_over(20)
    assert frontier.snapshot() == OffsetMap(3, 20, (3,))
    frontier.finished(3)
    assert frontier.snapshot() == OffsetMap(20, 20)


def test_what_is_withdrawn_comes_again_and_nothing_was_known_of_it():
    frontier = Frontier(OffsetMap(5, 5))
    frontier.taken(5)
    frontier.taken(8)  # after a gap
    frontier.withdraw(8)
    assert (frontier.next_offset, frontier.open_count) == (8, 1)
    frontier.finished(5)
    assert frontier.snapshot().offset == 8
    frontier.taken(8)
    assert frontier.snapshot() == OffsetMap(8, 9, (8,))


def test_what_was_open_in_an_earlier_life_is_open_still_when_it_is_withdrawn():
    frontier = Frontier(OffsetMap(3, 9, (3, 6)))
    frontier.taken(3)
    frontier.withdraw(3)
    assert frontier.open_count == 0
    assert frontier.snapshot() == OffsetMap(3, 9, (3, 6))
    frontier.taken(3)
    frontier.finished(3)
    assert frontier.snapshot() == OffsetMap(6, 9, (6,))
