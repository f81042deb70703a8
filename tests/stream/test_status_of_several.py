"""What is shown of several destinations: which of them is closed, and which pins a partition."""

import pytest

from relay.road.consuming.source import SourceState
from relay.road.custody import CustodyPolicy
from relay.road.facts import Lifecycle, StillHeld
from relay.road.status import ReportPolicy
from relay.stream.facts import StreamProgress
from relay.stream.status import Reporter
from relay.telemetry.health import Roads
from relay.telemetry.troubles import destinations, troubles
from tests.stream.test_several_destinations import close, full_of
from tests.support.engine_kit import OOPS, P0
from tests.support.policies import changed
from tests.support.several import SeveralBench


class Watched(SeveralBench):
    def __init__(self, *names, **options):
        super().__init__(*names, **options)
        self.facts = []
        self.reporter = Reporter(self.engine, self.facts.append, ReportPolicy(stuck_after_s=100))
        self.reporter.lifecycle = Lifecycle.RUNNING

    def tick(self, seconds=1.0):
        self.now += seconds
        self.custody.committed(self.custody.commits(self.now))
        self.reporter.tick(self.now, 0, SourceState(), {})

    def held(self):
        return [(fact.destination, fact.code) for fact in self.facts if isinstance(fact, StillHeld)]


@pytest.fixture
def watched():
    return Watched("fr", "de")


def down(watched, name):
    watched.feed(*(f"{name} {name}{number} 1" for number in range(5)))
    close(watched, name)


def test_it_is_ready_while_one_takes_events_and_names_the_other(watched):
    down(watched, "fr")
    watched.tick()
    ready = watched.reporter.readiness()
    assert ready.ok
    assert ready.reason.startswith("running, but fr is down: 500")


def test_it_is_not_ready_when_none_does(watched):
    down(watched, "fr")
    down(watched, "de")
    watched.tick()
    ready = watched.reporter.readiness()
    assert not ready.ok
    assert "down: fr: 500" in ready.reason
    assert "; de: 500" in ready.reason


def test_a_line_a_minute_says_which_is_closed(watched):
    down(watched, "fr")
    for _ in range(130):
        watched.tick()
    assert watched.held() == [("fr", "down")] * 2
    down(watched, "de")
    for _ in range(61):
        watched.tick()
    assert watched.held()[2:] == [("", "down")]


def test_each_has_its_state_and_each_partition_the_name_of_what_pins_it(watched):
    down(watched, "fr")
    watched.feed("de a 1")
    watched.tick()
    status = watched.reporter.status()
    assert "destination" not in status
    told = {one["name"]: one for one in destinations(status)}
    assert (told["fr"]["state"], told["de"]["state"]) == ("down", "flowing")
    assert (told["fr"]["waiting"], told["de"]["waiting"]) == (5, 1)
    assert (told["fr"]["pinned_partitions"], told["de"]["pinned_partitions"]) == (1, 0)
    assert status["partitions"]["events-0"]["pinned_by"]["destination"] == "fr"
    whole = Roads(watched.reporter, {}).status()
    assert "fr is down" in [one["what"] for one in troubles(whole)]


def test_a_share_that_is_used_up_is_shown():
    policy = changed(CustodyPolicy(), memory_records_max=200, user_records_max=200)
    watched = Watched("fr", "de", custody=policy)
    full_of(watched, "fr", P0)
    watched.tick()
    told = watched.reporter.status()["destinations"]
    assert (told["fr"]["share_used_up"], told["de"]["share_used_up"]) == (True, False)


def test_it_is_alive_while_what_pins_a_partition_is_for_one_that_is_down(watched):
    down(watched, "fr")
    for number in range(300):
        watched.feed(f"de a {number}")
        watched.deliver_all("de")
        watched.tick()
    assert watched.reporter.liveness().ok


def test_it_is_not_alive_when_a_turn_does_not_come_though_its_destination_flows(watched):
    watched.feed("fr a 1")
    for number in range(300):
        watched.feed(f"de a {number}")
        watched.deliver_all("de")
        watched.tick()
    assert not watched.reporter.liveness().ok


def test_many_requests_to_another_are_no_turns_of_a_slow_one(watched):
    """A turn of a thousand users takes its time: only what leaves for them says how long."""
    watched.feed(*(f"fr u{number} 1" for number in range(1000)))
    for number in range(90):
        watched.feed(*(f"de a{number} {event}" for event in range(40)))
        watched.deliver_all("de")
        watched.tick()
    assert watched.engine.senders["de"].requests > 2000
    assert watched.reporter.liveness().ok


def test_the_line_of_progress_counts_all_of_them(watched):
    watched.tick()
    watched.feed("fr a 1", "de a 1", "de b 1")
    watched.deliver_all("fr")
    for flight in watched.fly_all("de"):
        watched.answer("de", flight, OOPS)
    for _ in range(11):
        watched.tick()
    (line,) = [fact for fact in watched.facts if isinstance(fact, StreamProgress)]
    assert (line.received, line.delivered, line.requests, line.waiting) == (3, 1, 3, 2)
    assert line.limit == 128
