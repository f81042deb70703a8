"""The memory budget: where taking stops, where it starts again, and that it always does."""

import random

import pytest

from relay.road.custody import CustodyPolicy
from relay.stream.sending.limit import LimitPolicy
from tests.support.engine_kit import OK, P0, P1, Bench
from tests.support.policies import tuned


def users(first, last):
    return [f"user{n} 1" for n in range(first, last)]


def test_taking_stops_at_the_budget_and_starts_again_well_below_it():
    bench = Bench(custody=tuned(CustodyPolicy, memory_records_max=10, resume_below=0.5))
    bench.feed(*users(0, 9))
    assert bench.engine.custody.paused() == set()
    bench.feed(*users(9, 10))
    assert bench.engine.custody.paused() == {P0}
    flights = bench.fly_all()
    for flight in flights[:5]:
        bench.answer(flight)
        assert bench.engine.custody.paused() == {P0}
    bench.answer(flights[5])
    assert bench.engine.custody.paused() == set()


def test_the_budget_in_bytes_counts_as_well():
    bench = Bench(custody=tuned(CustodyPolicy, memory_bytes_max=50_000))
    bench.feed("a " + "x" * 10_000)
    assert bench.engine.custody.paused() == set()
    bench.feed("b " + "x" * 20_000)
    assert bench.engine.custody.paused() == {P0}
    bench.deliver_all()
    assert bench.engine.custody.paused() == set()
    assert bench.ledger.open_bytes == 0


def test_a_record_larger_than_the_whole_budget_goes_through():
    bench = Bench(custody=tuned(CustodyPolicy, memory_bytes_max=1_000))
    bench.feed("a " + "x" * 10_000, "b 1")
    assert bench.engine.custody.paused() == {P0}
    assert len(bench.deliver_all()) == 2
    assert bench.engine.custody.paused() == set()


def test_dead_letters_that_are_not_confirmed_use_the_budget():
    bench = Bench(custody=CustodyPolicy(memory_records_max=3))
    bench.feed("? 1", "? 2", "! 3")
    assert bench.engine.custody.paused() == {P0}
    bench.confirm_letters()
    assert bench.engine.custody.paused() == set()


def test_it_asks_for_what_there_is_room_for():
    bench = Bench(custody=tuned(CustodyPolicy, memory_records_max=10, poll_records_max=8))
    assert bench.engine.custody.room() == 8
    bench.feed(*users(0, 7))
    assert bench.engine.custody.room() == 3
    bench.feed(*users(7, 12))
    assert bench.engine.custody.room() == 1


def test_one_user_may_fill_only_so_much_of_the_budget_and_its_partition_pauses():
    bench = Bench(
        partitions=(P0, P1),
        custody=tuned(CustodyPolicy, user_records_max=10, resume_below=0.5),
        limit=LimitPolicy(fixed_limit=True, max_in_flight=1),
    )
    bench.feed(*(f"hot {n}" for n in range(10)))
    assert bench.engine.custody.paused() == {P0}
    for _ in range(5):
        assert bench.engine.custody.paused() == {P0}
        bench.answer(bench.fly())
    assert bench.engine.custody.paused() == set()


def test_a_crowded_lane_that_leaves_pauses_nobody_afterwards():
    bench = Bench(custody=CustodyPolicy(user_records_max=3))
    bench.feed("hot 1", "hot 2", "hot 3")
    assert bench.engine.custody.paused() == {P0}
    bench.reassign(P0)
    assert bench.engine.custody.paused() == set()
    assert not bench.engine.custody.assigned[P0].crowded


def test_a_filling_map_narrows_its_own_partition_only():
    bench = Bench(
        partitions=(P0, P1),
        custody=tuned(CustodyPolicy, memory_records_max=1000, map_bytes_max=60),
        limit=LimitPolicy(fixed_limit=True, max_in_flight=1000),
    )
    bench.feed(*users(0, 300), partition=P0)
    bench.feed("calm 1", partition=P1)
    assert bench.engine.custody.paused() == set()
    chance = random.Random(1)
    for flight in bench.fly_all():
        if chance.random() < 0.5:
            bench.answer(flight)
    bench.commit()
    assert bench.engine.custody.assigned[P0].map_fill > 0.5
    assert bench.engine.custody.paused() == {P0}
    assert bench.engine.custody.assigned[P1].map_fill == 0.0


@pytest.mark.parametrize("map_bytes_max", [10, 40, 4096])
@pytest.mark.parametrize("records_max", [1, 2, 10])
@pytest.mark.parametrize("lane_records_max", [1, 3])
def test_no_budget_however_small_stands_still(map_bytes_max, records_max, lane_records_max):
    bench = Bench(
        custody=tuned(
            CustodyPolicy,
            memory_records_max=records_max,
            user_records_max=lane_records_max,
            map_bytes_max=map_bytes_max,
        ),
    )
    log = [f"user{n % 7} {n}" for n in range(60)]
    for _ in range(2000):
        if bench.next[P0] == len(log) and not bench.ledger.open:
            break
        if P0 not in bench.engine.custody.paused():
            at = bench.next[P0]
            bench.feed(*log[at : at + bench.engine.custody.room()])
        for flight in bench.fly_all():
            bench.answer(flight, OK)
        bench.later(1.0)
        bench.commit()
    assert bench.offset() == len(log)
    assert bench.ledger.delivered == len(log)


def test_when_stopped_nothing_is_taken():
    bench = Bench()
    bench.engine.custody.stop()
    assert bench.engine.custody.paused() == {P0}
