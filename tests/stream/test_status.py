"""What is shown of the engine: readiness, liveness, what is stuck, and numbers that add up."""

import json

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from relay.model import Answer, RequestKind
from relay.road.consuming.source import SourceState
from relay.road.custody import CustodyPolicy
from relay.road.facts import Lifecycle, StillHeld
from relay.road.status import ReportPolicy
from relay.stream.facts import RecordsSkipped, StreamProgress
from relay.stream.sending.gate import GatePolicy
from relay.stream.sending.limit import LimitPolicy
from relay.stream.status import Reporter
from tests.support.engine_kit import BAD, BUSY, OK, OOPS, P0, P1, UNAUTHORISED, Bench
from tests.support.policies import tuned


class Watched(Bench):
    """An engine under a reporter."""

    def __init__(self, **policy):
        super().__init__(**policy)
        self.facts = []
        self.reporter = Reporter(self.engine, self.facts.append, ReportPolicy())
        self.reporter.lifecycle = Lifecycle.RUNNING
        self.lag = {}
        self.source = SourceState()

    def tick(self, seconds=1.0):
        self.later(seconds)
        self.commit()
        self.reporter.tick(self.now, 0, self.source, self.ends())
        return self

    def ends(self):
        """The ends of the partitions, from how much lies beyond what was taken."""
        assigned = self.engine.custody.assigned
        return {p: assigned[p].frontier.next_offset + more for p, more in self.lag.items()}

    def ticks(self, count):
        for _ in range(count):
            self.tick()
        return self

    def told(self, kind):
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def metrics(self):
        registry = CollectorRegistry()
        registry.register(self)
        lines = generate_latest(registry).decode().splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    def collect(self):
        return list(self.reporter.metrics())


# -- ready ------------------------------------------------------------------------------------


def test_it_is_ready_when_records_can_go_all_the_way():
    watched = Watched()
    assert watched.reporter.readiness().ok


@pytest.mark.parametrize("state", [Lifecycle.STARTING, Lifecycle.DRAINING, Lifecycle.STOPPED])
def test_it_is_not_ready_before_and_after(state):
    watched = Watched()
    watched.reporter.lifecycle = state
    assert not watched.reporter.readiness().ok
    assert watched.reporter.readiness().reason == f"stream: {state}"


def test_a_token_that_is_not_accepted_is_the_reason():
    watched = Watched()
    watched.feed("a 1")
    watched.answer(watched.fly(), UNAUTHORISED)
    readiness = watched.reporter.readiness()
    assert not readiness.ok
    assert readiness.reason == "stream: held: 401 token not accepted"


def test_a_destination_that_is_down_is_the_reason():
    watched = Watched(gate=GatePolicy(down_after_failures=2))
    watched.feed("a 1", "b 1")
    for flight in watched.fly_all():
        watched.answer(flight, OOPS)
    assert watched.reporter.readiness().reason == (
        "stream: down: 500 unavailable; answered by something that is not the API "
        "(no content type): oops"
    )


def test_a_dead_letter_topic_that_refuses_is_the_reason():
    watched = Watched()
    watched.feed("? x")
    watched.engine.custody.letters_failed("not authorised to write", watched.now)
    assert (
        watched.reporter.readiness().reason == "stream: dead_letter_topic: not authorised to write"
    )
    watched.confirm_letters()
    assert watched.reporter.readiness().ok


def test_a_pause_that_was_asked_for_is_no_reason():
    watched = Watched()
    watched.feed("a 1")
    watched.answer(watched.fly(), BUSY)
    assert watched.reporter.readiness().ok


def test_a_hold_is_told_once_a_minute():
    watched = Watched()
    watched.feed("a 1")
    watched.answer(watched.fly(), UNAUTHORISED)
    watched.ticks(200)
    held = watched.told(StillHeld)
    assert len(held) == 3
    assert (held[0].code, held[0].reason) == ("held", "401 token not accepted")
    assert held[2].for_s == pytest.approx(180, abs=2)


# -- alive ------------------------------------------------------------------------------------


def test_standing_still_without_a_reason_is_not_living():
    watched = Watched()
    watched.feed("a 1")
    watched.ticks(299)
    assert watched.reporter.liveness().ok
    watched.ticks(3)
    liveness = watched.reporter.liveness()
    assert not liveness.ok
    assert "events-0 has not moved for 30" in liveness.reason


def test_records_that_are_there_and_are_not_read_are_not_living_either():
    watched = Watched()
    watched.lag = {P0: 10}
    watched.ticks(302)
    assert not watched.reporter.liveness().ok


def test_a_partition_that_was_added_and_waits_for_the_old_ones_is_no_standstill():
    """They may be another member's, and this one has nothing to settle for a quarter of an hour."""
    watched = Watched()
    watched.lag = {P0: 10}
    watched.source = SourceState(not_begun=frozenset({P0}))
    assert watched.ticks(1000).reporter.liveness().ok
    watched.source = SourceState()
    assert watched.ticks(250).reporter.liveness().ok
    assert not watched.ticks(60).reporter.liveness().ok


def test_a_partition_that_is_not_read_because_memory_is_full_is_no_standstill():
    """What fills it has excuses of its own, or is found; here it is tried again and again."""
    watched = Watched(
        partitions=(P0, P1),
        gate=tuned(GatePolicy, down_after_failures=10**6),
        custody=CustodyPolicy(memory_records_max=2, user_records_max=2),
    )
    watched.feed("bad 1", "bad 2")
    watched.lag = {P1: 10}
    for _ in range(1000):
        assert watched.engine.custody.paused() == {P0, P1}
        if flight := watched.fly():
            watched.answer(flight, OOPS)
        watched.tick()
    assert watched.reporter.liveness().ok
    # Where nobody tries, what fills the memory is the standstill.
    watched = Watched(
        partitions=(P0, P1), custody=CustodyPolicy(memory_records_max=2, user_records_max=2)
    )
    watched.feed("a 1", "a 2")
    watched.lag = {P1: 10}
    watched.engine.custody.paused()
    assert f"{P0} has not moved" in watched.ticks(302).reporter.liveness().reason


def test_nothing_to_do_is_no_standstill():
    watched = Watched()
    watched.lag = {P0: 0}
    assert watched.ticks(1000).reporter.liveness().ok


def test_the_first_record_after_a_long_quiet_is_no_standstill():
    """A partition with an event an hour has not moved for an hour; that says nothing."""
    watched = Watched().ticks(1000)
    watched.feed("a 1")
    watched.fly()
    watched.lag = {P0: 1}
    assert watched.tick().reporter.liveness().ok
    assert watched.ticks(250).reporter.liveness().ok
    assert not watched.ticks(60).reporter.liveness().ok


def test_a_hold_is_no_standstill():
    watched = Watched()
    watched.feed("a 1")
    watched.answer(watched.fly(), UNAUTHORISED)
    assert watched.ticks(1000).reporter.liveness().ok


def test_a_record_that_is_tried_again_and_again_is_no_standstill():
    watched = Watched(gate=tuned(GatePolicy, down_after_failures=10**6))
    watched.feed("bad 1")
    for _ in range(1000):
        if flight := watched.fly():
            watched.answer(flight, OOPS)
        watched.tick()
    assert watched.reporter.liveness().ok


def test_a_record_that_waits_for_its_turn_at_a_slow_destination_is_no_standstill():
    """Ten a second and 5,000 users before it: its turn comes after more than eight minutes."""
    watched = Watched(limit=LimitPolicy(fixed_limit=True, max_in_flight=1))
    watched.feed(*(f"user{n} 1" for n in range(5_000)))
    last = watched.engine.sender.lanes._queues.pop("user0")
    watched.engine.sender.lanes._queues["user0"] = last
    watched.engine.sender.lanes._ready[RequestKind.ACTIVITY].rotate(-1)
    for _ in range(480):
        for _ in range(10):
            watched.answer(watched.fly(), OK)
            watched.later(0.1)
        watched.tick(0.0)
        assert watched.reporter.liveness().ok, watched.reporter.liveness()
    assert watched.reporter.status()["partitions"]["events-0"]["pinned_by"]["offset"] == 0


def test_a_record_whose_turn_never_comes_is_a_standstill_however_much_others_move():
    """The silent stall: heartbeats flow, others are delivered, one partition stays where it is."""
    watched = Watched()
    watched.feed("lost 1")
    watched.engine.sender.lanes._ready[RequestKind.ACTIVITY].remove("lost")
    for second in range(302):
        watched.feed(f"user{second} 1")
        watched.answer(watched.fly(), OK)
        watched.tick()
    assert not watched.reporter.liveness().ok


# -- what is stuck ----------------------------------------------------------------------------


def test_status_names_what_pins_the_frontier_and_why():
    watched = Watched(gate=tuned(GatePolicy, down_after_failures=10**6))
    watched.feed("stuck 1", "a 1")
    stuck = watched.fly()
    watched.answer(watched.fly(), OK)
    watched.answer(stuck, OOPS)
    watched.ticks(5)
    shown = watched.reporter.status()["partitions"]["events-0"]
    assert shown["committed"] == 0
    assert shown["next"] == 2
    assert shown["open"] == 1
    assert shown["pinned_by"] == {
        "offset": 0,
        "for_s": pytest.approx(4.0),
        "attempts": 1,
        "last_verdict": "http_500",
    }


def test_status_names_nobody():
    watched = Watched()
    watched.feed("alice 1", "alice 2", "? alice", "* alice")
    watched.answer(watched.fly(), BAD)
    watched.ticks(20)
    assert "alice" not in json.dumps(watched.reporter.status())
    assert "alice" not in repr(watched.facts)
    assert "alice" not in repr(watched.metrics())


def test_status_says_why_the_limit_is_what_it_is():
    watched = Watched(limit=tuned(LimitPolicy, initial=10))
    watched.feed("a 1")
    watched.answer(watched.fly(), Answer(504))
    destination = watched.reporter.status()["destination"]
    assert destination["limit"] == 6
    assert destination["limit_changed_because"] == "http_504"


# -- numbers ----------------------------------------------------------------------------------


def test_the_metrics_add_up_in_every_state():
    watched = Watched(duplicates_window=10)

    def adds_up():
        metrics = {name: float(value) for name, value in watched.metrics().items()}
        settled = sum(
            value for name, value in metrics.items() if name.startswith("relay_records_settled_t")
        )
        total = settled + metrics["relay_records_returned_total"] + metrics["relay_records_open"]
        assert metrics["relay_records_taken_total"] == total

    watched.feed("a 1", "a 1", "b 1", "- x", "? x", "! x")
    adds_up()
    watched.answer(watched.fly(), OK)
    adds_up()
    watched.answer(watched.fly(), BAD)
    adds_up()
    watched.confirm_letters()
    adds_up()
    watched.feed("c 1")
    flight = watched.fly()
    watched.reassign(P0)
    adds_up()
    watched.answer(flight, OK)
    adds_up()
    assert watched.metrics()["relay_records_open"] == "0.0"


def test_one_line_an_interval_says_what_happened_in_it():
    watched = Watched().tick()
    watched.feed("a 1", "b 1", "- x")
    for flight in watched.fly_all():
        watched.later(0.09)
        watched.answer(flight, OK)
    watched.ticks(20)
    (line,) = watched.told(StreamProgress)
    assert (line.received, line.delivered, line.skipped, line.requests) == (3, 2, 1, 2)
    assert 90 < line.round_trip_p99_ms < 200
    (skipped,) = watched.told(RecordsSkipped)
    assert (skipped.code, skipped.count) == ("no_consent", 1)


def test_an_event_that_the_other_road_imports_is_counted_and_not_told_as_skipped():
    watched = Watched().tick()
    watched.feed("~ 1", "- x")
    watched.ticks(20)
    assert [fact.code for fact in watched.told(RecordsSkipped)] == ["no_consent"]
    assert watched.told(StreamProgress)[0].skipped == 2


def test_where_nothing_happens_nothing_is_said():
    assert Watched().ticks(100).facts == []


def test_commits_are_counted_and_not_the_lines_that_tell_of_them():
    watched = Watched().tick()
    before = float(watched.metrics()["relay_commits_total"])
    for _ in range(3):
        watched.feed("a 1")
        watched.answer(watched.fly(), OK)
        watched.tick()
    assert float(watched.metrics()["relay_commits_total"]) - before == 3
    assert watched.told(StreamProgress) == [], "no line was due yet"
    watched.ticks(30)
    assert float(watched.metrics()["relay_commits_total"]) - before == 3
    assert len(watched.told(StreamProgress)) == 1
