"""`relay dlq`: what lies in the dead-letter topic, on a real broker."""

import asyncio
import hashlib
import json
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from relay import cli
from relay.errors import ExitStatus
from relay.model import DEFAULT_DESTINATION, DeadLetter, DeadLetterClass, Record
from relay.road.settling.dead_letter import opened
from relay.road.settling.dead_letter_topic import DeadLetterTopic
from relay.settings.dead_letter import DeadLetterSettings
from relay.settings.kafka import KafkaSettings
from tests.support.app_events import example

pytestmark = pytest.mark.broker


def value(number, user):
    event = {**example("track"), "id": f"e{number}", "user": {"accounts": [{"id": user}]}}
    return json.dumps(event).encode()


@pytest.fixture
async def graveyard(kafka):
    """A topic of two partitions, and ten dead letters of it; a record of somebody else's besides.

    Codes: four http_400, three http_413, two invalid_json, one timeout, bound for shop-de.
    Users u0, u1, u2 in turn.
    """
    topic = kafka.create_topic(partitions=2)
    kinds = (
        [(DeadLetterClass.REFUSED, "http_400")] * 4
        + [(DeadLetterClass.REFUSED, "http_413")] * 3
        + [(DeadLetterClass.UNDECODABLE, "invalid_json")] * 2
        + [(DeadLetterClass.EXHAUSTED, "timeout")]
    )
    letters = []
    for number, (cls, code) in enumerate(kinds):
        raw = b"\xff{" if cls is DeadLetterClass.UNDECODABLE else value(number, f"u{number % 3}")
        headers = (("trace", b"t%d" % number),)
        record = Record(topic, number % 2, 100 + number, 0, b"k%d" % number, raw, headers)
        to = "shop-de" if code == "timeout" else DEFAULT_DESTINATION
        letters.append(
            DeadLetter(record, cls, code, "because", status=400, attempts=2, destination=to)
        )
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, topics=[topic])
    dead_letters = DeadLetterTopic(DeadLetterSettings().policy(settings), lambda _: None)
    await dead_letters.start()
    await dead_letters.write(letters)
    await dead_letters.stop()
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(f"{topic}.dlq", b"somebody else's")
    return SimpleNamespace(kafka=kafka, topic=topic, letters=letters, dead_letters=dead_letters)


@pytest.fixture
def dlq(graveyard, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = {
        "kafka": {
            "bootstrap_servers": graveyard.kafka.bootstrap_servers,
            "topics": [graveyard.topic],
        }
    }
    (tmp_path / "relay.yaml").write_text(json.dumps(given))

    def call(arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(["dlq", *arguments])
        return caught.value.code

    async def dlq(*arguments):
        status = await asyncio.to_thread(call, arguments)
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return dlq


async def listed(dlq, *options):
    end = await dlq("list", "--json", *options)
    assert end.status == 0
    return [json.loads(line) for line in end.out.splitlines()]


async def standing_in(graveyard, partitions=2):
    here = [TopicPartition(graveyard.topic, n) for n in range(partitions)]
    async with AIOKafkaConsumer(
        bootstrap_servers=graveyard.kafka.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign(here)
        ends = await consumer.end_offsets(here)
        records = []
        async with asyncio.timeout(20):
            while any([await consumer.position(tp) < ends[tp] for tp in here]):
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    records += batch
        return records


async def test_the_list_has_every_letter_with_its_reason_and_no_content(dlq, graveyard):
    lines = await listed(dlq)

    assert [line["record"] for line in lines] == [
        str(letter.record.position) for letter in graveyard.letters
    ]
    first = lines[0]
    assert first["position"] == f"{graveyard.topic}.dlq-0-0"
    assert (first["class"], first["code"], first["reason"]) == ("refused", "http_400", "because")
    assert (first["attempts"], first["status"], first["deaths"]) == (2, 400, 1)
    assert "u0" not in json.dumps([{**line, "position": ""} for line in lines])

    people = await dlq("list", "--limit", "2")
    assert len(people.out.splitlines()) == 2
    assert "refused/http_400: because" in people.out
    assert people.err == "2 dead letters; there are more: raise --limit\n"


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--code", "http_413"], [4, 5, 6]),
        (["--code", "http_413", "--code", "timeout"], [4, 5, 6, 9]),
        (["--class", "undecodable"], [7, 8]),
        (["--user", "u1"], [1, 4]),
        (["--user", "u0", "--code", "timeout"], [9]),
        (["--destination", "shop-de"], [9]),
        (["--destination", "default"], list(range(9))),
        (["--since", "1h"], list(range(10))),
        (["--since", "99999d"], list(range(10))),
        (["--since", "2100-01-01T00:00:00Z"], []),
        (["--until", "1h"], []),
        (["--limit", "3"], [0, 1, 2]),
    ],
)
async def test_the_list_is_restricted_by(dlq, graveyard, options, numbers):
    lines = await listed(dlq, *options)

    assert [line["record"] for line in lines] == [
        str(graveyard.letters[n].record.position) for n in numbers
    ]


async def test_positions_of_letters_and_of_their_records_restrict_the_list(dlq, graveyard):
    topic = graveyard.topic

    assert len(await listed(dlq, "--at", f"{topic}.dlq-0-3")) == 1
    assert len(await listed(dlq, "--at", f"{topic}-0-100..106")) == 4


async def test_the_summary_counts_by_day_topic_class_and_code(dlq, graveyard):
    end = await dlq("summary", "--json")

    rows = [json.loads(line) for line in end.out.splitlines()]
    assert {row["topic"] for row in rows} == {f"{graveyard.topic}.dlq"}
    assert len({row["day"] for row in rows}) == 1
    assert [(row["class"], row["code"], row["count"]) for row in rows] == [
        ("refused", "http_400", 4),
        ("refused", "http_413", 3),
        ("undecodable", "invalid_json", 2),
        ("exhausted", "timeout", 1),
    ]
    assert all(row["first"].startswith(row["day"]) for row in rows)
    assert all(row["first"] <= row["last"] for row in rows)

    people = await dlq("summary", "--class", "refused")
    assert [line.split()[2:5] for line in people.out.splitlines()] == [
        ["class", "code", "count"],
        ["refused", "http_400", "4"],
        ["refused", "http_413", "3"],
    ]
    assert people.err == "7 dead letters; 1 record of others left alone\n"


async def test_the_list_says_when_there_is_more(dlq, graveyard):
    for options in (["--limit", "3"], ["--limit", "3", "--json"]):
        end = await dlq("list", *options)
        assert len(end.out.splitlines()) == 3
        assert "3 dead letters; there are more: raise --limit" in end.err
    whole = await dlq("list", "--code", "http_413", "--limit", "3")
    assert "more" not in whole.err


@pytest.mark.parametrize(
    ("option", "says", "status"),
    [
        (["--code", "http_40"], "http_40: no dead letter has this code", ExitStatus.INPUT),
        (["--code", "invalid_jsn"], "did you mean invalid_json?", ExitStatus.INPUT),
        (["--class", "refusd"], "'refusd' is not one of 'undecodable'", ExitStatus.USAGE),
    ],
)
async def test_a_code_or_class_that_does_not_exist_is_no_empty_answer(dlq, option, says, status):
    for command in ("list", "summary", "replay"):
        end = await dlq(command, *option)
        assert end.status == status
        assert says in end.err.replace("\n", " ")


async def test_one_letter_is_shown_with_its_content_masked_unless_asked(dlq, graveyard):
    end = await dlq("show", f"{graveyard.topic}.dlq-0-0", "--json")
    shown = json.loads(end.out)
    assert shown["key"] == "***"
    assert shown["headers"] == [["trace", "***"]]
    assert '"type":"track"' in shown["value"]
    assert "u0" not in shown["value"]
    assert shown["deaths"][0]["code"] == "http_400"

    exact = await dlq("show", str(graveyard.letters[0].record.position), "--show-personal-data")
    assert "key: k0" in exact.out
    assert value(0, "u0").decode() in exact.out

    broken = await dlq("show", f"{graveyard.topic}.dlq-0-7", "--show-personal-data", "--json")
    assert json.loads(broken.out)["value"] == "base64:/3s="
    masked = await dlq("show", f"{graveyard.topic}.dlq-0-7", "--json")
    assert json.loads(masked.out)["value"] == "***"


async def test_a_letter_that_is_not_there_is_one_line(dlq, graveyard):
    end = await dlq("show", f"{graveyard.topic}.dlq-0-999")

    assert end.status == ExitStatus.INPUT
    assert "no dead letter at" in end.err


async def test_a_dry_run_says_what_would_go_where_and_writes_nothing(dlq, graveyard):
    end = await dlq("replay", "--code", "http_400", "--dry-run", "--json")

    assert json.loads(end.out) == {
        "dry_run": True,
        "replayed": 4,
        "by_topic": {graveyard.topic: 4},
        "foreign": 1,
        "truncated": 0,
    }
    people = await dlq("replay", "--all", "--dry-run")
    assert people.out.splitlines()[-1] == f"10 would be sent to {graveyard.topic}"
    assert await standing_in(graveyard) == []


async def test_a_replayed_record_is_the_original_with_its_history_in_its_old_partition(
    dlq, graveyard
):
    end = await dlq("replay", "--code", "http_413", "--rate", "1000", "--json")

    assert (end.status, json.loads(end.out)["replayed"]) == (0, 3)
    records = await standing_in(graveyard)
    assert len(records) == 3
    for record in records:
        original, (death,) = opened(record.headers)
        number = death.position.offset - 100
        was = graveyard.letters[number].record
        assert (record.key, record.value, original) == (was.key, was.value, was.headers)
        assert record.partition == was.partition
        assert death.position == was.position


async def test_a_replayed_record_that_dies_again_has_both_deaths(dlq, graveyard):
    await dlq("replay", "--code", "timeout")
    (record,) = await standing_in(graveyard)
    again = Record(
        graveyard.topic,
        record.partition,
        record.offset,
        0,
        record.key,
        record.value,
        tuple(record.headers),
    )
    await graveyard.dead_letters.start()
    await graveyard.dead_letters.write(
        [DeadLetter(again, DeadLetterClass.REFUSED, "http_422", "still")]
    )
    await graveyard.dead_letters.stop()

    (line,) = await listed(dlq, "--code", "http_422")
    assert line["deaths"] == 2
    assert line["origin"] == str(graveyard.letters[9].record.position)
    shown = await dlq("show", line["position"])
    assert shown.out.index("timeout") < shown.out.index("http_422")


async def test_a_replay_may_go_to_another_topic(dlq, graveyard):
    other = graveyard.kafka.create_topic()

    end = await dlq("replay", "--all", "--to", other, "--limit", "7", "--json")

    assert json.loads(end.out)["by_topic"] == {other: 7}


async def test_replaying_everything_must_be_meant(dlq):
    end = await dlq("replay")

    assert end.status == ExitStatus.USAGE
    assert "--all" in end.err


@pytest.mark.parametrize("options", [["--since", "yesterday"], ["--at", "events"]])
async def test_an_option_that_means_nothing_is_one_line(dlq, options):
    end = await dlq("list", *options)

    assert end.status == ExitStatus.INPUT
    assert len(end.err.splitlines()) == 1


async def test_without_a_dead_letter_topic_that_is_said(dlq):
    end = await dlq("list", "--topic", "no-such.dlq")

    assert end.status == ExitStatus.TOPIC_MISSING
    assert "no-such.dlq not found" in end.err


async def test_a_truncated_letter_is_listed_as_such_and_never_sent_again(dlq, graveyard):
    """What is left of it is no event: it would die again, and look as if that was all there was."""
    large = graveyard.letters[0]
    entry = ConfigEntry("max.message.bytes", "100000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(
        ResourceType.TOPIC, f"{graveyard.topic}.dlq", incremental_configs=[entry]
    )
    altered = graveyard.kafka.admin.incremental_alter_configs([resource])[resource]
    await asyncio.to_thread(altered.result, 20)
    record = large.record._replace(offset=500, value=random.Random(1).randbytes(300_000))
    await graveyard.dead_letters.start()
    await graveyard.dead_letters.write([replace(large, record=record, code="http_499")])
    await graveyard.dead_letters.stop()

    (line,) = await listed(dlq, "--code", "http_499")
    assert line["value_bytes"] == 300_000
    assert line["value_sha256"] == hashlib.sha256(record.value).hexdigest()
    people = await dlq("list", "--code", "http_499")
    assert "only a part of the value of 300000 bytes" in people.out

    end = await dlq("replay", "--code", "http_499")
    assert "1 truncated ones cannot be sent again" in end.out
    report = json.loads((await dlq("replay", "--code", "http_499", "--json")).out)
    assert (report["replayed"], report["truncated"]) == (0, 1)
    assert await standing_in(graveyard) == []


async def test_a_header_name_that_is_not_utf_8_is_shown_and_goes_back_as_the_same_bytes(
    dlq, graveyard
):
    headers = (("caf\udce9", b"1"), ("plain", None))
    record = Record(graveyard.topic, 1, 500, 0, b"k", value(20, "u1"), headers)
    await graveyard.dead_letters.start()
    await graveyard.dead_letters.write(
        [DeadLetter(record, DeadLetterClass.REFUSED, "http_418", "because")]
    )
    await graveyard.dead_letters.stop()

    (line,) = await listed(dlq, "--code", "http_418")
    shown = await dlq("show", line["position"], "--json")
    assert json.loads(shown.out)["headers"] == [["caf\\xe9", "***"], ["plain", None]]
    assert (await dlq("show", line["position"])).status == 0

    end = await dlq("replay", "--code", "http_418", "--json")
    assert (end.status, json.loads(end.out)["replayed"]) == (0, 1)
    (again,) = await standing_in(graveyard)
    assert (again.partition, again.key, again.value) == (1, b"k", record.value)
    assert opened(again.headers)[0] == headers
