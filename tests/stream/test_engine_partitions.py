"""Partitions come, leave and come back: what is fenced, what is skipped, what is committed."""

import pytest

from relay.model import Commit
from relay.road.custody import CustodyPolicy
from relay.road.facts import PartitionRewound
from relay.road.settling.facts import MetadataIgnored
from relay.road.settling.offset_map import OffsetMap, encode
from relay.stream.sending.limit import LimitPolicy
from tests.support.engine_kit import BAD, OOPS, P0, P1, Bench, names
from tests.support.policies import tuned

# -- fencing ----------------------------------------------------------------------------------


def test_records_of_an_earlier_assignment_are_not_taken():
    bench = Bench(epoch=2)
    bench.feed("a 1", epoch=1)
    assert bench.ledger.taken == 0
    assert bench.ledger.fenced == 1


def test_records_of_a_partition_that_is_not_ours_are_not_taken():
    bench = Bench(partitions=(P0,))
    bench.next[P1] = 0
    bench.feed("a 1", partition=P1)
    assert bench.ledger.taken == 0


def test_records_of_a_partition_that_is_leaving_are_not_taken():
    bench = Bench()
    bench.engine.custody.leave([P0])
    bench.feed("a 1")
    assert bench.ledger.taken == 0


@pytest.mark.parametrize("answer_is_good", [True, False])
def test_an_answer_that_comes_after_its_partition_left_settles_nothing(answer_is_good):
    bench = Bench()
    bench.feed("a 1")
    flight = bench.fly()
    bench.reassign(P0)
    bench.feed("a 1")
    bench.answer(flight) if answer_is_good else bench.answer(flight, BAD)
    assert bench.offset() == 0, "an answer of the old assignment moved the new one's offset"
    assert bench.ledger.fenced == 1
    assert bench.ledger.balanced
    assert bench.deliver_all() == ["a 1"]


def test_the_same_record_again_waits_for_the_flight_of_its_earlier_life():
    bench = Bench()
    bench.feed("a 1")
    flight = bench.fly()
    bench.reassign(P0)
    bench.feed("a 1", "a 2")
    assert bench.fly() is None, "two flights of one user"
    bench.answer(flight, OOPS)
    assert bench.deliver_all() == ["a 1", "a 2"]


def test_partitions_given_again_without_being_taken_away_begin_anew():
    """A session that was lost tells nobody that the partitions left."""
    bench = Bench()
    bench.feed("a 1", "b 1")
    bench.epoch += 1
    bench.assign(P0)
    bench.feed("a 1", "b 1")
    assert bench.ledger.balanced
    assert bench.ledger.open == 2
    assert sorted(bench.deliver_all()) == ["a 1", "b 1"]


# -- leaving ----------------------------------------------------------------------------------


def test_what_waits_is_given_back_and_what_flies_may_land():
    bench = Bench()
    bench.feed("a 1", "a 2", "b 1")
    flight = bench.fly()
    bench.engine.custody.leave([P0])
    assert bench.ledger.returned == 2
    assert bench.fly() is None
    assert bench.engine.custody.is_busy([P0])
    bench.answer(flight)
    assert not bench.engine.custody.is_busy([P0])
    assert bench.offset() == 1


def test_what_fails_while_its_partition_leaves_is_given_back():
    bench = Bench()
    bench.feed("a 1")
    flight = bench.fly()
    bench.engine.custody.leave([P0])
    bench.answer(flight, OOPS)
    assert not bench.engine.custody.is_busy([P0])
    assert bench.ledger.returned == 1
    assert bench.engine.sender.lanes.count == 0


def test_other_partitions_go_on():
    bench = Bench(partitions=(P0, P1))
    bench.feed("a 1", partition=P0)
    bench.feed("b 1", partition=P1)
    bench.engine.custody.leave([P0])
    bench.engine.custody.drop([P0])
    assert bench.deliver_all() == ["b 1"]
    assert bench.ledger.balanced


def test_a_dead_letter_on_its_way_keeps_a_leaving_partition_busy():
    bench = Bench()
    bench.feed("? x")
    bench.engine.custody.leave([P0])
    assert bench.engine.custody.is_busy([P0])
    bench.confirm_letters()
    assert not bench.engine.custody.is_busy([P0])
    assert bench.offset() == 1


def test_dropping_leaves_nothing_behind():
    bench = Bench()
    bench.feed("a 1", "a 2", "? x", "b 1")
    flight = bench.fly()
    bench.answer(bench.fly(), OOPS)
    bench.engine.custody.drop([P0])
    bench.answer(flight)
    engine = bench.engine
    assert (engine.custody.ledger.open, engine.custody.ledger.open_bytes) == (0, 0)
    assert (
        engine.sender.lanes.count,
        engine.sender.lanes.waiting,
        engine.sender.lanes.in_flight,
    ) == (0, 0, 0)
    assert not engine.custody.letters
    assert engine.custody.ledger.balanced


# -- commits and restarts ---------------------------------------------------------------------


def test_what_finished_beyond_a_stuck_record_is_not_sent_again_after_a_restart():
    bench = Bench()
    bench.feed("stuck 1", *(f"user{n} 1" for n in range(50)))
    stuck = bench.fly()
    bench.deliver_all()
    commits = bench.commit()
    assert commits[P0].offset == 0
    bench.answer(stuck, OOPS)
    bench.reassign(P0, commits=commits)
    bench.feed("stuck 1", *(f"user{n} 1" for n in range(50)), "new 1")
    assert bench.ledger.skipped == {"settled_before_restart": 50}
    assert bench.deliver_all() == ["stuck 1", "new 1"]
    assert bench.offset() == 52


def test_without_the_map_everything_behind_a_stuck_record_is_sent_again():
    bench = Bench(custody=CustodyPolicy(offset_map=False))
    bench.feed("stuck 1", *(f"user{n} 1" for n in range(50)))
    stuck = bench.fly()
    bench.deliver_all()
    commits = bench.commit()
    assert commits[P0] == Commit(0, "")
    bench.answer(stuck, OOPS)
    bench.reassign(P0, commits=commits)
    bench.feed("stuck 1", *(f"user{n} 1" for n in range(50)))
    assert bench.ledger.open == 51


@pytest.mark.parametrize("metadata", ["written by somebody else", "r1 00000000 abc", "r9 x y"])
def test_metadata_that_is_not_ours_is_ignored_counted_and_replaced(metadata):
    bench = Bench()
    bench.reassign(P0, commits={P0: Commit(5, metadata)})
    assert [type(fact) for fact in bench.engine.custody.facts] == [MetadataIgnored]
    assert bench.commit() == {P0: Commit(5, "")}
    bench.feed("a 1")
    assert bench.deliver_all() == ["a 1"]
    assert bench.offset() == 6


def test_a_map_beside_another_offset_is_not_believed():
    text = encode(OffsetMap(5, 10, (5,))).metadata
    bench = Bench()
    bench.reassign(P0, commits={P0: Commit(6, text)})
    bench.feed("a 1", "a 2")
    assert bench.deliver_all() == ["a 1", "a 2"]


def test_only_what_has_changed_is_committed():
    bench = Bench(partitions=(P0, P1))
    assert bench.commit() == {}
    bench.feed("a 1")
    assert bench.commit()[P0].offset == 0
    assert bench.commit() == {}
    bench.deliver_all()
    assert bench.commit() == {P0: Commit(1)}
    assert bench.commit() == {}


def test_a_commit_that_was_not_confirmed_is_made_again():
    bench = Bench()
    bench.feed("a 1")
    bench.deliver_all()
    assert bench.engine.custody.commits(bench.now) == {P0: Commit(1)}
    assert bench.engine.custody.commits(bench.now) == {P0: Commit(1)}


def test_gaps_hold_nothing_up():
    bench = Bench()
    bench.feed("a 1", offset=3)
    bench.feed("a 2", offset=9)
    assert bench.deliver_all() == ["a 1", "a 2"]
    assert bench.commit() == {P0: Commit(10)}


def test_a_map_that_does_not_fit_costs_repeats_and_loses_nothing():
    bench = Bench(
        custody=tuned(CustodyPolicy, map_bytes_max=30),
        limit=LimitPolicy(fixed_limit=True, max_in_flight=1000),
    )
    users = [f"user{n} 1" for n in range(400)]
    bench.feed(*users)
    sent = set()
    flights = bench.fly_all()
    for flight in flights[1::2]:
        bench.answer(flight)
        sent.add(names(flight))
    commits = bench.commit()
    assert bench.engine.custody.assigned[P0].map_fill == 1.0
    assert len(commits[P0].metadata) <= 30
    bench.reassign(P0, commits=commits)
    for flight in flights[::2]:
        bench.answer(flight, OOPS)
    bench.feed(*users[commits[P0].offset :])
    assert sent | set(bench.deliver_all()) == set(users)


# -- a log that was cut -----------------------------------------------------------------------


def test_offsets_that_go_back_are_new_records():
    bench = Bench()
    bench.feed("a 1", "a 2", "a 3")
    flight = bench.fly()
    bench.feed("b 1", offset=1)
    assert [type(fact) for fact in bench.engine.custody.facts] == [PartitionRewound]
    bench.answer(flight)
    assert bench.deliver_all() == ["b 1"]
    assert bench.commit() == {P0: Commit(2)}
    assert bench.ledger.balanced


def test_after_a_log_was_cut_no_event_is_taken_for_a_repeat_of_one_that_is_gone():
    bench = Bench(duplicates_window=10)
    bench.feed("a 1", "a 2")
    bench.feed("a 2", offset=0)
    assert bench.deliver_all() == ["a 2"]
