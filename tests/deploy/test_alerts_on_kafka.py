"""Alerts about dead letters, commits, offset maps and lost records, in faults of a real Kafka.

As in `test_every_alert`, two scrapes of a running Relay are drawn out to the minutes that an alert
waits for.
"""

import contextlib
import random
import uuid

import httpx
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AclOperation

from tests.support.kafka_admin import wait_for
from tests.support.kafka_security import USERS
from tests.support.promtool import Alerts, growing, scraped, steady, stepped
from tests.support.road import (
    Feeder,
    Sandbox,
    committed,
    read_topic,
    relay_environ,
    relay_run,
)

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.fixture
def alerts(tmp_path):
    return Alerts(tmp_path)


@contextlib.contextmanager
def relay(kafka, topic, group=None, **settings):
    """A relay between the topic and a sandbox; the process, its admin port and the sandbox."""
    group = group or f"alerts-{uuid.uuid4().hex[:8]}"
    with (
        Sandbox() as sandbox,
        relay_run(relay_environ(kafka, topic, sandbox.url, group, **settings)) as process,
    ):
        yield process, str(process.until("relay_started")["admin"]), sandbox


def guest(kafka):
    """The settings of a relay that logs in, so that rights can be taken from it."""
    return {
        "KAFKA__BOOTSTRAP_SERVERS": kafka.address("SASL_PLAIN"),
        "KAFKA__SECURITY__PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA__SECURITY__MECHANISM": "SCRAM-SHA-256",
        "KAFKA__SECURITY__USERNAME": "guest",
        "KAFKA__SECURITY__PASSWORD": USERS["guest"],
    }


def goes_on_growing(admin, counter):
    """A counter as it is, and as it is when it has grown: drawn out, so often a minute."""
    before = only(scraped(admin)[1], counter)
    wait_for(lambda: only(scraped(admin)[1], counter) != before, 60, "it does not grow")
    return growing(before, only(scraped(admin)[1], counter), 20)


def troubles(admin):
    told = httpx.get(f"{admin}/status", timeout=30).raise_for_status().json()["troubles"]
    return {one["runbook"]: one for one in told}


def value_of(admin, series):
    """The sum of a counter's series."""
    return sum(only(scraped(admin)[1], series).values())


def only(found, series):
    return {name: value for name, value in found.items() if name.startswith(f"{series}{{")}


def test_a_dead_letter_that_is_too_large(alerts, kafka, topic):
    kafka.create_topic(f"{topic}.dlq", config={"max.message.bytes": "4000"})
    counter = "relay_dead_letters_truncated_total"
    with relay(kafka, topic) as (process, admin, _):
        before = only(scraped(admin)[1], counter)
        assert list(before.values()) == [0]
        feeder = Feeder(kafka, topic, 1, 5)
        feeder._produce("user-1", random.Random(1).randbytes(16_000))
        feeder.send(1)
        process.until("dead_letter_truncated")
        after = only(scraped(admin)[1], counter)
    alerts.fire(steady(before, 20), "RelayDeadLettersTruncated", 10)
    alerts.fire(stepped(before, after, 30), "RelayDeadLettersTruncated", 8, {})


def test_dead_letters_that_their_topic_refuses(alerts, secured_kafka):
    kafka, topic = secured_kafka, secured_kafka.create_topic()
    dead, feeder = f"{topic}.dlq", Feeder(kafka, topic, 1, 5)
    with relay(kafka, topic, **guest(kafka)) as (process, admin, _):
        process.until("dead_letter_topic_created")
        kafka.security.deny(kafka.admin, "guest", dead, AclOperation.WRITE)
        try:
            with feeder.going_on(
                1, bad=1.0
            ):  # what is written before the rule is known is no fault
                process.until("dead_letter_topic_unavailable")
            series = goes_on_growing(admin, "relay_dead_letter_errors_total")
            trouble = troubles(admin)["relaydeadlettertopicunavailable"]
            ready = httpx.get(f"{admin}/readyz", timeout=30)
        finally:
            kafka.security.forgive(kafka.admin, dead)
        process.until("dead_letter_topic_restored")
        letters = feeder.produced.bad
        wait_for(lambda: len(read_topic(kafka, dead)) == letters, 60, "letters are missing")
    alerts.fire(series, "RelayDeadLetterTopicUnavailable", 15, {})
    assert ready.status_code == 503
    for said in (trouble["reason"], ready.text):
        assert f"dead-letter topic {dead}: {topic}-0-" in said
        assert "topic authorization failed" in said
        assert "grant the access that is missing (ACLs)" in said


def test_commits_that_kafka_refuses(alerts, secured_kafka):
    """Without the right to use the group nothing is read either, which another alert says."""
    kafka, topic = secured_kafka, secured_kafka.create_topic()
    group, feeder = f"alerts-{uuid.uuid4().hex[:8]}", Feeder(kafka, topic, 1, 5)
    with relay(kafka, topic, group, **guest(kafka)) as (process, admin, _), feeder.going_on(1):
        wait_for(lambda: committed(kafka, group, topic)[0] > 0, 60, "nothing is committed")
        kafka.security.deny_group(kafka.admin, "guest", group)
        try:
            process.until("commit_failed")
            series = goes_on_growing(admin, "relay_commit_errors_total")
            trouble = troubles(admin)["relaycommitsfail"]
        finally:
            kafka.security.forgive(kafka.admin, group)
        process.until("commits_restored")
        assert "relaycommitsfail" not in troubles(admin)
    alerts.fire(series, "RelayCommitsFail", 15, {})
    assert "group authorization failed" in trouble["reason"]
    assert "grant READ on the consumer group (ACLs)" in trouble["reason"]


def test_records_that_kafka_deleted_while_no_relay_ran(alerts, kafka, topic):
    """It is known before the first scrape: the counter is never seen to grow."""
    group, feeder = f"alerts-{uuid.uuid4().hex[:8]}", Feeder(kafka, topic, 1, 5)
    feeder.send(10)
    with relay(kafka, topic, group) as (process, _, _):
        wait_for(lambda: committed(kafka, group, topic) == {0: 10}, 60, "it was not committed")
        process.terminate()
    feeder.send(50)
    for result in kafka.admin.delete_records([TopicPartition(topic, 0, 40)]).values():
        result.result(timeout=20)
    counter = "relay_positions_lost_total"
    with relay(kafka, topic, group) as (process, admin, _):
        process.until("position_lost")
        found = only(scraped(admin)[1], counter)
    assert list(found.values()) == [1]
    away = {name: f"_x30 {value:.0f}x30" for name, value in found.items()}
    alerts.fire(away, "RelayRecordsGone", 32, {})
    alerts.fire(away, "RelayRecordsGone", 50)
    later = stepped(dict.fromkeys(found, 0), found, 30)
    alerts.fire(later, "RelayRecordsGone", 10, {})


@pytest.mark.timeout(300)
def test_a_partition_with_more_holes_than_fit_into_a_commit(alerts, kafka, topic):
    """The events of half of the users fail, at random: a pattern would take less room."""
    settings = {"DELIVERY__MEMORY_RECORDS_MAX": "200000", "DELIVERY__PROGRESS_EVERY_S": "1"}
    with relay(kafka, topic, **settings) as (_, admin, sandbox):
        failing = {"kind": "status", "status": 500, "contains": "odd-"}
        sandbox.faults({"rules": [failing]})
        feeder = Feeder(kafka, topic, 1, 5)
        rng = random.Random(1)
        for number in range(25_000):
            user = f"{rng.choice(('odd', 'even'))}-{number}"
            feeder._produce(user, feeder.event(user, 0))
        feeder.send(1)
        gauge = "relay_offset_map_fill"
        wait_for(lambda: value_of(admin, gauge) > 0.8, 250, "the map is not full")
        found = only(scraped(admin)[1], gauge)
    alerts.fire(steady(found, 10), "RelayOffsetMapFull", 6, {"topic": topic, "partition": "0"})
