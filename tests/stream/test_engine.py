"""What becomes of a record, answer by answer: fates, failures, holds, parking, windows."""

import re

import pytest

from relay.model import Answer, DeadLetterClass, VerdictKind
from relay.stream.policy import OnDeadLetter
from relay.stream.sending.coalescing import CoalescingPolicy
from relay.stream.sending.gate import GatePolicy, GateState
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.retries import RetryPolicy
from relay.stream.sending.verdicts import DEFAULT_RULES, Rule, statuses
from relay.telemetry.facts import RecordDeadLettered
from tests.support.engine_kit import BAD, BUSY, OK, OOPS, TIMEOUT, UNAUTHORISED, Bench, names
from tests.support.policies import tuned

PATIENT = tuned(GatePolicy, down_after_failures=10_000)
"""A gate that does not take failures for an outage."""


# -- fates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "skipped", "dead"),
    [
        ("- x", {"no_consent": 1}, None),
        ("? x", {}, ("undecodable", "not_json")),
        ("! x", {}, ("unmappable", "no_identifier")),
    ],
)
def test_what_is_not_sent_has_a_fate_with_a_reason(value, skipped, dead):
    bench = Bench()
    bench.feed(value)
    assert dict(bench.ledger.skipped) == skipped
    assert [(letter.cls, letter.code) for letter in bench.confirm_letters()] == [dead] * bool(dead)
    assert bench.ledger.open == 0
    assert bench.offset() == 1


def test_a_delivered_record_moves_the_offset():
    bench = Bench()
    bench.feed("a 1")
    assert bench.offset() == 0
    bench.answer(bench.fly())
    assert bench.offset() == 1
    assert bench.ledger.delivered == 1
    assert bench.ledger.open_bytes == 0


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_refused_record_is_dead_at_once_and_the_offset_waits_for_the_broker(status):
    bench = Bench()
    bench.feed("a 1")
    bench.answer(bench.fly(), Answer(status, {}, b"no such thing"))
    assert bench.offset() == 0, "the offset moved before the dead letter was confirmed"
    (letter,) = bench.confirm_letters()
    assert (letter.cls, letter.status, letter.code) == (
        DeadLetterClass.REFUSED,
        status,
        f"http_{status}",
    )
    assert (letter.excerpt, letter.attempts) == ("no such thing", 1)
    assert letter.record.value == b"a 1"
    assert bench.offset() == 1
    assert bench.ledger.dead_lettered == {"refused": 1}


def test_a_dead_letter_tells_its_history():
    bench = Bench(retry=RetryPolicy(attempts_max=3, age_max_s=10.0, cap_s=0.5), gate=PATIENT)
    bench.feed("bad 1")
    began_ms = bench.moment.wall_ms
    fail_beside_others(bench, 10, 30.0)
    (letter,) = bench.confirm_letters()
    assert letter.cls is DeadLetterClass.EXHAUSTED
    assert (letter.status, letter.code, letter.excerpt) == (500, "http_500", "oops")
    assert letter.attempts == 4, "the first failure does not count: nothing else had succeeded"
    assert letter.first_attempt_ms == began_ms
    assert letter.last_attempt_ms == began_ms + 90_000


def test_a_dead_letter_is_told_when_it_is_confirmed_and_not_before():
    bench = Bench()
    bench.feed("? x")
    assert bench.engine.custody.facts == []
    bench.confirm_letters()
    (fact,) = bench.engine.custody.facts
    assert isinstance(fact, RecordDeadLettered)
    assert fact.code == "not_json"


@pytest.mark.parametrize("answer", [BUSY, OOPS, TIMEOUT, UNAUTHORISED])
def test_no_other_answer_settles_a_record(answer):
    bench = Bench()
    bench.feed("a 1")
    bench.answer(bench.fly(), answer)
    assert bench.ledger.open == 1
    assert not bench.engine.custody.letters
    assert bench.offset() == 0


# -- order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [BUSY, OOPS, TIMEOUT, UNAUTHORISED])
def test_a_retry_never_lets_a_later_event_of_the_user_pass(answer):
    bench = Bench()
    bench.feed("a 1", "a 2", "a 3")
    flight = bench.fly()
    assert bench.fly() is None, "two flights of one user"
    bench.answer(flight, answer)
    assert bench.deliver_all() == ["a 1", "a 2", "a 3"]


def test_nothing_follows_a_dead_record_before_its_dead_letter_is_confirmed():
    """Killed in between, it would be tried again, and arrive after its successor."""
    bench = Bench()
    bench.feed("a 1", "a 2", "b 1")
    bench.answer(bench.fly(), BAD)
    assert [names(flight) for flight in bench.fly_all()] == ["b 1"]
    bench.confirm_letters()
    assert [names(flight) for flight in bench.fly_all()] == ["a 2"]


def test_a_failing_head_holds_its_own_lane_only():
    bench = Bench(gate=PATIENT)
    bench.feed("a 1", "a 2", "b 1", "c 1")
    bench.answer(bench.fly(), OOPS)
    assert [names(flight) for flight in bench.fly_all()] == ["b 1", "c 1"]


def test_records_without_a_lane_fly_all_at_once():
    bench = Bench()
    bench.feed("* 1", "* 2", "* 3")
    assert len(bench.fly_all()) == 3


# -- whose fault it is ------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [BUSY, OOPS, TIMEOUT, UNAUTHORISED, Answer(503), Answer(302)])
def test_while_nothing_succeeds_no_attempt_is_burnt(answer):
    bench = Bench(retry=RetryPolicy(attempts_max=3, age_max_s=10.0))
    bench.feed("a 1", "b 1")
    for _ in range(500):
        bench.answer(bench.fly_when_open(), answer)
        bench.later(5.0)
    assert not bench.engine.custody.letters
    assert all(waiting.failures == 0 for waiting in bench.engine.sender.lanes.queued())
    assert sorted(bench.deliver_all()) == ["a 1", "b 1"]


def fail_beside_others(bench, times, seconds):
    """Let "bad" fail so often while others succeed, with so much time between."""
    flight = bench.fly()
    for number in range(times):
        bench.answer(flight, OOPS)
        if bench.engine.custody.letters:
            return
        bench.feed(f"good {number}")
        bench.answer(bench.fly(), OK)
        bench.later(seconds)
        flight = bench.fly()
        assert names(flight) == "bad 1"


@pytest.mark.parametrize(
    ("times", "seconds", "dead"),
    [(5, 1.0, False), (2, 400.0, False), (5, 400.0, True), (12, 200.0, True)],
)
def test_a_record_is_given_up_after_both_so_many_failures_and_so_long(times, seconds, dead):
    bench = Bench(retry=RetryPolicy(attempts_max=4, age_max_s=600.0, cap_s=0.5), gate=PATIENT)
    bench.feed("bad 1")
    fail_beside_others(bench, times, seconds)
    assert bool(bench.engine.custody.letters) is dead
    assert all(
        item.letter.cls is DeadLetterClass.EXHAUSTED for item in bench.engine.custody.letters
    )


def test_throttling_never_counts_against_a_record():
    bench = Bench(retry=RetryPolicy(attempts_max=1, age_max_s=0.0), gate=PATIENT)
    bench.feed("bad 1", "good 1", "good 2", "good 3")
    for _ in range(3):
        flight = bench.fly()
        assert names(flight) != "good 9"
        bench.answer(flight, BUSY if names(flight) == "bad 1" else OK)
        bench.later(60.0)
    assert not bench.engine.custody.letters


# -- what everybody waits for -----------------------------------------------------------------


def test_a_pause_that_all_are_asked_for_stops_everybody():
    bench = Bench()
    bench.feed(*(f"user{n} 1" for n in range(5)))
    for flight in bench.fly_all():
        bench.answer(flight, Answer(429, {"retry-after": "20"}))
    bench.feed("late 1")
    assert bench.fly() is None
    assert bench.later(19.9).fly() is None
    assert bench.later(0.2).fly() is not None


def test_a_pause_that_one_is_asked_for_stops_nobody_else():
    bench = Bench()
    bench.feed("a 1", "a 2", "b 1", "b 2", "c 1")
    slow = bench.fly()
    assert names(slow) == "a 1"
    bench.answer(slow, Answer(429, {"retry-after": "20"}))
    left = []
    while (flight := bench.fly()) is not None:
        left.append(names(flight))
        bench.answer(flight)
    assert left == ["b 1", "c 1", "b 2"]
    assert bench.later(19.9).fly() is None
    assert [names(flight) for flight in bench.later(0.2).fly_all()] == ["a 1"]


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "20"},
        {"ratelimit-remaining": "0", "ratelimit-reset": "20"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "20"},
        {"x-rate-limit-remaining": "0", "x-rate-limit-reset": "20"},
        {"ratelimit": '"default";r=0;t=20'},
    ],
)
def test_a_success_that_says_it_was_the_last_for_now_is_believed(headers):
    bench = Bench()
    bench.feed("a 1", "a 2", "b 1")
    bench.answer(bench.fly(), Answer(200, headers, OK.body))
    assert bench.ledger.delivered == 1
    assert [names(flight) for flight in bench.fly_all()] == ["b 1"]
    assert bench.later(19.9).fly() is None
    assert names(bench.later(0.2).fly()) == "a 2"


def test_a_deployment_may_say_that_a_success_is_none():
    quota = Rule(VerdictKind.THROTTLED, statuses("200"), "over quota", body=re.compile(b"quota"))
    bench = Bench(rules=(quota, *DEFAULT_RULES))
    bench.feed("a 1")
    flight = bench.fly()
    bench.answer(flight, Answer(200, {"retry-after": "9"}, b'{"status":"ok","data":"quota full"}'))
    assert bench.ledger.delivered == 0
    assert bench.later(8.9).fly() is None
    assert bench.later(0.2).fly() is not None


@pytest.mark.parametrize(
    ("answer", "state"), [(UNAUTHORISED, GateState.HELD), (OOPS, GateState.DOWN)]
)
def test_a_closed_destination_is_probed_by_one_request_and_all_fly_when_it_is_back(answer, state):
    bench = Bench()
    bench.feed(*(f"user{n} 1" for n in range(20)))
    for flight in bench.fly_all():
        bench.answer(flight, answer)
    assert bench.engine.sender.destination.gate.state is state
    for _ in range(30):
        probe = bench.fly_when_open()
        assert bench.later(600.0).fly() is None, "a second probe"
        bench.answer(probe, answer)
    bench.answer(bench.fly_when_open(), OK)
    assert len(bench.fly_all()) == 19


def test_rested_lanes_fly_at_once_when_the_destination_is_back():
    bench = Bench(retry=tuned(RetryPolicy, base_s=600.0, cap_s=600.0))
    bench.feed("a 1", "b 1", *(f"c{n} 1" for n in range(8)))
    for flight in bench.fly_all():
        bench.answer(flight, OOPS)
    assert bench.engine.sender.destination.gate.state is GateState.DOWN
    assert bench.engine.sender.lanes.resting > 0
    bench.answer(bench.fly_when_open(), OK)
    assert bench.engine.sender.lanes.resting == 0
    assert len(bench.fly_all()) == 9


def test_retries_give_way_to_fresh_records_when_the_budget_is_spent():
    bench = Bench(
        gate=PATIENT,
        retry=tuned(RetryPolicy, budget_max=2.0, base_s=0.001, budget_per_second=0.001),
    )
    bench.feed(*(f"bad{n} 1" for n in range(6)))
    for flight in bench.fly_all():
        bench.answer(flight, OOPS)
    bench.feed("fresh 1", "fresh 2")
    bench.later(1.0)
    left = [names(flight) for flight in bench.fly_all()]
    assert left[0] == "fresh 1"
    assert bench.engine.sender.retries <= 6


def test_retries_do_not_wait_for_budget_when_there_is_nothing_else_to_do():
    bench = Bench(
        gate=PATIENT,
        retry=tuned(RetryPolicy, budget_max=2.0, base_s=0.001, budget_per_second=0.001),
    )
    bench.feed(*(f"bad{n} 1" for n in range(50)))
    for _ in range(5):
        flights = bench.fly_all()
        for flight in flights:
            bench.answer(flight, OOPS)
        bench.later(1.0)
    assert bench.engine.sender.retries >= 150


# -- dead letters that cannot be written ------------------------------------------------------


def test_a_dead_letter_topic_that_refuses_holds_everything_until_it_takes_it():
    bench = Bench()
    bench.feed("? x", "a 1")
    bench.engine.custody.letters_failed("not authorised", bench.now)
    assert bench.fly() is None
    assert bench.engine.sender.wakes_at(bench.now) is None
    assert bench.offset() == 0
    bench.confirm_letters()
    assert names(bench.fly()) == "a 1"


def test_dead_letters_whose_partition_left_while_they_were_written_hold_nobody():
    bench = Bench()
    bench.feed("? x")
    assert bench.engine.custody.next_letters(10)
    bench.reassign(*bench.next)
    bench.engine.custody.letters_failed("timed out", bench.now)
    bench.feed("a 1")
    assert bench.fly() is not None


def test_dead_letters_confirmed_after_their_partition_left_are_fenced():
    bench = Bench()
    bench.feed("? x")
    written = bench.engine.custody.next_letters(10)
    bench.reassign(*bench.next)
    bench.engine.custody.letters_written(written)
    assert bench.offset() == 0
    assert bench.ledger.fenced == 1
    assert bench.ledger.balanced
    assert bench.ledger.open == 0


# -- the user of a dead record ----------------------------------------------------------------


def parking(**policy):
    return Bench(on_dead_letter=OnDeadLetter.PARK_USER, **policy)


def test_what_follows_a_dead_letter_follows_it_when_so_chosen():
    bench = parking()
    bench.feed("a 1", "a 2", "b 1")
    bench.answer(bench.fly(), BAD)
    bench.feed("a 3")
    letters = bench.confirm_letters()
    assert [(letter.record.value, letter.cls) for letter in letters] == [
        (b"a 1", DeadLetterClass.REFUSED),
        (b"a 2", DeadLetterClass.FOLLOWED),
        (b"a 3", DeadLetterClass.FOLLOWED),
    ]
    assert bench.deliver_all() == ["b 1"]
    assert bench.offset() == 4


def test_by_default_what_follows_goes_on():
    bench = Bench()
    bench.feed("a 1", "a 2")
    bench.answer(bench.fly(), BAD)
    bench.confirm_letters()
    assert bench.deliver_all() == ["a 2"]


def test_a_parked_user_is_sent_again_after_a_time():
    bench = parking(park_s=60.0)
    bench.feed("a 1")
    bench.answer(bench.fly(), BAD)
    bench.confirm_letters()
    bench.later(59.0).feed("a 2")
    assert bench.fly() is None
    bench.confirm_letters()
    bench.later(2.0).feed("a 3")
    assert names(bench.fly()) == "a 3"


def test_a_user_stays_parked_as_long_as_a_dead_letter_of_theirs_is_not_confirmed():
    bench = parking(park_s=60.0)
    bench.feed("a 1", "a 2")
    bench.answer(bench.fly(), BAD)
    bench.engine.custody.letters_written(bench.engine.custody.next_letters(1))
    bench.later(61.0).feed("a 3")
    assert bench.fly() is None
    assert len(bench.confirm_letters()) == 2
    bench.feed("a 4")
    assert bench.deliver_all() == ["a 4"]


def test_records_without_a_lane_are_never_parked():
    bench = parking()
    bench.feed("* 1", "* 2")
    first, second = bench.fly_all()
    bench.answer(first, BAD)
    bench.answer(second, OK)
    bench.feed("* 3")
    assert bench.deliver_all() == ["* 3"]


# -- repeats from producers -------------------------------------------------------------------


def test_the_same_event_twice_within_the_window_is_sent_once():
    bench = Bench(duplicates_window=10)
    bench.feed("a 1", "a 2", "a 1")
    assert bench.deliver_all() == ["a 1", "a 2"]
    assert bench.ledger.skipped == {"duplicate": 1}
    assert bench.offset() == 3


def test_the_window_is_bounded():
    bench = Bench(duplicates_window=2)
    bench.feed("a 1", "a 2", "a 3", "a 1", "a 3")
    assert bench.deliver_all() == ["a 1", "a 2", "a 3", "a 1"]


def test_a_record_read_again_is_not_its_own_duplicate():
    bench = Bench(duplicates_window=10)
    bench.feed("a 1")
    bench.reassign(*bench.next)
    bench.feed("a 1")
    assert bench.deliver_all() == ["a 1"]


def test_without_a_window_nothing_is_dropped():
    bench = Bench()
    bench.feed("a 1", "a 1")
    assert bench.deliver_all() == ["a 1", "a 1"]


# -- together ---------------------------------------------------------------------------------


def together(**policy):
    return Bench(coalescing=CoalescingPolicy(events_max=5), **policy)


def test_what_waits_for_one_user_travels_together():
    bench = together()
    bench.feed("a m1", "a m2", "b m1", "a m3")
    assert bench.deliver_all() == ["a m1 + a m2 + a m3", "b m1"]
    assert bench.engine.sender.requests == 2
    assert bench.ledger.delivered == 4


def test_together_goes_so_far_as_the_policy():
    bench = together()
    bench.feed(*(f"a m{n}" for n in range(7)))
    assert [left.count("+") + 1 for left in bench.deliver_all()] == [5, 2]


@pytest.mark.parametrize("answer", [OOPS, TIMEOUT, BUSY, UNAUTHORISED])
def test_what_flew_together_is_tried_again_together_under_the_same_key(answer):
    bench = together()
    bench.feed("a m1", "a m2")
    flight = bench.fly()
    bench.answer(flight, answer)
    bench.feed("a m3")
    bench.later(300.0)
    again = bench.fly()
    assert names(again) == "a m1 + a m2"
    assert again.request == flight.request


def test_of_what_was_refused_together_only_the_bad_one_is_dead():
    bench = together()
    bench.feed("a m1", "a m2", "a m3", "a m4")
    bench.answer(bench.fly(), BAD)
    order, dead = [], []
    while flight := bench.fly():
        order.append(names(flight))
        bench.answer(flight, BAD if names(flight) == "a m2" else OK)
        dead += bench.confirm_letters()
    assert order == ["a m1", "a m2", "a m3", "a m4"]
    assert [letter.record.value for letter in dead] == [b"a m2"]
    assert bench.ledger.delivered == 3


def test_of_what_is_exhausted_together_only_the_bad_one_is_dead():
    bench = together(
        retry=RetryPolicy(attempts_max=2, age_max_s=10.0, cap_s=0.1, base_s=0.1), gate=PATIENT
    )
    bench.feed("a m1", "a m2")
    for number in range(20):
        bench.feed(f"good m{number}")
        for flight in bench.fly_all():
            bench.answer(flight, OOPS if "a m2" in names(flight) else OK)
        bench.later(20.0)
    assert [letter.record.value for letter in bench.confirm_letters()] == [b"a m2"]


# -- the end ----------------------------------------------------------------------------------


def test_after_stop_nothing_leaves_and_what_is_out_may_land():
    bench = Bench()
    bench.feed("a 1", "b 1")
    flight = bench.fly()
    bench.engine.custody.stop()
    assert bench.fly() is None
    assert bench.engine.sender.wakes_at(bench.now) is None
    bench.answer(flight)
    assert bench.ledger.delivered == 1


def test_the_limit_counts_what_is_under_way():
    bench = Bench(limit=LimitPolicy(fixed_limit=True, max_in_flight=3))
    bench.feed(*(f"user{n} 1" for n in range(9)))
    flights = bench.fly_all()
    assert len(flights) == 3
    bench.answer(flights[0])
    assert len(bench.fly_all()) == 1
