"""Troubles with Kafka, and transactions that hang, are shown everywhere: as lines and as values."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from relay.model import Partition
from relay.road.consuming.facts import RecordsHeldBack, RecordsReleased
from relay.road.consuming.source import SourceState, SourceTrouble
from relay.road.source_status import HANGS_AFTER_S, SAY_AGAIN_S, SourceReport

HERE, THERE = Partition("events", 0), Partition("events", 1)


@pytest.fixture
def told():
    return []


@pytest.fixture
def report(told):
    return SourceReport(told.append)


def held(*partitions, since, count=5):
    return SourceState(
        held_back=dict.fromkeys(partitions, count), held_since=dict.fromkeys(partitions, since)
    )


def exposed(report):
    class Collector:
        def collect(self):
            return report.metrics()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    lines = generate_latest(registry).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_without_trouble_there_is_nothing_to_show(report, told):
    report.tick(10.0, SourceState())

    assert report.readiness() is None
    assert report.status() == {"trouble": None, "reason": None, "for_s": None, "held_back": {}}
    assert set(exposed(report).values()) == {"0.0"}
    assert told == []


@pytest.mark.parametrize("trouble", SourceTrouble)
def test_a_trouble_makes_the_road_not_ready_and_is_shown_with_its_reason(report, trouble):
    report.tick(10.0, SourceState(trouble=trouble, reason="why it is", since=7.0))

    assert report.readiness() == f"kafka {trouble}: why it is"
    shown = report.status()
    assert (shown["trouble"], shown["reason"], shown["for_s"]) == (trouble.value, "why it is", 3.0)
    values = exposed(report)
    assert values.pop(f'relay_kafka_trouble{{trouble="{trouble.value}"}}') == "1.0"
    assert set(values.values()) == {"0.0"}

    report.tick(11.0, SourceState())
    assert report.readiness() is None


def test_what_is_held_back_is_shown_at_once_and_is_no_reason_to_be_unready(report):
    report.tick(12.0, held(HERE, since=2.0))

    assert report.status()["held_back"] == {"events-0": {"records": 5, "for_s": 10.0}}
    values = exposed(report)
    assert values['relay_records_held_back{partition="0",topic="events"}'] == "5.0"
    assert values['relay_held_back_seconds{partition="0",topic="events"}'] == "10.0"
    assert report.readiness() is None


def test_a_transaction_that_hangs_is_one_line_after_a_minute_and_one_at_its_end(report, told):
    for second in range(100):
        report.tick(float(second), held(HERE, since=0.0))
    report.tick(100.0, SourceState())

    found, ended = told
    assert found == RecordsHeldBack(partitions=("events-0",), records=5, for_s=HANGS_AFTER_S)
    assert ended == RecordsReleased(after_s=100.0 - HANGS_AFTER_S)


def test_transactions_that_come_and_go_are_no_news(report, told):
    for second in range(1000):
        report.tick(float(second), held(HERE, since=second - second % 30.0))

    assert told == []


def test_it_is_said_again_after_ten_minutes_and_when_another_partition_hangs(report, told):
    report.tick(HANGS_AFTER_S, held(HERE, since=0.0))
    report.tick(HANGS_AFTER_S + SAY_AGAIN_S - 1, held(HERE, since=0.0))
    report.tick(HANGS_AFTER_S + SAY_AGAIN_S, held(HERE, since=0.0))
    report.tick(HANGS_AFTER_S + SAY_AGAIN_S + 1, held(HERE, THERE, since=0.0))

    assert [fact.partitions for fact in told] == [
        ("events-0",),
        ("events-0",),
        ("events-0", "events-1"),
    ]


def test_the_membership_road_has_names_of_its_own(told):
    report = SourceReport(told.append, prefix="relay_membership")
    report.tick(1.0, held(HERE, since=0.0))

    assert all(name.startswith("relay_membership_") for name in exposed(report))
