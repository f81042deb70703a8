"""What a chaos run is made of: events of several kinds, and the members of a group as processes."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.support.judge import Event
from tests.support.kafka_admin import Kafka, wait_for
from tests.support.road import QUICK_PRODUCER, Feeder, Process
from tests.support.run_alone import unread_pipe, unused_ports

SEGMENTS = ("88", "89")
REFUSALS = {"first": 400, "second": 422}
"""Kinds of events that the API refuses until it is told otherwise, and the status of each."""
_SHARES = {"bad": 0.003, "membership": 0.03, "twice": 0.03, "first": 0.01, "second": 0.01}
"""Of all records, one kind of each; the others are plain events."""
_SECOND_COPY_WITHIN = 20


class MixedFeeder(Feeder):
    """Also sends events twice, some that the API refuses, membership events, and no events at all.

    Every other user's events are `IN_SESSION`, so they may travel together.
    """

    def __init__(self, kafka: Kafka, topic: str, seed: int, users: int) -> None:
        # The most active user has a twentieth of all events: at 100 ms each, one after the other,
        # that alone takes two minutes, whatever is done in parallel.
        super().__init__(kafka, topic, seed, users, zipf=0.7, options=QUICK_PRODUCER)
        self.produced.joinable.update(self._users[::2])
        self.inside: dict[tuple[str, str], bool] = {}
        """User and segment → whether the last membership event was an entry."""
        self.membership_events = 0

    def send_mixed(self, count: int) -> None:
        """Produce about `count` records and wait for the broker."""
        copies: defaultdict[int, list[tuple[str, bytes]]] = defaultdict(list)
        for step, user in enumerate(self._rng.choices(self._users, self._weights, k=count)):
            kind = self._kind()
            if kind == "bad":
                value = b'{"type":"track","id":'
                self.produced.bad += 1
            elif kind == "membership":
                value = self._membership(user)
            else:
                number = self.produced.good.get(user, 0)
                self.produced.good[user] = number + 1
                value = self._tracked(user, number, kind)
                if kind == "twice":
                    self.produced.twice.add(Event(user, number))
                    copies[step + self._rng.randint(1, _SECOND_COPY_WITHIN)].append((user, value))
                elif kind in REFUSALS:
                    self.produced.refused.add(Event(user, number))
            self._produce(user, value)
            for copy in copies.pop(step, ()):
                self._produce(*copy)
        for late in copies.values():
            for copy in late:
                self._produce(*copy)
        assert self._producer.flush(60) == 0, "the broker did not confirm everything"

    def _kind(self) -> str:
        drawn = self._rng.random()
        for kind, share in _SHARES.items():
            if drawn < share:
                return kind
            drawn -= share
        return "plain"

    def _tracked(self, user: str, number: int, kind: str) -> bytes:
        event = orjson.loads(self.event(user, number))
        event["session_status"] = "IN_SESSION" if user in self.produced.joinable else "NO_SESSION"
        if kind in REFUSALS:
            event["properties"]["refused_as"] = kind
        return orjson.dumps(event)

    def _membership(self, user: str) -> bytes:
        segment = self._rng.choice(SEGMENTS)
        enters = self.inside[user, segment] = self._rng.random() < 0.6
        self.membership_events += 1
        self._now_ms += 1
        return orjson.dumps(
            {
                "type": "segment",
                "id": f"membership-{self.membership_events}",
                "ts": self._now_ms,
                "user": {"accounts": [{"id": user}]},
                "action": "add" if enters else "remove",
                "segment_ids": [segment],
            }
        )


def fault_plan(seed: int, refusing: set[str]) -> dict[str, Any]:
    """A slow API that fails now and then, loses answers, and refuses events of these kinds."""
    refusals = [
        {
            "kind": "status",
            "status": REFUSALS[kind],
            "contains": f'"refused_as":"{kind}"',
            "path": "*/user_activities",
        }
        for kind in sorted(refusing)
    ]
    by_chance = [
        {"kind": "status", "status": 429, "rate": 0.05},
        {"kind": "status", "status": 500, "rate": 0.05},
        {"kind": "lost_answer", "rate": 0.02},
    ]
    return {"seed": seed, "latency_ms": [0, 200], "rules": [*refusals, *by_chance]}


@dataclass(eq=False)
class Member:
    """A member of the group: a process, and where it tells how it is."""

    process: Process
    admin: httpx.Client
    is_unread: bool
    """Whether nobody reads its standard output."""

    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        return dict(self.admin.get("/status").raise_for_status().json())

    def is_ready(self) -> bool:
        """Whether it is; fails when the process has ended."""
        assert self.process.running, self.process.text()
        with contextlib.suppress(httpx.TransportError):
            return self.admin.get("/readyz").is_success
        return False

    def login_refused(self) -> bool:
        """Whether a broker refuses its login."""
        return bool(self.status()["kafka"]["trouble"] == "login_refused")


class Group:
    """The members of one consumer group, each a process; one of them with output nobody reads."""

    def __init__(self, environ: Mapping[str, str], events_max: int, stack: contextlib.ExitStack):
        self._environ = environ
        self._events_max = events_max
        self._stack = stack
        self._unread = stack.enter_context(unread_pipe())
        self.members: list[Member] = []
        self._everybody: list[Member] = []
        self.losses = 0
        """How often somebody may have lost what it had begun."""
        self.repeatable = 0
        """Events that crashes and lost memberships may have had sent again, at most."""

    def join(self, *, is_unread: bool = False) -> Member:
        """A new member, when it is ready."""
        port = unused_ports()
        environ = {**self._environ, "RELAY_ADMIN__PORT": str(port)}
        stdout = self._unread[1] if is_unread else None
        process = self._stack.enter_context(Process(["run"], environ, stdout))
        admin = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        member = Member(process, self._stack.enter_context(admin), is_unread)
        wait_for(member.is_ready, 120, "a new member does not become ready")
        self.members.append(member)
        self._everybody.append(member)
        return member

    def replace(self, member: Member) -> None:
        """`kill -9`, and another in its place."""
        in_flight, uncommitted = self._repeatable(member)
        member.process.kill()
        self._may_repeat(in_flight + uncommitted)
        self.members.remove(member)
        self.join(is_unread=member.is_unread)

    def leave(self, member: Member, accepted: tuple[int, ...] = (0,)) -> None:
        """SIGTERM, and the exit status. What was not committed (9, 11) may be sent again."""
        in_flight, uncommitted = self._repeatable(member)
        status = member.process.terminate()
        assert status in accepted, f"exit status {status}:\n{member.process.text()}"
        if status:
            self._may_repeat(in_flight + uncommitted)
        self.members.remove(member)

    def failures(self) -> list[dict[str, Any]]:
        """The roads that ended with an error, of all members there were whose output is kept."""
        return [line for member in self._everybody for line in member.process.said("road_failed")]

    @contextlib.contextmanager
    def losing_memberships(self) -> Iterator[Callable[[], None]]:
        """Something happens that may throw members out of the group; call what is given often.

        A member that cannot reach its coordinator is thrown out, and what it settled since its last
        commit is sent again by others.
        """
        peaks: dict[Member, tuple[int, int]] = {}

        def look() -> None:
            for member in self.members:
                before = peaks.get(member, (0, 0))
                now = self._repeatable(member)
                peaks[member] = (max(before[0], now[0]), max(before[1], now[1]))

        look()
        yield look
        look()
        for peak in peaks.values():
            self._may_repeat(sum(peak))

    def _may_repeat(self, events: int) -> None:
        self.losses += 1
        self.repeatable += events

    def _repeatable(self, member: Member) -> tuple[int, int]:
        """Events in flight at most, and settled but not committed."""
        status = member.status()
        in_flight = status["destination"]["limit"] * self._events_max
        return in_flight, status["ledger"]["uncommitted"]


def all_settled(kafka: Kafka, topic: str, groups: tuple[str, ...]) -> bool:
    """Whether every record of the topic lies below the commits of all these groups."""
    for group in groups:
        consumer = Consumer(
            {"bootstrap.servers": kafka.bootstrap_servers, "group.id": group, "log_level": 2}
        )
        try:
            numbers = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            partitions = [TopicPartition(topic, number) for number in numbers]
            for found in consumer.committed(partitions, timeout=30):
                _, end = consumer.get_watermark_offsets(found, timeout=30)
                if end > max(0, found.offset):
                    return False
        except KafkaException:  # a broker or a coordinator is only coming back
            return False
        finally:
            consumer.close()
    return True
