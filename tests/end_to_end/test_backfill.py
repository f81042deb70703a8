"""`relay run --from`: what was produced between two times, again, on a real Kafka."""

import contextlib
import uuid

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.support.road import (
    Feeder,
    Process,
    Sandbox,
    committed,
    relay_environ,
)

pytestmark = [pytest.mark.broker, pytest.mark.slow]

FIRST_MS = 1_767_225_600_000
HOUR_MS = 3_600_000


def time(hours):
    return f"2026-01-01T{hours:02}:00:00Z"


def test_what_was_produced_between_two_times_is_sent_by_a_group_of_its_own(kafka):
    """Forty events in four hours, ten an hour; the two hours in the middle are sent again."""
    topic, group = kafka.create_topic(partitions=3), f"backfill-{uuid.uuid4().hex[:8]}"
    feeder = Feeder(kafka, topic, seed=1, users=7)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
    for number in range(40):
        at_ms = FIRST_MS + number * HOUR_MS // 10
        value = feeder.event(f"user-{number % 7}", number)
        producer.produce(topic, value, key=f"{number % 7}".encode(), timestamp=at_ms)
    assert producer.flush(30) == 0
    with Sandbox() as sandbox:
        environ = relay_environ(kafka, topic, sandbox.url, "the-group-that-runs")
        arguments = ["run", "--from", time(1), "--to", time(3), "--group", group]
        with Process(arguments, environ) as relay:
            assert relay.wait(60) == 0, relay.text()
            (drain,) = relay.said("drain_started")
            assert drain["reason"] == "everything before --to has met its fate"
        assert sandbox.summary()["events"] == 20
        assert sum(committed(kafka, group, topic).values()) == 30
        assert all(at < 0 for at in committed(kafka, "the-group-that-runs", topic).values())

        with Process(arguments, environ) as again:  # there is nothing left to do
            assert again.wait(60) == 0, again.text()
        assert sandbox.summary()["events"] == 20
        assert sandbox.summary()["duplicates"] == 0


def test_it_ends_where_retention_deleted_what_was_left(kafka):
    topic, group = kafka.create_topic(), f"backfill-{uuid.uuid4().hex[:8]}"
    Feeder(kafka, topic, seed=1, users=7).send(10)
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": group, "log_level": 2}
    )
    with contextlib.closing(consumer):
        consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    for result in kafka.admin.delete_records([TopicPartition(topic, 0, 10)]).values():
        result.result(timeout=20)

    environ = relay_environ(kafka, topic, "http://localhost:9", "the-group-that-runs")
    with Process(["run", "--from", "1h", "--to", "0s", "--group", group], environ) as relay:
        assert relay.wait(30) == 0, relay.text()
        (lost,) = relay.said("position_lost")
    assert (lost["offset"], lost["resumed_at"]) == (4, 10)


def test_a_backfill_of_the_group_that_runs_is_refused(kafka):
    environ = relay_environ(kafka, "any", "http://localhost:9", "mine")
    for arguments in (
        ["--from", "2h"],
        ["--to", "2h"],
        ["--group", "other"],
        ["--from", "2h", "--group", "mine"],
        ["--from", "2h", "--group", "mine-segments"],
        ["--from", "2h", "--group", "other", "--workers", "2"],
    ):
        with Process(["run", *arguments], environ) as relay:
            assert relay.wait(30) == 2, relay.text()
    for arguments, says in (
        (["--from", "yesterday"], "not a time"),
        (["--from", "1h", "--to", "2h"], "not before the end"),
        (["--from", "1h", "--to", "2999-01-01T00:00:00Z"], "has not come yet"),
    ):
        with Process(["run", *arguments, "--group", "other"], environ) as relay:
            assert relay.wait(30) == 8, relay.text()
            assert says in relay.text()
