"""Membership events on a real Kafka → `relay run` → the sandbox's segments, judged at the two ends.

The judge reads what was produced, the sandbox's own members and uploads, and the dead-letter topic.
"""

import random
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from tests.support.kafka_admin import wait_for
from tests.support.leaks import leaks, watched
from tests.support.road import (
    TOKEN,
    Process,
    Sandbox,
    committed,
    read_topic,
    relay_environ,
    relay_run,
)

pytestmark = [pytest.mark.broker, pytest.mark.slow]

SEGMENTS = ("88", "89", "90")
QUICK = {
    "SEGMENTS__MEMBERSHIP__ENABLED": "true",
    "SEGMENTS__MEMBERSHIP__DELAY_GOAL_S": "0.6",
    "SEGMENTS__MEMBERSHIP__COMMANDS_MAX": "200",
    "SEGMENTS__IMPORTS__POLL_S": "0.05",
    "SEGMENTS__IMPORTS__POLL_S_MAX": "0.2",
    "SEGMENTS__IMPORTS__ADOPTION_S": "0.3",
    # Whoever is killed holds its partitions for so long.
    "KAFKA__SESSION_TIMEOUT_S": "6",
    "LOG__LEVEL": "debug",
}


def headers(message: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers()}


def membership(user: str, segment: str, *, enters: bool, **more: Any) -> bytes:
    return orjson.dumps(
        {
            "type": "segment",
            "id": uuid.uuid4().hex,
            "ts": 1_767_225_600_000,
            "user": {"accounts": [{"id": user}]},
            "action": "add" if enters else "remove",
            "segment_ids": [segment],
            **more,
        }
    )


def track(user: str) -> bytes:
    return orjson.dumps(
        {
            "type": "track",
            "id": uuid.uuid4().hex,
            "ts": 1_767_225_600_000,
            "user": {"accounts": [{"id": user}]},
            "event": "checked",
            "properties": {"about": "segment"},  # the word alone makes nothing ours
        }
    )


@dataclass
class Imports:
    """What the sandbox has of segments."""

    sandbox: Sandbox

    def behave(self, **options: Any) -> None:
        quick = {"pending_ms": 30, "running_ms": 60}
        self.sandbox.http.put("/_sandbox/imports", json=quick | options).raise_for_status()

    def members(self, segment: str) -> set[str]:
        text = self.sandbox.http.get(f"/_sandbox/segments/id/{segment}").raise_for_status().text
        return {orjson.loads(line)["user"][2] for line in text.splitlines()}

    def wait_for_uploads(self, count: int) -> None:
        wait_for(lambda: len(self.uploads()) >= count, 60, f"no {count} uploads")

    def uploads(self) -> list[Mapping[str, Any]]:
        return self.sandbox.http.get("/_sandbox/imports/executions").raise_for_status().json()


@dataclass
class Topic:
    """A topic, what was produced to it, and who reads it."""

    kafka: Any
    name: str
    count: int = 0

    @property
    def group(self) -> str:
        return f"road-{self.name}"

    def produce(self, values: Iterable[tuple[str, bytes]]) -> None:
        producer = Producer(
            {"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 2, "linger.ms": 5}
        )
        for key, value in values:
            producer.produce(self.name, value, key=key.encode())
            producer.poll(0)
            self.count += 1
        assert producer.flush(60) == 0

    def letters(self) -> list[Any]:
        return read_topic(self.kafka, f"{self.name}.dlq")

    def letters_or_none(self) -> list[Any]:
        exists = f"{self.name}.dlq" in self.kafka.admin.list_topics(timeout=30).topics
        return self.letters() if exists else []

    def settled(self, group: str) -> bool:
        """Whether every record of the topic lies below the group's commits."""
        try:
            offsets = committed(self.kafka, group, self.name)
        except KafkaException as error:  # the very first of a cluster's groups
            if error.args[0].code() != KafkaError.NOT_COORDINATOR:
                raise
            return False
        return sum(max(0, offset) for offset in offsets.values()) >= self.count

    def run(self, url: str, **more: str) -> Process:
        return relay_run(relay_environ(self.kafka, self.name, url, self.group, **QUICK, **more))


@pytest.fixture
def topic(kafka):
    return Topic(kafka, kafka.create_topic(partitions=3))


@pytest.mark.parametrize(
    ("error_file", "members", "rejects"),
    [("document", 1200, 6), ("number", 400, 3), ("opaque", 150, 2)],
)
def test_every_event_is_delivered_or_dead_lettered_whatever_executions_do(
    topic, error_file, members, rejects
):
    """One change for each member, so that the sandbox's own count is a count of events."""
    rng = random.Random(error_file)
    taken = [f"member-{number:04}" for number in range(members)]
    refused = [f"refused-{number:02}" for number in range(rejects)]
    events = [
        (user, membership(user, rng.choice(SEGMENTS), enters=True)) for user in taken + refused
    ]
    others = [(f"other-{number}", track(f"other-{number}")) for number in range(200)]
    bad = [
        ("nobody", orjson.dumps({**orjson.loads(events[0][1]), "id": "no-user", "user": {}})),
        ("broken", b'{"type":"segment","id":'),
    ]
    mixed = [*events, *others, *bad]
    rng.shuffle(mixed)
    with Sandbox() as sandbox:
        imports = Imports(sandbox)
        # A platform that fails a third of the executions when half of each is applied, never takes
        # some users, answers with 503 now and then, and loses answers to uploads.
        imports.behave(seed=7, fail_rate=0.3, reject_containing='"refused-', error_file=error_file)
        sandbox.faults(
            {
                "seed": 7,
                "rules": [
                    {"kind": "status", "status": 503, "rate": 0.1, "path": "*document_imports*"},
                    {"kind": "lost_answer", "rate": 0.2, "path": "*/executions", "method": "POST"},
                ],
            }
        )
        topic.produce(mixed)
        with topic.run(sandbox.url) as relay:
            wait_for(lambda: topic.settled(f"{topic.group}-segments"), 120, "not all settled")
            wait_for(lambda: topic.settled(topic.group), 30, "the stream did not settle")
            assert relay.terminate() == 0, relay.text()
            log = relay.text()
        inside = [user for segment in SEGMENTS for user in imports.members(segment)]
        letters = {m.key().decode(): headers(m) for m in topic.letters()}
        outcomes = {upload["status"] for upload in imports.uploads()}
        tracked = sandbox.summary()["events"]
    assert sorted(inside) == sorted(taken)
    codes = {key: letter["relay-dlq-code"] for key, letter in letters.items()}
    assert codes == {
        **dict.fromkeys(refused, "line_rejected"),
        "nobody": "no_identifier",
        "broken": "invalid_json",
    }
    for user in refused:
        assert letters[user]["relay-dlq-class"] == "refused"
        assert int(letters[user]["relay-dlq-attempts"]) >= 1
        if error_file == "document":
            assert letters[user]["relay-dlq-reason"] == "rejected by the import: user unknown"
    assert outcomes == {"SUCCEEDED", "FAILED"}
    assert tracked == len(others)
    assert not [line for line in log.splitlines() if '"balanced":false' in line]
    assert leaks(log, watched([orjson.loads(value) for _, value in events], [TOKEN])) == []


@pytest.mark.parametrize(
    "kills", [3, pytest.param(12, marks=[pytest.mark.storm, pytest.mark.timeout(600)])]
)
def test_members_end_where_the_last_event_put_them_though_it_is_killed(topic, kills):
    """Members come and go; executions of a life that was killed are still applied meanwhile."""
    rng = random.Random(kills)
    users = [f"member-{number:03}" for number in range(150)]
    inside: dict[tuple[str, str], bool] = {}

    def some(count: int) -> list[tuple[str, bytes]]:
        made = []
        for _ in range(count):
            user, segment = rng.choice(users), rng.choice(SEGMENTS)
            inside[user, segment] = enters = rng.random() < 0.6
            made.append((user, membership(user, segment, enters=enters)))
        return made

    with Sandbox() as sandbox:
        imports = Imports(sandbox)
        imports.behave(seed=3, fail_rate=0.2, pending_ms=100, running_ms=400)
        for _ in range(kills):
            topic.produce(some(400))
            enough = len(imports.uploads()) + 2
            with topic.run(sandbox.url) as relay:
                # Killed while an execution is under way whose outcome it will never see.
                imports.wait_for_uploads(enough)
                relay.kill()
        with topic.run(sandbox.url) as relay:
            wait_for(lambda: topic.settled(f"{topic.group}-segments"), 120, "not all settled")
            assert relay.terminate() == 0, relay.text()
        for segment in SEGMENTS:
            wanted = {user for (user, where), is_in in inside.items() if is_in and where == segment}
            assert imports.members(segment) == wanted
        assert topic.letters_or_none() == []


def test_a_token_file_that_is_mended_resumes_the_segments_and_the_stream(topic, tmp_path):
    token = tmp_path / "token"
    token.write_text("not-the-token")
    with Sandbox() as sandbox:
        imports = Imports(sandbox)
        imports.behave()
        topic.produce([("jane", membership("jane", "88", enters=True)), ("jane", track("jane"))])
        given = {"TRACKING__API_TOKEN": "", "TRACKING__API_TOKEN_FILE": str(token)}
        with topic.run(sandbox.url, **given) as relay:
            relay.until("membership_held")
            relay.until("destination_held")
            ready = httpx.get(f"{relay.said('relay_started')[0]['admin']}/readyz")
            assert (ready.status_code, "401" in ready.text) == (503, True)
            token.write_text(TOKEN)
            relay.until("membership_resumed")
            assert relay.until("token_reloaded")["destination"] == "default"
            wait_for(lambda: topic.settled(topic.group), 60, "the event is not settled")
            wait_for(lambda: topic.settled(f"{topic.group}-segments"), 60, "not settled")
            assert relay.terminate() == 0, relay.text()
        assert imports.members("88") == {"jane"}


def test_a_wrong_token_holds_the_segments_and_loses_nothing(topic):
    with Sandbox() as sandbox:
        imports = Imports(sandbox)
        imports.behave()
        topic.produce([("jane", membership("jane", "88", enters=True))])
        with topic.run(sandbox.url, TRACKING__API_TOKEN="not-the-token") as relay:
            held = relay.until("membership_held")
            assert "401" in held["reason"]
            assert "check tracking.api_token" in held["reason"]
            assert not topic.settled(f"{topic.group}-segments")
            assert relay.terminate() == 0, relay.text()
        with topic.run(sandbox.url) as relay:
            wait_for(lambda: topic.settled(f"{topic.group}-segments"), 60, "not settled")
            assert relay.terminate() == 0, relay.text()
        assert imports.members("88") == {"jane"}


def test_a_topic_with_a_source_is_imported_and_sent_by_what_its_mapping_makes(topic):
    """Lists of moves and visits: the visits are activities, the moves lines of imports."""
    move = {"when": "has(.tier)", "segment": ".move", "segment_ids": [".tier"]}
    who = {"accounts": [{"id": ".who", "compartment": "1000"}]}
    mapping = {
        "all": {"id": ".no", "ts": ".at", "user": who},
        "rules": [move, {"track": "visited"}],
    }
    at = 1_767_225_600_000

    def moved(number, user, tier, how):
        return {"no": f"m-{number}", "at": at + number, "who": user, "tier": tier, "move": how}

    def visited(number, user):
        return {"no": f"v-{number}", "at": at + number, "who": user}

    records = [
        [moved(1, "ann", "88", "add"), visited(2, "ann"), moved(3, "bob", "88", "add")],
        [moved(4, "bob", "88", "remove"), {**moved(5, "cid", "88", "add"), "who": None}],
        moved(6, "dan", "89", "add"),
        [visited(7, "bob"), visited(8, "dan")],
    ]
    topic.produce(("k", orjson.dumps(record)) for record in records)
    with Sandbox() as sandbox:
        imports = Imports(sandbox)
        imports.behave()
        more = {
            "SOURCES": orjson.dumps([{"topics": [topic.name], "mapping": "loyalty"}]).decode(),
            "MAPPINGS": orjson.dumps({"loyalty": mapping}).decode(),
        }
        with topic.run(sandbox.url, **more) as relay:
            groups = (topic.group, f"{topic.group}-segments")
            wait_for(lambda: all(map(topic.settled, groups)), 60, relay.text())
            assert relay.terminate() == 0, relay.text()
        assert imports.members("88") == {"ann"}
        assert imports.members("89") == {"dan"}
        assert sandbox.summary()["events"] == 3
    (letter,) = topic.letters()
    told = headers(letter)
    assert (told["relay-dlq-code"], told["relay-dlq-events"]) == ("no_identifier", "1")
    assert told["relay-dlq-events-total"] == "2"
