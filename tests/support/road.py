"""Relay and sandbox as processes of their own, fed and judged from outside.

The judge (`tests.support.judge`) reads what the producer sent, the API's own log and the
dead-letter topic. It never asks Relay how it went.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from tests.support.judge import Event, Letter, Produced
from tests.support.kafka_admin import Kafka, wait_for

TOKEN = "s3cret-token-of-the-test"
DATAMART = "1234"
_RELAY = [sys.executable, "-m", "relay"]


class Process:
    """A relay command in a process of its own; its output is kept in a file.

    With `stdout`, a descriptor, standard output goes there and only standard error is kept.
    `program` is what runs instead of this checkout's relay, as one in a container.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str] | None = None,
        stdout: int | None = None,
        program: Sequence[str] = _RELAY,
    ) -> None:
        with tempfile.NamedTemporaryFile(prefix="relay-test-", suffix=".log", delete=False) as out:
            self.log = Path(out.name)
            self._process = subprocess.Popen(
                [*program, *arguments],
                stdout=out if stdout is None else stdout,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env={**bare_environ(), **(environ or {})},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        """All it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """The log lines so far, parsed."""
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def said(self, fact: str) -> list[dict[str, Any]]:
        """The log lines of one fact."""
        return [line for line in self.lines() if line.get("event") == fact]

    def until(self, fact: str, seconds: float = 60) -> dict[str, Any]:
        """Wait for a line; its first occurrence."""

        def seen() -> bool:
            assert self.running or self.said(fact), f"ended before {fact}:\n{self.text()}"
            return bool(self.said(fact))

        wait_for(seen, seconds, f"no {fact}")
        return self.said(fact)[0]

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def terminate(self, seconds: float = 60) -> int:
        """SIGTERM, and the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL: no chance to do anything."""
        self._process.kill()
        self._process.wait(30)

    def wait(self, seconds: float = 60) -> int:
        """The exit status, when it ends by itself."""
        return self._process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.kill()
        self.log.unlink(missing_ok=True)


class Sandbox(Process):
    """`relay sandbox` on a free port."""

    def __init__(self, *options: str) -> None:
        super().__init__(["sandbox", "--port", "0", "--json", "--token", TOKEN, *options])

        def told() -> bool:
            assert self.running, self.text()
            return '"url"' in self.text()

        wait_for(told, 30, "the sandbox did not start")
        self.url = str(self.lines()[0]["url"])
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def summary(self) -> dict[str, Any]:
        return dict(self.http.get("/_sandbox/summary").raise_for_status().json())

    def faults(self, plan: Mapping[str, Any]) -> None:
        self.http.put("/_sandbox/faults", json=dict(plan)).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        """The API's own log: every request in order of arrival."""
        text = self.http.get("/_sandbox/log").raise_for_status().text
        return [json.loads(line) for line in text.splitlines()]

    def __exit__(self, *args: object) -> None:
        self.http.close()
        super().__exit__(*args)


def relay_environ(
    kafka: Kafka, topic: str, sandbox_url: str, group: str, **more: str
) -> dict[str, str]:
    """The settings of a relay between that topic and that sandbox; `more` in capitals."""
    return {
        "RELAY_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "RELAY_KAFKA__TOPICS": f'["{topic}"]',
        "RELAY_KAFKA__GROUP_ID": group,
        "RELAY_TRACKING__BASE_URL": sandbox_url,
        "RELAY_TRACKING__DATAMART_ID": DATAMART,
        "RELAY_TRACKING__API_TOKEN": TOKEN,
        "RELAY_IDENTITY__DEFAULT_COMPARTMENT_ID": "1000",
        "RELAY_ADMIN__PORT": "0",
        **{f"RELAY_{name}": value for name, value in more.items()},
    }


def relay_run(environ: Mapping[str, str]) -> Process:
    """`relay run` in a process of its own."""
    return Process(["run"], environ)


QUICK_PRODUCER = {"request.timeout.ms": 3_000, "socket.timeout.ms": 5_000}
"""A broker that hangs must not hold up the producer for longer than the others need."""


class Feeder:
    """Sends events of many users, some more active than others, keyed by user."""

    def __init__(
        self,
        kafka: Kafka,
        topic: str,
        seed: int,
        users: int,
        *,
        zipf: float = 1.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._topic = topic
        self._rng = random.Random(seed)
        self._users = [f"user-{number:05}" for number in range(users)]
        self._weights = [1 / (rank + 1) ** zipf for rank in range(users)]
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "log_level": 2,
                **(options or {}),
            }
        )
        self._now_ms = 1_767_225_600_000
        self.produced = Produced()

    @contextlib.contextmanager
    def going_on(self, per_round: int, bad: float = 0.0) -> Iterator[None]:
        """Events keep coming, while the block runs: `per_round` every tenth of a second."""
        over = threading.Event()

        def feed() -> None:
            while not over.wait(0.1):
                self.send(per_round, bad)

        feeding = threading.Thread(target=feed, daemon=True)
        feeding.start()
        try:
            yield
        finally:
            over.set()
            feeding.join(20)

    def send(self, count: int, bad: float = 0.0) -> None:
        """Produce `count` records, a share of them `bad`, and wait for the broker."""
        for user in self._rng.choices(self._users, self._weights, k=count):
            if self._rng.random() < bad:
                value = b'{"type":"track","id":'
                self.produced.bad += 1
            else:
                seq = self.produced.good.get(user, 0)
                self.produced.good[user] = seq + 1
                value = self.event(user, seq)
            self._produce(user, value)
        assert self._producer.flush(60) == 0, "the broker did not confirm everything"

    def look_for_partitions(self, count: int) -> None:
        """Wait until the producer spreads keys over so many partitions."""

        def known() -> bool:
            found = self._producer.list_topics(self._topic, timeout=30)
            return len(found.topics[self._topic].partitions) == count

        wait_for(known, 30, "the producer does not find the new partitions")

    def _produce(self, user: str, value: bytes) -> None:
        self._producer.produce(self._topic, value, key=user.encode())
        self._producer.poll(0)

    def event(self, user: str, seq: int) -> bytes:
        """One event; `seq` grows with each of the user's."""
        self._now_ms += 1
        return orjson.dumps(
            {
                "type": "track",
                "id": f"{user}-{seq}",
                "ts": self._now_ms,
                "user": {"accounts": [{"id": user}]},
                "event": "checked",
                "properties": {"seq": seq},
            }
        )


def read_topic(kafka: Kafka, topic: str) -> list[Any]:
    """Everything on a topic, from its beginning to its end as it is now."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": "judge",
            "enable.auto.commit": False,
            "log_level": 2,
        }
    )
    with contextlib.closing(consumer):
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        found = []
        for number in partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
            if high == low:
                continue
            consumer.assign([TopicPartition(topic, number, low)])
            while True:
                message = consumer.poll(10)
                assert message is not None, "the broker has stopped answering"
                assert message.error() is None, message.error()
                found.append(message)
                if message.offset() >= high - 1:
                    break
        return found


def dead_letters(kafka: Kafka, topic: str) -> list[Letter]:
    """What lies on a dead-letter topic, as the judge wants it."""
    return [letter_of(message, _event) for message in read_topic(kafka, topic)]


def _event(value: Any, _told: Mapping[str, str]) -> Event:
    user, _, number = value["id"].rpartition("-")
    return Event(user, int(number))


def letter_of(message: Any, event_of: Callable[[Any, Mapping[str, str]], Event]) -> Letter:
    """What a message of a dead-letter topic says; `event_of` knows which event of a document."""
    # Of a record that died several times the last death is told by the headers behind the others.
    told = {name: (value or b"").decode() for name, value in message.headers()}
    event = None
    if told["relay-dlq-class"] != "undecodable":
        event = event_of(json.loads(message.value()), told)
    topic, partition, offset = (told[f"relay-dlq-{n}"] for n in ("topic", "partition", "offset"))
    return Letter(
        origin=(topic, partition, offset),
        place=f"{message.topic()}-{message.partition()}-{message.offset()}",
        code=told["relay-dlq-code"],
        event=event,
    )


def committed(kafka: Kafka, group: str, topic: str) -> dict[int, int]:
    """The group's committed offsets, by partition."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": group, "log_level": 2}
    )
    with contextlib.closing(consumer):
        numbers = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        asked = [TopicPartition(topic, number) for number in numbers]
        found: list[TopicPartition] = []

        def answered() -> bool:
            try:
                found[:] = consumer.committed(asked, timeout=30)
            except KafkaException as error:
                if error.args[0].code() not in _NO_COORDINATOR_YET:
                    raise
            return bool(found)

        wait_for(answered, 60, "the group has no coordinator")
        return {tp.partition: tp.offset for tp in found}


# The first group of a broker that is new: its offsets' topic is being made.
_NO_COORDINATOR_YET = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)


def bare_environ() -> dict[str, str]:
    """Our environment without settings of a relay that its owner may have."""
    environ = os.environ  # noqa: TID251 - handed to a process, not read
    return {name: value for name, value in environ.items() if not name.startswith("RELAY_")}


@contextlib.contextmanager
def everything_stops(*processes: Process) -> Iterator[None]:
    """Kill what is still running at the end."""
    with contextlib.ExitStack() as stack:
        for process in processes:
            stack.enter_context(process)
        yield
