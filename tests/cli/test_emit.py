"""`relay emit`: events to a real topic, and a word about every line that is none."""

import asyncio
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from confluent_kafka import Consumer, TopicPartition

from relay import cli
from relay.cli.emitting import key_of
from relay.cli.feeding import fed
from relay.errors import ExitStatus
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.mapping.policy import IdentityPolicy
from tests.support.app_events import example


def event(number, user="u1", **more):
    return {**example("track"), "id": f"e{number}", "user": {"accounts": [{"id": user}]}, **more}


def lines_of(*lines):
    return b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )


def settings(kafka, **more):
    return {"kafka": {"bootstrap_servers": kafka.bootstrap_servers, "start_timeout_s": 0, **more}}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs `relay emit` on a file of lines, in an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(given, *lines, options=()):
        (tmp_path / "relay.yaml").write_text(json.dumps(given))
        source = tmp_path / "events.ndjson"
        source.write_bytes(lines_of(*lines))
        with pytest.raises(SystemExit) as caught:
            cli.main(["emit", str(source), *options])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=caught.value.code, out=out, err=err)

    return run


def written(kafka, topic, partitions=1):
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "reader"})
    records = []
    try:
        for number in range(partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
            consumer.assign([TopicPartition(topic, number, low)])
            records += consumer.consume(high - low, timeout=30) if high > low else []
    finally:
        consumer.close()
    return records


@pytest.mark.broker
def test_every_valid_line_is_written_as_it_stands(run, kafka, topic):
    raw = b'{"type": "track",  ' + json.dumps(event(1)).encode()[1:].replace(
        b'"type": "track", ', b""
    )

    end = run(settings(kafka, topics=[topic]), raw, b"", event(2), options=["--json"])

    assert end.status == 0
    assert {m.value() for m in written(kafka, topic)} == {raw, json.dumps(event(2)).encode()}
    summary = json.loads(end.out)
    assert summary | {"seconds": 0} == {
        "topic": topic,
        "lines": 2,
        "emitted": 2,
        "invalid": 0,
        "invalid_by_code": {},
        "bytes": len(raw) + len(json.dumps(event(2))),
        "seconds": 0,
    }


@pytest.mark.broker
def test_events_of_one_user_stand_in_one_partition_in_order(run, kafka):
    topic = kafka.create_topic(partitions=4)
    events = [event(n, user=f"u{n % 9}") for n in range(180)]

    assert run(settings(kafka, topics=[topic]), *events).status == 0

    partitions, ids = {}, {}
    for message in written(kafka, topic, 4):
        said = json.loads(message.value())
        user = said["user"]["accounts"][0]["id"]
        partitions.setdefault(user, set()).add(message.partition())
        ids.setdefault(user, []).append(int(said["id"][1:]))
        assert user.encode() not in message.key()
    assert all(len(where) == 1 for where in partitions.values())
    assert len({min(where) for where in partitions.values()}) > 1
    assert all(found == sorted(found) and len(found) == 20 for found in ids.values())


@pytest.mark.broker
def test_a_line_that_is_no_event_is_said_and_the_others_are_written(run, kafka, topic):
    wrong = {**event(2)}
    del wrong["ts"]

    end = run(
        settings(kafka), event(1), b"{", wrong, event(3), options=["--topic", topic, "--json"]
    )

    assert end.status == ExitStatus.INPUT
    assert [m.value() for m in written(kafka, topic)] == [
        json.dumps(event(1)).encode(),
        json.dumps(event(3)).encode(),
    ]
    second, third = end.err.splitlines()
    assert second.startswith("line 2: ")
    assert third.startswith("line 3: ")
    assert "ts" in third
    summary = json.loads(end.out)
    assert (summary["emitted"], summary["invalid"]) == (2, 2)
    assert sum(summary["invalid_by_code"].values()) == 2


@pytest.mark.broker
def test_for_people_the_end_is_one_line(run, kafka, topic):
    end = run(settings(kafka, topics=[topic]), event(1))

    assert end.out.startswith(f"1 event written to {topic} in ")
    assert end.err == ""


@pytest.mark.broker
def test_a_topic_that_does_not_exist_is_one_line(run, kafka):
    end = run(settings(kafka), event(1), options=["--topic", "no-such-topic"])

    assert end.status == ExitStatus.TOPIC_MISSING
    assert end.err == (
        "relay: topic no-such-topic not found (create it, or name another: --topic)\n"
    )


def test_a_broker_that_does_not_answer_is_one_line(run):
    nobody = SimpleNamespace(bootstrap_servers="localhost:1")

    end = run(settings(nobody), event(1))

    assert end.status == ExitStatus.KAFKA_UNREACHABLE
    assert end.err.startswith("relay: Kafka at localhost:1: ")
    assert len(end.err.splitlines()) == 1


@pytest.mark.parametrize("kafka", [{"topics": ["a", "b"]}, {"topic_pattern": "a.*"}])
def test_of_several_topics_one_must_be_named(run, kafka):
    end = run({"kafka": kafka}, event(1))

    assert end.status == ExitStatus.USAGE
    assert "--topic" in end.err


def test_a_topic_that_has_a_source_is_refused_in_one_line(run):
    given = {"kafka": {"topics": ["web.a"]}, "sources": [{"topics": ["web.*"], "preset": "jitsu"}]}

    end = run(given, event(1))

    assert end.status == ExitStatus.INPUT
    assert "topic web.a has a source (json, preset jitsu)" in end.err
    assert len(end.err.splitlines()) == 1


def test_a_file_that_does_not_exist_is_one_line(run, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["emit", "no-such-file"])

    assert caught.value.code == ExitStatus.INPUT
    assert "no-such-file: No such file" in capsys.readouterr().err


@pytest.mark.broker
def test_events_from_a_pipe_are_written_as_they_come(kafka, topic):
    """The pipe stays open: what came is in the topic before more comes."""
    command = [sys.executable, "-m", "relay", "emit", "-", "--topic", topic, "--json"]
    environment = {
        **os.environ,  # noqa: TID251 - a process of its own
        "RELAY_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
    }
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        for number in range(3):
            process.stdin.write(lines_of(event(number)))
            process.stdin.flush()
            consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "g"})
            consumer.assign([TopicPartition(topic, 0, number)])
            (message,) = consumer.consume(1, timeout=20)
            consumer.close()
            assert json.loads(message.value())["id"] == f"e{number}"
        process.stdin.close()
        out = process.stdout.read()
    assert process.returncode == 0
    assert json.loads(out)["emitted"] == 3


def decoded(**user):
    return decode(json.dumps({**example("track"), "user": user}).encode(), DecodingPolicy())


def test_the_key_is_the_users_whatever_else_the_event_says():
    policy = IdentityPolicy(default_compartment_id="1")

    first = key_of(decoded(accounts=[{"id": "u1"}]), policy)

    assert first == key_of(decoded(accounts=[{"id": "u1"}]), policy)
    assert first != key_of(decoded(accounts=[{"id": "u2"}]), policy)


def test_a_user_that_cannot_be_identified_gets_a_key_too():
    policy = IdentityPolicy()

    nobody = key_of(decoded(accounts=[{"id": "0"}]), policy)

    assert nobody
    assert nobody == key_of(decoded(accounts=[{"id": "0"}]), policy)
    assert nobody != key_of(decoded(accounts=[{"id": "null"}]), policy)


async def test_lines_are_fed_in_order_and_at_most_so_many_ahead():
    read = 0

    def lines():
        nonlocal read
        for number in range(10_000):
            read = number
            yield number, b"x"

    seen = []
    async for number, _ in fed(lines()):
        seen.append(number)
        assert read <= number + 2_001
        if number % 1000 == 0:
            await asyncio.sleep(0)
    assert seen == list(range(10_000))


async def test_what_goes_wrong_while_reading_is_raised_where_lines_are_used():
    def lines():
        yield 1, b"x"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        async for _ in fed(lines()):
            pass
