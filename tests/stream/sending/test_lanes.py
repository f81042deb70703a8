"""Lanes against the plain idea of them: a queue per user, one flight per queue, turns."""

from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.model import Parcel, Partition, Record, Request, RequestKind
from relay.road.settling.assigned import Assigned
from relay.road.settling.frontier import Frontier
from relay.road.settling.offset_map import OffsetMap
from relay.stream.sending.lanes import Lanes, Waiting


def assigned(number=0):
    return Assigned(Partition("events", number), 1, Frontier(OffsetMap(0, 0)))


def waiting(lane, number, where):
    record = Record("events", where.partition.number, number, 0, None, b"")
    return Waiting(Parcel(record, lane, Request("POST", "/", b"")), lane, where, 1)


def alone(members, candidate):
    return False


def in_twos(members, candidate):
    return len(members) < 2


def ready_lanes(lanes):
    return [lane for line in lanes._ready.values() for lane in line]


class LanesAgainstModel(RuleBasedStateMachine):
    """`self.queues` is the model: what each lane holds, in order, its flight first."""

    def __init__(self):
        super().__init__()
        self.lanes = Lanes()
        self.partitions = [assigned(0), assigned(1)]
        self.queues = defaultdict(list)
        self.flying = {}
        self.resting = {}
        self.held = set()
        self.turns = {}
        self.flights = 0
        self.count = 0
        self.now = 0.0

    def _ready(self):
        return {
            lane
            for lane, queue in self.queues.items()
            if queue and not {lane} & (self.flying.keys() | self.resting.keys() | self.held)
        }

    @rule(lane=st.integers(0, 4), where=st.integers(0, 1))
    def add(self, lane, where):
        self.count += 1
        entry = waiting(lane, self.count, self.partitions[where])
        self.lanes.add(entry)
        self.queues[lane].append(entry)

    @rule(joins=st.sampled_from([alone, in_twos]))
    def take(self, joins):
        ready = self._ready()
        members = self.lanes.take(joins)
        if not ready:
            assert members is None
            return
        lane = members[0].lane
        assert lane in ready, "it is not the turn of a lane that flies, rests or is empty"
        expected = self.queues[lane][: 1 if joins is alone else 2]
        assert members == expected, "the head of the lane, in order"
        self.flying[lane] = members
        self.flights += 1
        for other in ready - {lane}:
            self.turns[other] = self.turns.get(other, 0) + 1
            assert self.turns[other] <= 5, "a ready lane is passed over more than once by another"
        self.turns.pop(lane, None)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def done(self, data):
        lane = data.draw(st.sampled_from(sorted(self.flying)))
        self.lanes.done(lane)
        members = self.flying.pop(lane)
        self.queues[lane] = self.queues[lane][len(members) :]

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def hold(self, data):
        lane = data.draw(st.sampled_from(sorted(self.flying)))
        self.lanes.hold(lane)
        self.queues[lane] = self.queues[lane][len(self.flying.pop(lane)) :]
        self.held.add(lane)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data):
        lane = data.draw(st.sampled_from(sorted(self.held)))
        self.lanes.release(lane)
        self.held.discard(lane)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), rest=st.one_of(st.none(), st.floats(0.0, 10.0)))
    def back(self, data, rest):
        lane = data.draw(st.sampled_from(sorted(self.flying)))
        until = None if rest is None else self.now + rest
        self.lanes.back(lane, until)
        del self.flying[lane]
        if until is not None:
            self.resting[lane] = until

    @rule(seconds=st.floats(0.0, 5.0))
    def time_passes(self, seconds):
        self.now += seconds
        while (alarm := self.lanes.next_alarm()) is not None and alarm <= self.now:
            self.lanes.wake_next()
            woken = [lane for lane, until in self.resting.items() if until == alarm]
            ready = [lane for lane in woken if lane in ready_lanes(self.lanes)]
            assert len(ready) >= 1
            del self.resting[ready[0]]

    @rule()
    def wake_all(self):
        self.lanes.wake_all()
        self.resting.clear()

    @rule(where=st.integers(0, 1))
    def a_partition_leaves(self, where):
        gone = self.partitions[where]
        dropped = self.lanes.drop(lambda entry: entry.assigned is gone)
        expected = []
        for lane, queue in self.queues.items():
            flying = self.flying.get(lane, [])
            rest = queue[len(flying) :]
            expected += [entry for entry in rest if entry.assigned is gone]
            if rest and not flying and rest[0].assigned is gone:
                self.resting.pop(lane, None)
            self.queues[lane] = flying + [entry for entry in rest if entry.assigned is not gone]
        assert sorted(map(id, dropped)) == sorted(map(id, expected)), "waits and is gone: no other"
        self.partitions[where] = assigned(where)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def followers_follow_a_dead_record(self, data):
        lane = data.draw(st.sampled_from(sorted(self.flying)))
        taken = self.lanes.followers(lane)
        assert taken == self.queues[lane][len(self.flying[lane]) :]
        self.queues[lane] = list(self.flying[lane])

    @invariant()
    def nothing_is_lost_and_every_count_is_right(self):
        flying = sum(map(len, self.flying.values()))
        total = sum(map(len, self.queues.values()))
        assert self.lanes.in_flight == len(self.flying)
        assert self.lanes.waiting == total - flying
        assert list(self.lanes.flying()) == [w for m in self.flying.values() for w in m]
        assert sorted(map(id, self.lanes.queued())) == sorted(
            id(w) for lane, q in self.queues.items() for w in q[len(self.flying.get(lane, [])) :]
        )
        assert self.lanes.count == sum(
            1 for lane, queue in self.queues.items() if queue or lane in self.held
        )
        assert self.lanes.resting == len(self.resting)
        for lane, queue in self.queues.items():
            assert self.lanes.length(lane) == len(queue)

    @invariant()
    def whatever_may_fly_is_ready_and_whatever_rests_will_wake(self):
        assert self.lanes.has_ready == bool(self._ready())
        assert sorted(ready_lanes(self.lanes)) == sorted(self._ready())
        assert self.lanes.next_alarm() == min(self.resting.values(), default=None)


LanesAgainstModel.TestCase.settings = settings(max_examples=200, stateful_step_count=50)
TestLanes = LanesAgainstModel.TestCase


def test_a_hot_lane_takes_turns_with_the_others():
    lanes, where = Lanes(), assigned()
    for number in range(1000):
        lanes.add(waiting("hot", number, where))
    for number in range(5):
        lanes.add(waiting(f"cold {number}", number, where))
    order = []
    while len(order) < 12:
        (member,) = lanes.take(alone)
        order.append(member.lane)
        lanes.done(member.lane)
    assert order[:6] == ["hot", *(f"cold {number}" for number in range(5))]
    assert order[6:] == ["hot"] * 6


def test_a_lane_that_is_done_leaves_nothing_behind():
    lanes, where = Lanes(), assigned()
    for number in range(1000):
        lanes.add(waiting(number, number, where))
        (member,) = lanes.take(alone)
        lanes.back(member.lane, 1.0)
        lanes.next_alarm()
        lanes.wake_next()
        lanes.take(alone)
        lanes.done(member.lane)
    assert (lanes.count, lanes.in_flight, lanes.waiting, lanes.resting) == (0, 0, 0, 0)
    assert not any(vars(lanes)[name] for name in ("_queues", "_flying", "_held"))
    assert not ready_lanes(lanes)
    assert (lanes.resting, lanes.paused) == (0, 0)


def test_two_flights_of_one_lane_are_impossible():
    lanes, where = Lanes(), assigned()
    lanes.add(waiting("a", 1, where))
    lanes.add(waiting("a", 2, where))
    lanes.take(alone)
    lanes._ready[RequestKind.ACTIVITY].append("a")
    with pytest.raises(AssertionError, match="two flights"):
        lanes.take(alone)
