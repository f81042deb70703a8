"""Alerts in faults of a Relay that really runs, and in calm.

Two scrapes, a few seconds apart, are drawn out to the minutes and hours that an alert waits for:
each series goes on as it went between the two. Prometheus' own tool runs the rules over that.
"""

import json
import time

import httpx
import pytest
import yaml
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from scripts.generate import ROOT
from tests.support.embedded import whole_relay
from tests.support.kafka_admin import wait_for
from tests.support.promtool import Alerts

RULES = yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text(encoding="utf-8"))
ALERTS = [rule["alert"] for group in RULES["groups"] for rule in group["rules"]]
MEMBERSHIP = {
    "SEGMENTS__MEMBERSHIP__ENABLED": "true",
    "SEGMENTS__MEMBERSHIP__DELAY_GOAL_S": "0.6",
    "SEGMENTS__IMPORTS__POLL_S": "0.1",
}


@pytest.fixture
def alerts(tmp_path):
    return Alerts(tmp_path)


def scraped(whole):
    """Every series of ours with its value, and when."""
    text = httpx.get(f"{whole.admin}/metrics", timeout=10).raise_for_status().text
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("relay_"):
                labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}"] = sample.value
    return time.monotonic(), found  # noqa: TID251 - a process lives in real time


def drawn_out(first, second, minutes):
    """What each series would be if it went on like this, a sample each minute."""
    (at, before), (later, after) = first, second
    each = {
        name: (value - before.get(name, value)) * 60 / (later - at) for name, value in after.items()
    }
    return {name: f"{after[name]:.6f}{each[name]:+.6f}x{minutes}" for name in after}


def goes_on(whole, minutes, feed=None, seconds=3.0):
    """Two scrapes with what happens between them, drawn out."""
    first = scraped(whole)

    def later():
        if feed is not None:
            feed()
        return time.monotonic() - first[0] >= seconds  # noqa: TID251 - as above

    wait_for(later, 30, "no time")
    return drawn_out(first, scraped(whole), minutes)


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

        series = goes_on(whole, 30, feed)
    for alert in ALERTS:
        alerts.fire(series, alert, 10)


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
        series = goes_on(whole, 30)
    fires(alerts, series, "RelayHeld", 2)
    alerts.fire(series, "RelayDestinationDown", 20)


def test_an_outage_holds_the_frontier_and_is_down(alerts):
    with whole_relay() as whole:
        whole.feeder.send(50)
        whole.until_settled(50)
        whole.sandbox.faults({"rules": [{"kind": "status", "status": 503}]})
        whole.feeder.send(100)
        whole.relay.until("destination_down")
        series = goes_on(whole, 30)
        stuck = [name for name, one in whole.status()["partitions"].items() if one["pinned_by"]]
    fires(alerts, series, "RelayDestinationDown", 11)
    alerts.fire(series, "RelayPartitionStuck", 10)
    where = [dict(zip(("topic", "partition"), name.rsplit("-", 1), strict=True)) for name in stuck]
    fires(alerts, series, "RelayPartitionStuck", 20, *where)


def test_bad_records(alerts):
    with whole_relay() as whole:
        whole.feeder.send(100, bad=0.2)
        whole.until_settled(100)
        series = goes_on(whole, 30, lambda: whole.feeder.send(20, bad=0.2))
    fires(alerts, series, "RelayDeadLetters", 10)


def test_events_that_were_produced_long_ago(alerts):
    with whole_relay(users=50) as whole:
        produced_now(whole, 50, late_s=900)
        whole.until_settled(50)
        series = goes_on(whole, 30, lambda: produced_now(whole, 20, late_s=900))
    fires(alerts, series, "RelayLate", 21)


def test_segment_events_that_the_platform_refuses(alerts):
    with whole_relay(**MEMBERSHIP) as whole:
        whole.sandbox.faults({"rules": [{"kind": "status", "status": 403, "path": "*imports*"}]})
        for number in range(5):
            whole.feeder._produce("s", segment(number))
        whole.relay.until("membership_held")
        series = goes_on(whole, 150)
    fires(alerts, series, "RelaySegmentsHeld", 11)
    fires(alerts, series, "RelaySegmentsLate", 140)


def test_every_alert_has_a_fault_that_fires_it_or_is_named_as_one_that_has_none():
    """Three stand in test_alerts.py, on a real Kafka. Six are run over series made by hand."""
    here = (ROOT / "tests/deploy/test_every_alert.py").read_text(encoding="utf-8")
    there = (ROOT / "tests/deploy/test_alerts.py").read_text(encoding="utf-8")
    without = [alert for alert in ALERTS if f'"{alert}"' not in here + there]
    assert without == []


@pytest.mark.parametrize(
    ("alert", "series", "minute", "labels"),
    [
        ("RelayRecordsGone", {"relay_positions_lost_total": "0 0 1x20"}, 4, {}),
        (
            "RelayDeadLetterTopicUnavailable",
            {'relay_dead_letter_errors_total{code="x"}': "0+1x20"},
            8,
            {},
        ),
        ("RelayDeadLettersTruncated", {"relay_dead_letters_truncated_total": "0 0 1x20"}, 4, {}),
        (
            "RelayOffsetMapFull",
            {'relay_offset_map_fill{topic="t",partition="0"}': "0.9x20"},
            6,
            {"topic": "t", "partition": "0"},
        ),
        ("RelayCommitsFail", {'relay_commit_errors_total{code="x"}': "0+1x20"}, 15, {}),
        ("RelayLedgerUnbalanced", {"relay_ledger_balanced": "0x20"}, 2, {}),
    ],
)
def test_rules_over_series_made_by_hand(alerts, alert, series, minute, labels):
    alerts.fire(series, alert, minute, labels)
