"""What the road of membership events says of itself."""

from relay.membership.facts import MembershipProgress
from relay.membership.status import MembershipReporter
from relay.road.consuming.source import SourceState
from relay.road.facts import Lifecycle
from tests.support.membership_bench import P0, Bench


class Watched:
    """A bench whose reporter is running, and what it said."""

    def __init__(self):
        self.bench = Bench()
        self.said = []
        self.reporter = MembershipReporter(self.bench.engine, self.said.append)
        self.reporter.lifecycle = Lifecycle.RUNNING
        self.tick(0.0, 0)

    def tick(self, now, end):
        """A second look of the loop; `end` is that of the first partition."""
        self.bench.engine.custody.commits(now)
        self.reporter.tick(now, 0, SourceState(), {P0: end})

    def lines(self):
        return [fact for fact in self.said if isinstance(fact, MembershipProgress)]


def test_a_line_counts_what_happened_since_the_one_before():
    watched = Watched()
    for value in ("alice 88 in", "bob 88 in", "- 88 in"):
        watched.bench.take(value)
    watched.bench.reject(watched.bench.due(), 1)
    watched.bench.bury()
    watched.tick(10.0, 7)
    (line,) = watched.lines()
    assert (line.received, line.delivered, line.dead_lettered, line.skipped) == (3, 1, 1, 1)
    assert (line.commands, line.unsettled, line.lag) == (4, 0, 4)


def test_a_quiet_road_says_nothing_and_one_that_waits_says_so():
    watched = Watched()
    watched.tick(10.0, 0)
    assert watched.lines() == []
    watched.bench.take("alice 88 in")
    watched.tick(15.0, 0)
    watched.tick(20.0, 0)
    watched.tick(30.0, 0)
    assert [(line.unsettled, line.oldest_s) for line in watched.lines()] == [(1, 5.0), (1, 15.0)]


def test_records_of_the_stream_are_no_news():
    watched = Watched()
    watched.bench.take("* not ours")
    watched.tick(10.0, 0)
    assert watched.lines() == []


def test_it_is_not_ready_while_it_is_held_and_says_why():
    watched = Watched()
    assert watched.reporter.readiness().ok
    watched.bench.take("alice 88 in")
    watched.bench.hold(watched.bench.due(), "401: not accepted")
    assert watched.reporter.readiness().reason == "segments: imports: 401: not accepted"
    assert watched.reporter.status()["held"] == "401: not accepted"
    watched.bench.take_all(watched.bench.due())
    assert watched.reporter.readiness().ok


def test_it_is_not_ready_while_dead_letters_are_not_taken():
    watched = Watched()
    watched.bench.take("! 88 in")
    watched.bench.engine.custody.letters_failed("the topic refuses", 1.0)
    assert watched.reporter.readiness().reason == "segments: dead_letter_topic: the topic refuses"
    watched.bench.bury()
    assert watched.reporter.readiness().ok


def test_the_status_balances_and_names_nobody():
    watched = Watched()
    watched.bench.take("alice 88 in")
    watched.bench.due()
    status = watched.reporter.status()
    assert status["ledger"]["balanced"] is True
    assert (status["flying"], status["ledger"]["open"]) == (1, 1)
    assert status["partitions"][str(P0)]["open"] == 1
    assert "alice" not in str(status)


def test_the_metrics_balance():
    watched = Watched()
    for value in ("alice 88 in", "- 88 in", "* x y"):
        watched.bench.take(value)
    watched.bench.take_all(watched.bench.due())
    samples = [s for metric in watched.reporter.metrics() for s in metric.samples]
    values = {(s.name, s.labels.get("code")): s.value for s in samples}
    assert values["relay_membership_records_taken_total", None] == 3
    settled = [v for (name, _), v in values.items() if "settled" in name]
    assert sum(settled) == 3
    assert values["relay_membership_ledger_balanced", None] == 1
