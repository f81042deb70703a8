"""Several destinations under one custody: what one of them meets is not told of another."""

import pytest

from relay.model import DeadLetterClass, Partition
from relay.road.custody import CustodyPolicy
from relay.stream.facts import DestinationDown
from relay.stream.sending.gate import GateState
from tests.support.engine_kit import BAD, OOPS, P0, P1
from tests.support.policies import changed
from tests.support.several import SeveralBench, said


@pytest.fixture
def bench():
    return SeveralBench("fr", "de")


def close(bench, name):
    """Let a destination fail until its gate is down."""
    for flight in bench.fly_all(name):
        bench.answer(name, flight, OOPS)
    assert bench.engine.senders[name].destination.gate.state is GateState.DOWN


def test_each_event_leaves_for_its_own(bench):
    bench.feed("fr a 1", "de b 1", "fr c 1")
    assert bench.deliver_all("fr") == ["fr a 1", "fr c 1"]
    assert bench.deliver_all("de") == ["de b 1"]
    assert bench.custody.ledger.delivered == 3
    assert bench.custody.ledger.balanced


def test_a_user_has_a_lane_to_each_destination(bench):
    bench.feed("fr a 1", "de a 2", "fr a 3")
    (to_fr,), (to_de,) = bench.fly_all("fr"), bench.fly_all("de")
    assert (said(to_fr), said(to_de)) == ("fr a 1", "de a 2")
    bench.answer("de", to_de)
    assert not bench.fly_all("fr")
    bench.answer("fr", to_fr)
    assert [said(flight) for flight in bench.fly_all("fr")] == ["fr a 3"]


def test_one_that_is_down_leaves_the_others_as_they_are(bench):
    bench.feed(*(f"fr u{number} 1" for number in range(10)), "de a 1", "de a 2")
    close(bench, "fr")
    assert bench.deliver_all("de") == ["de a 1", "de a 2"]
    assert [f.destination for f in bench.custody.facts if isinstance(f, DestinationDown)] == ["fr"]


def test_what_another_accepts_does_not_count_against_a_record_that_fails():
    # Alone at its destination, a record fails: nothing says that it is the record's fault.
    bench = SeveralBench("fr", "de", down_after=20)
    bench.feed("fr a 1")
    tried = 0
    for number in range(200):
        bench.feed(f"de u{number} 1")
        bench.deliver_all("de")
        bench.now += 0.1
        for flight in bench.fly_all("fr"):
            bench.answer("fr", flight, OOPS)
            tried += 1
    assert tried > 3, "it was not tried as often as would exhaust it"
    assert not bench.custody.letters


def test_a_dead_letter_names_its_destination_and_holds_its_lane_there_only(bench):
    bench.feed("fr a 1", "fr a 2", "de a 3")
    (flight,) = bench.fly_all("fr")
    bench.answer("fr", flight, BAD)
    (pending,) = bench.custody.next_letters(10)
    assert (pending.letter.destination, pending.letter.cls) == ("fr", DeadLetterClass.REFUSED)
    assert not bench.fly_all("fr")
    assert bench.deliver_all("de") == ["de a 3"]
    bench.custody.letters_written([pending])
    assert bench.deliver_all("fr") == ["fr a 2"]


def test_a_user_is_parked_at_one_destination_only():
    bench = SeveralBench("fr", "de", on_dead_letter="park_user", park_s=60)
    bench.feed("fr a 1")
    (flight,) = bench.fly_all("fr")
    bench.answer("fr", flight, BAD)
    bench.feed("fr a 2", "de a 3")
    assert bench.deliver_all("de") == ["de a 3"]
    letters = bench.custody.next_letters(10)
    assert [one.letter.cls for one in letters] == [
        DeadLetterClass.REFUSED,
        DeadLetterClass.FOLLOWED,
    ]
    bench.custody.letters_written(letters)
    assert bench.custody.ledger.balanced


def test_the_same_event_for_two_destinations_is_no_duplicate():
    bench = SeveralBench("fr", "de", duplicates_window=10)
    bench.feed("fr a 1", "de a 1", "fr a 1")
    assert bench.deliver_all("fr") == ["fr a 1"]
    assert bench.deliver_all("de") == ["de a 1"]
    assert bench.custody.ledger.skipped == {"duplicate": 1}


def test_what_leaves_with_its_partition_is_given_back_by_each():
    bench = SeveralBench("fr", "de", partitions=(P0, P1))
    bench.feed("fr a 1", "de b 1")
    bench.feed("fr c 1", partition=P1)
    bench.custody.leave([P0])
    bench.custody.drop([P0])
    assert bench.custody.ledger.returned == 2
    assert bench.deliver_all("fr") == ["fr c 1"]
    assert bench.custody.ledger.balanced


# -- memory -----------------------------------------------------------------------------------

P2 = Partition("events", 2)
SMALL = changed(CustodyPolicy(), memory_records_max=200, user_records_max=200)


def full_of(bench, name, partition):
    """Feed records of new users until the partition is paused, as Kafka would."""
    number = 0
    while partition not in bench.custody.paused():
        bench.feed(f"{name} u{number} 1", partition=partition)
        number += 1
        assert number <= SMALL.memory_records_max, "it was never paused"
    return number


def test_one_that_is_down_pauses_its_own_partitions_before_the_budget_is_full():
    bench = SeveralBench("fr", "de", partitions=(P0, P1), custody=SMALL)
    held = full_of(bench, "fr", P0)
    # Its guaranteed part is 25, the rest 150; counted in steps of 4.
    assert 175 <= held <= 180
    assert bench.custody.paused() == {P0}
    for number in range(1000):
        bench.feed(f"de u{number} 1", partition=P1)
        assert P1 not in bench.custody.paused()
        bench.deliver_all("de")
    assert bench.custody.ledger.open == held


def test_a_budget_that_was_full_opens_again_for_the_others():
    bench = SeveralBench("fr", "de", partitions=(P0, P1), custody=SMALL)
    full_of(bench, "fr", P0)
    number = 0
    while P1 not in bench.custody.paused():
        bench.feed(f"de u{number} 1", partition=P1)
        number += 1
    assert bench.custody.ledger.open <= SMALL.memory_records_max
    bench.deliver_all("de")
    assert bench.custody.paused() == {P0}


def test_a_partition_that_carries_both_pauses_for_both():
    bench = SeveralBench("fr", "de", partitions=(P0, P1, P2), custody=SMALL)
    bench.feed("de a 1", "fr b 1", partition=P2)
    bench.deliver_all("de")
    full_of(bench, "fr", P0)
    bench.feed("de a 2", partition=P2)
    assert bench.custody.paused() == {P0, P2}
    assert bench.deliver_all("de") == ["de a 2"]


def test_they_go_on_when_the_destination_is_back():
    bench = SeveralBench("fr", "de", partitions=(P0, P1), custody=SMALL)
    full_of(bench, "fr", P0)
    bench.deliver_all("fr")
    assert bench.custody.paused() == set()
