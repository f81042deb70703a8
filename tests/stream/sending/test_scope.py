"""What an answer is about: the cases of the table, and what engine and routes make of them."""

import random

import pytest

from relay.model import Answer, DeadLetterClass, Moment, Parcel, Request, RequestKind, VerdictKind
from relay.stream.engine import Engine
from relay.stream.facts import DestinationDown, DestinationHeld, DestinationResumed, TroubleIsolated
from relay.stream.policy import EnginePolicy
from relay.stream.sending.gate import GateState
from relay.stream.sending.retries import RetryPolicy
from relay.stream.sending.scope import Lately, RowPolicy, Scope, scope_of
from tests.support.engine_kit import BUSY, OK, OOPS, P0, UNAUTHORISED, Bench, interpret, names

THROTTLED, FAILED, WRONG = VerdictKind.THROTTLED, VerdictKind.UNAVAILABLE, VerdictKind.MISCONFIGURED
FIREWALL = Answer(403, {"content-type": "text/html"}, b"<html><h1>Request blocked</h1></html>")


def lately(*, accepted=0, asked=0, row=0, lanes=2):
    """A route that accepted so many, and after them met so many refusals or failures."""
    route = Lately()
    for _ in range(accepted):
        route.accepts()
    for _ in range(asked):
        route.asks()
    for number in range(row):
        route.fails(number % lanes, 0.0)
    return route


QUIET, FINE = lately(), lately(accepted=9)


@pytest.mark.parametrize(
    ("kind", "route", "other", "in_flight", "scope"),
    [
        (THROTTLED, lately(accepted=9, asked=1), QUIET, 1, Scope.USER),
        (THROTTLED, lately(accepted=9, asked=3), QUIET, 1, Scope.EVERYTHING),
        (THROTTLED, lately(accepted=9, asked=3), QUIET, 4, Scope.USER),
        (THROTTLED, lately(asked=3), FINE, 1, Scope.ROUTE),
        (THROTTLED, lately(asked=3), lately(accepted=9, asked=1), 1, Scope.EVERYTHING),
        (WRONG, lately(row=1), QUIET, 1, Scope.EVERYTHING),
        (WRONG, lately(row=1), FINE, 1, Scope.ROUTE),
        (WRONG, lately(accepted=1, row=1), QUIET, 1, Scope.RECORD),
        (WRONG, lately(accepted=1, row=5), QUIET, 1, Scope.EVERYTHING),
        (WRONG, lately(accepted=1, row=5), FINE, 1, Scope.ROUTE),
        (FAILED, lately(row=1), QUIET, 1, Scope.RECORD),
        (FAILED, lately(row=5), QUIET, 1, Scope.EVERYTHING),
        (FAILED, lately(row=5), QUIET, 6, Scope.RECORD),
        (FAILED, lately(row=5, lanes=1), QUIET, 1, Scope.RECORD),
        (FAILED, lately(row=5), FINE, 1, Scope.ROUTE),
        (FAILED, lately(row=5), lately(accepted=9, row=1), 1, Scope.EVERYTHING),
    ],
)
def test_the_narrowest_scope_that_explains_it(kind, route, other, in_flight, scope):
    assert scope_of(kind, route, [other], RowPolicy(), in_flight, now=1.0) is scope


def test_where_each_user_has_a_limit_nobody_else_waits():
    route = lately(accepted=9, asked=50)
    found = scope_of(THROTTLED, route, [], RowPolicy(), 1, 1.0, each_user=True)
    assert found is Scope.USER


def test_one_record_that_fails_alone_says_more_after_a_while():
    route = lately(row=5, lanes=1)
    assert scope_of(FAILED, route, [], RowPolicy(alone_s=15.0), 1, 14.9) is Scope.RECORD
    assert scope_of(FAILED, route, [], RowPolicy(alone_s=15.0), 1, 15.0) is Scope.EVERYTHING


# -- one record -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [FIREWALL, Answer(404, {}, b"gone"), Answer(405), Answer(415), Answer(302, {"location": "/"})],
    ids=lambda answer: str(answer.status),
)
def test_what_something_in_between_refuses_is_counted_against_its_record_alone(answer):
    bench = Bench(retry=RetryPolicy(attempts_max=3, age_max_s=0.0))
    bench.feed("warm 1")
    bench.answer(bench.fly())
    bench.feed("bad 1", "bad 2")
    for number in range(200):
        bench.feed(f"user{number} 1")
        for flight in bench.fly_all():
            bench.answer(flight, answer if names(flight) == "bad 1" else OK)
        assert bench.engine.sender.destination.gate.state is GateState.FLOWING
        bench.later(1.0)
        if bench.engine.custody.letters:
            break
    (letter,) = bench.confirm_letters()
    assert (letter.cls, letter.status) == (DeadLetterClass.REFUSED, answer.status)
    assert letter.attempts <= 3 + 1, "and the one before others were accepted"
    assert "not the API" in letter.reason
    bench.deliver_all()
    assert bench.offset() == bench.next[P0], "the partition goes on behind it"
    told = [fact for fact in bench.engine.custody.facts if isinstance(fact, TroubleIsolated)]
    assert [(fact.scope, fact.position.offset) for fact in told] == [("record", 1)]


def test_a_token_that_is_taken_away_in_the_middle_holds_everything_and_blames_nobody():
    bench = Bench()
    bench.feed("warm 1")
    bench.answer(bench.fly())
    sent = 0
    for second in range(3600):
        bench.feed(f"user{second} 1")
        for flight in bench.fly_all():
            sent += 1
            bench.answer(flight, FIREWALL)
        bench.later(1.0)
    assert bench.engine.sender.destination.gate.state is GateState.HELD
    assert sent < 3600 / 7.5 + 20
    assert not bench.engine.custody.letters
    assert len(bench.deliver_all()) == 3600


def test_a_401_holds_everything_at_once():
    bench = Bench()
    bench.feed("warm 1", "a 1")
    bench.answer(bench.fly())
    bench.answer(bench.fly(), UNAUTHORISED)
    assert bench.engine.sender.destination.gate.state is GateState.HELD


def test_one_record_that_is_answered_401_holds_the_others_once():
    bench = Bench(retry=RetryPolicy(attempts_max=3, age_max_s=0.0))
    bench.feed("warm 1", "bad 1")
    for number in range(300):
        bench.feed(f"user{number} 1")
        for flight in bench.fly_all():
            bench.answer(flight, UNAUTHORISED if names(flight) == "bad 1" else OK)
        bench.later(1.0)
    held = [fact for fact in bench.engine.custody.facts if isinstance(fact, DestinationHeld)]
    assert len(held) == 1
    assert [letter.status for letter in bench.confirm_letters()] == [401]


# -- one route --------------------------------------------------------------------------------


def routed(record, now_ms):
    """A record "p…" is an update of a user point."""
    parcel = interpret(record, now_ms)
    if not record.value.startswith(b"p"):
        return parcel
    request = Request("PUT", "/points", record.value, None, RequestKind.USER_POINT)
    return Parcel(record, parcel.lane, request)


class Routed(Bench):
    def __init__(self, **policy):
        super().__init__(**policy)
        policy = EnginePolicy(
            destination=self.policy.destination,
            custody=self.policy.custody,
            coalescing=self.policy.coalescing,
        )
        self.engine = Engine(policy, routed, random.Random(1))
        self.assign(P0)

    def seconds(self, count, on_points):
        """Both routes, each second; what was sent on the user points, and delivered beside it."""
        points = activities = 0
        for _ in range(count):
            self.feed(*(f"p{self.next[P0]}{n} 1" for n in range(3)))
            self.feed(*(f"a{self.next[P0]}{n} 1" for n in range(3)))
            for flight in self.fly_all():
                point = flight.request.kind is RequestKind.USER_POINT
                points += point
                activities += not point
                self.answer(flight, on_points if point else OK)
            self.later(1.0)
        return points, activities


def test_a_route_that_is_down_is_probed_and_the_other_goes_on():
    bench = Routed()
    bench.seconds(1, OK)
    points, activities = bench.seconds(120, OOPS)
    assert activities == 360
    assert points < 40, "probes only"
    assert bench.engine.sender.destination.gate.state is GateState.FLOWING
    assert not bench.engine.custody.letters
    down = [fact for fact in bench.engine.custody.facts if isinstance(fact, DestinationDown)]
    assert [fact.scope for fact in down] == ["user_point"]
    bench.seconds(30, OK)
    bench.deliver_all()
    back = [fact for fact in bench.engine.custody.facts if isinstance(fact, DestinationResumed)]
    assert [fact.scope for fact in back] == ["user_point"]
    assert bench.offset() == bench.next[P0]


def test_a_route_whose_records_fail_for_an_hour_loses_none_of_them():
    bench = Routed(retry=RetryPolicy(attempts_max=3, age_max_s=60.0))
    bench.seconds(1, OK)
    bench.seconds(3600, OOPS)
    assert not bench.engine.custody.letters


def test_a_route_that_asks_to_wait_waits_and_the_other_goes_on():
    bench = Routed()
    bench.seconds(1, OK)
    points, activities = bench.seconds(60, Answer(429, {"retry-after": "20"}))
    assert activities == 180
    assert points <= 4 * 3 + 3
    assert bench.engine.sender.destination.gate.state is GateState.FLOWING


def test_an_outage_of_both_routes_is_one_outage():
    bench = Routed()
    bench.seconds(1, OK)
    bench.seconds(2, OOPS)
    for _ in range(20):
        bench.feed(f"a{bench.next[P0]} 1", f"p{bench.next[P0]} 1")
        for flight in bench.fly_all():
            bench.answer(flight, OOPS)
        bench.later(1.0)
    down = [fact for fact in bench.engine.custody.facts if isinstance(fact, DestinationDown)]
    assert [fact.scope for fact in down] in (["all"], ["user_point", "all"])
    assert bench.engine.sender.destination.gate.is_closed
    bench.deliver_all()
    assert not bench.engine.sender.destination.gate.is_closed
    assert bench.offset() == bench.next[P0]


def test_a_lane_keeps_its_order_over_two_routes_when_one_is_closed():
    bench = Routed()
    bench.feed("p-x 1", "p-x 2", "a-x 1")
    left = []
    for _ in range(40):
        for flight in bench.fly_all():
            left.append(names(flight) if flight.request.kind is RequestKind.ACTIVITY else "p")
            bench.answer(flight, BUSY if len(left) < 4 else OK)
        bench.later(5.0)
    assert bench.ledger.delivered == 3


def test_an_answer_about_a_partition_that_left_changes_nothing_else():
    bench = Routed()
    bench.feed("p1 1", "a1 1")
    flights = bench.fly_all()
    bench.reassign(P0)
    for flight in flights:
        bench.answer(flight, Answer(429, {"retry-after": "20"}))
    assert bench.ledger.balanced
    assert bench.engine.sender.next_flight(Moment(bench.now, 0)) is None
