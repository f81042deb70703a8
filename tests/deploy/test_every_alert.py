"""Alerts in faults of a Relay that really runs, and in calm.

Two scrapes, a few seconds apart, are drawn out to the minutes and hours that an alert waits for:
what counts goes on as it went between the two, and what measures stays, but where a fault lets it
grow. Prometheus' own tool runs the rules over that.
"""

import itertools
import json
import time

import pytest
import yaml
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry, generate_latest

from relay.road.status import ReportPolicy
from relay.stream.status import Reporter
from scripts.generate import ROOT
from tests.support.embedded import whole_relay
from tests.support.engine_kit import Bench
from tests.support.kafka_admin import wait_for
from tests.support.prometheus import prometheus
from tests.support.promtool import Alerts, goes_on, samples, scraped, steady

pytestmark = pytest.mark.slow

RULES = yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text(encoding="utf-8"))
ALERTS = [rule["alert"] for group in RULES["groups"] for rule in group["rules"]]
ONLY = {"destination": "default"}
"""The labels of an alert about a destination, where there is one."""
MEMBERSHIP = {
    "SEGMENTS__MEMBERSHIP__ENABLED": "true",
    "SEGMENTS__MEMBERSHIP__DELAY_GOAL_S": "0.6",
    "SEGMENTS__IMPORTS__POLL_S": "0.1",
}


@pytest.fixture
def alerts(tmp_path):
    return Alerts(tmp_path)


def fires(alerts, series, alert, minute, *labels):
    alerts.fire(series, alert, minute, *(labels or ({},)))


def segment(number):
    document = {
        "type": "segment",
        "id": f"s{number}",
        "ts": 1_767_225_600_000,
        "user": {"accounts": [{"id": f"u{number}"}]},
        "action": "add",
        "segment_ids": ["88"],
    }
    return json.dumps(document).encode()


def test_none_fires_in_ten_minutes_of_calm(alerts):
    with whole_relay(users=50, **MEMBERSHIP) as whole:
        whole.sandbox.http.put("/_sandbox/imports", json={"pending_ms": 30, "running_ms": 60})
        whole.feeder.send(100)
        whole.until_settled(100)

        def feed():
            produced_now(whole, 20)

        series = goes_on(whole.admin, 30, feed)
    alerts.stay_silent(series, ALERTS, 30)


@pytest.mark.storm(cases=0)
@pytest.mark.timeout(900)
def test_none_fires_in_ten_minutes_of_calm_that_really_pass(tmp_path):
    """The rules in a real Prometheus, which looks every five seconds: nothing is even pending."""
    rules = [str(ROOT / "deploy/alerts.yaml")]
    with (
        whole_relay(users=50, **MEMBERSHIP) as whole,
        prometheus(tmp_path, whole.admin, every="5s", rules=rules) as server,
    ):
        whole.sandbox.http.put("/_sandbox/imports", json={"pending_ms": 30, "running_ms": 60})
        since, numbers = scraped(whole.admin)[0], itertools.count()

        def ten_minutes():
            produced_now(whole, 2)
            whole.feeder._produce("s", segment(next(numbers)))
            return scraped(whole.admin)[0] - since >= 600

        wait_for(ten_minutes, 700, "no time", every_s=0.5)
        taken = whole.status()["ledger"]["taken"]
        assert server.values("count_over_time(up[10m])")
        assert server.values("max_over_time(ALERTS[10m])") == {}
    assert taken > 1000


def produced_now(whole, count, late_s=0.0):
    """Events of now, or of some time ago."""
    producer = Producer({"bootstrap.servers": whole.kafka.bootstrap_servers, "log_level": 2})
    now_ms = int((time.time() - late_s) * 1000)  # noqa: TID251 - the events' own time
    for number in range(count):
        value = whole.feeder.event(f"user-{number}", time.monotonic_ns())
        producer.produce("app-events", value, key=str(number).encode(), timestamp=now_ms)
    assert producer.flush(30) == 0


def test_absent_where_nothing_is_scraped(alerts):
    fires(alerts, {"up": "0x10"}, "RelayAbsent", 6)


def test_a_refused_token(alerts):
    with whole_relay() as whole:
        whole.sandbox.faults({"rules": [{"kind": "status", "status": 401}]})
        whole.feeder.send(100)
        whole.relay.until("destination_held")
        series = goes_on(whole.admin, 30)
    fires(alerts, series, "RelayHeld", 2, ONLY)
    alerts.fire(series, "RelayDestinationDown", 20)


def test_an_outage_holds_the_frontier_and_is_down(alerts):
    with whole_relay() as whole:
        whole.feeder.send(50)
        whole.until_settled(50)
        whole.sandbox.faults({"rules": [{"kind": "status", "status": 503}]})
        whole.feeder.send(100)
        whole.relay.until("destination_down")
        series = goes_on(whole.admin, 30, grows=["relay_frontier_pinned_seconds"])
        stuck = [name for name, one in whole.status()["partitions"].items() if one["pinned_by"]]
    fires(alerts, series, "RelayDestinationDown", 11, ONLY)
    alerts.fire(series, "RelayPartitionStuck", 10)
    where = [dict(zip(("topic", "partition"), name.rsplit("-", 1), strict=True)) for name in stuck]
    fires(alerts, series, "RelayPartitionStuck", 20, *where)


def test_bad_records(alerts):
    with whole_relay() as whole:
        whole.feeder.send(100, bad=0.2)
        whole.until_settled(100)
        series = goes_on(whole.admin, 30, lambda: whole.feeder.send(20, bad=0.2))
    fires(alerts, series, "RelayDeadLetters", 10)


def test_events_that_were_produced_long_ago(alerts):
    with whole_relay(users=50) as whole:
        produced_now(whole, 50, late_s=900)
        whole.until_settled(50)
        series = goes_on(whole.admin, 30, lambda: produced_now(whole, 20, late_s=900))
    fires(alerts, series, "RelayLate", 21)


def test_segment_events_that_the_platform_refuses(alerts):
    with whole_relay(**MEMBERSHIP) as whole:
        whole.sandbox.faults({"rules": [{"kind": "status", "status": 403, "path": "*imports*"}]})
        for number in range(5):
            whole.feeder._produce("s", segment(number))
        whole.relay.until("membership_held")
        series = goes_on(whole.admin, 150, grows=["relay_membership_oldest_seconds"])
    fires(alerts, series, "RelaySegmentsHeld", 11)
    fires(alerts, series, "RelaySegmentsLate", 140)


def test_a_ledger_that_does_not_add_up(alerts):
    """No fault of Kafka or the API does it, only a defect of Relay: one is made here by hand."""
    bench = Bench()
    bench.feed("a 1", "b 1")
    bench.answer(bench.fly())
    reporter = Reporter(bench.engine, [].append, ReportPolicy())

    class Exposed:
        def collect(self):
            return list(reporter.metrics())

    registry = CollectorRegistry()
    registry.register(Exposed())

    def balanced():
        return samples(generate_latest(registry).decode(), "relay_ledger_balanced")

    alerts.fire(steady(balanced(), 10), "RelayLedgerUnbalanced", 2)
    bench.ledger.delivered += 1
    alerts.fire(steady(balanced(), 10), "RelayLedgerUnbalanced", 2, {})


def test_every_alert_has_a_fault_that_fires_it():
    """Here, or on a real Kafka in the two files beside this one."""
    files = ("test_every_alert.py", "test_alerts.py", "test_alerts_on_kafka.py")
    texts = [(ROOT / "tests/deploy" / name).read_text(encoding="utf-8") for name in files]
    assert [alert for alert in ALERTS if f'"{alert}"' not in "".join(texts)] == []
