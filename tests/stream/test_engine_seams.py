"""Where two promises of the engine meet: outages and limits, groups and attempts, and so on."""

from relay.model import Answer, DeadLetterClass, Parcel
from relay.road.facts import RecordDefective
from relay.stream.facts import DestinationResumed
from relay.stream.sending.coalescing import CoalescingPolicy
from relay.stream.sending.gate import GatePolicy, GateState
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.retries import RetryPolicy
from tests.support.engine_kit import BAD, OK, OOPS, P0, WALL_MS, Bench, interpret, names
from tests.support.policies import tuned

WAIT_A_SECOND = Answer(429, {"retry-after": "1"})


def test_an_outage_that_ends_with_a_pause_begins_slowly_and_is_told_to_be_over():
    limit = tuned(LimitPolicy, max_in_flight=256, initial=16)
    bench = Bench(limit=limit, gate=GatePolicy(down_after_failures=3))
    bench.feed(*(f"user{n} 1" for n in range(400)))
    bench.engine.sender.destination.limit._move(256.0, "it took so many", bench.now)
    flights = bench.fly_all()
    assert len(flights) == limit.max_in_flight
    bench.later(0.1)
    for flight in flights:
        bench.answer(flight, OOPS)
    assert bench.engine.sender.destination.gate.state is GateState.DOWN

    bench.answer(bench.fly_when_open(), WAIT_A_SECOND)
    assert bench.engine.sender.destination.gate.state is GateState.PAUSED
    bench.later_until_open()
    assert len(bench.fly_all()) <= limit.initial
    (resumed,) = [f for f in bench.engine.custody.facts if isinstance(f, DestinationResumed)]
    assert resumed.after_s > 1.0, "the outage and the pause that ended it"


def test_members_of_a_group_that_failed_have_all_their_attempts_alone():
    retry = RetryPolicy(attempts_max=3, age_max_s=0.0, base_s=0.01)
    bench = Bench(coalescing=CoalescingPolicy(events_max=10), retry=retry)
    bench.feed("alice m1", "alice m2")
    left = []
    while not bench.engine.custody.letters:
        assert len(left) < 30
        bench.feed("bob m1")  # somebody else succeeds, so that failures count
        flights = bench.fly_all()
        for flight in sorted(flights, key=names, reverse=True):
            bench.answer(flight, OOPS if "alice" in names(flight) else OK)
        left += [names(flight) for flight in flights if "alice" in names(flight)]
        bench.later(1.0)
    assert left.count("alice m1 + alice m2") == retry.attempts_max
    assert left.count("alice m1") == retry.attempts_max


def windowed():
    return Bench(duplicates_window=100)


def test_a_dead_letter_that_is_replayed_is_no_duplicate():
    bench = windowed()
    bench.feed("alice 1")
    bench.answer(bench.fly(), BAD)
    bench.confirm_letters()
    bench.feed("alice 1")  # the same event at another place: a replay
    bench.answer(bench.fly(), OK)
    assert bench.ledger.delivered == 1
    assert bench.ledger.skipped.total() == 0


def test_what_was_given_back_is_no_duplicate_at_another_place():
    bench = windowed()
    bench.feed("alice 1")
    flight = bench.fly()
    bench.feed("alice 2")
    bench.reassign(P0)
    bench.next[P0] = 5  # the log was cut and grew again: the same events at other offsets
    bench.feed("alice 1", "alice 2")
    bench.answer(flight)
    assert bench.deliver_all() == ["alice 1", "alice 2"]


def test_what_was_delivered_or_flies_is_a_duplicate():
    bench = windowed()
    bench.feed("alice 1")
    flight = bench.fly()
    bench.feed("alice 1")
    bench.answer(flight)
    bench.feed("alice 1")
    assert bench.ledger.skipped == {"duplicate": 2}


class Odd(Exception):
    """What nobody expected; its text holds data."""


def test_a_defect_is_one_dead_letter_and_is_told_without_data():
    bench = Bench()

    def defective(record, now_ms):
        if record.value.startswith(b"odd"):
            raise Odd("somebody@example.com")
        return interpret(record, now_ms)

    bench.engine.interpret = defective
    bench.feed("alice 1", "odd 1", "bob 1")
    assert bench.deliver_all() == ["alice 1", "bob 1"]
    (letter,) = bench.confirm_letters()
    assert (letter.cls, letter.code) == (DeadLetterClass.UNMAPPABLE, "defect")
    (told,) = [f for f in bench.engine.custody.facts if isinstance(f, RecordDefective)]
    assert (told.error, told.position.offset) == ("Odd", 1)
    assert told.trace[-1].endswith("defective")
    assert "example.com" not in f"{told}{letter.reason}"
    assert bench.offset() == 3


def test_a_record_without_a_timestamp_is_not_late():
    bench = Bench()
    bench.feed("alice 1")
    flight = bench.fly()
    (member,) = flight.members
    member.parcel = Parcel(
        member.parcel.record._replace(timestamp_ms=-1), member.parcel.lane, member.parcel.payload
    )
    bench.answer(flight)
    assert bench.engine.sender.lateness.sum_s == 0.0
    assert bench.moment.wall_ms >= WALL_MS
