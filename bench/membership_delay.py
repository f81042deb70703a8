"""Membership events: how long until an event is imported, and what `kill -9` does to it.

    python -m bench.membership_delay                       # 100 events/s, without and with faults
    python -m bench.membership_delay --kills 10

An event counts as imported when the sandbox's segment holds its user. Both judge by the sandbox,
member by member, and exit with 1 when something is wrong. Needs a Kafka, as the tests do.
"""

import argparse
import json
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import orjson
from confluent_kafka import Producer

from tests.support.kafka_cluster import KafkaCluster
from tests.support.road import Process, Sandbox, committed, relay_environ, relay_run

SEGMENT = "88"
LOOK_S = 0.25
_NEVER = threading.Event()
PLATFORM = {"pending_ms": 1000, "running_ms": 2000}
FAULTS = {"seed": 1, "fail_rate": 0.1, "reject_rate": 0.005, "error_file": "opaque"}
LOST = {"kind": "lost_answer", "path": "*/executions", "method": "POST", "rate": 0.05}
SETTINGS = {"SEGMENTS__MEMBERSHIP__ENABLED": "true", "KAFKA__SESSION_TIMEOUT_S": "6"}


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=100.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--faults", action="store_true", help="with faults only")
    parser.add_argument("--kills", type=int, default=0, help="kill so often, do not measure")
    options = parser.parse_args()
    with KafkaCluster() as kafka:
        if options.kills:
            wrong = killed(kafka, options.kills)
        else:
            wrong = []
            for label, faulty in (("no faults", False), ("with faults", True)):
                if faulty or not options.faults:
                    wrong += delays(kafka, label, options.rate, options.seconds, faulty=faulty)
    for problem in wrong:
        print(f"WRONG: {problem}")
    sys.exit(1 if wrong else 0)


class Events:
    """A topic, and a producer that notes when it produced what."""

    def __init__(self, kafka: Any) -> None:
        self.kafka = kafka
        self.topic = kafka.create_topic(partitions=3)
        self.produced: dict[str, float] = {}
        self.count = 0
        self._producer = Producer(
            {"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2, "linger.ms": 5}
        )

    def send(self, user: str, *, enters: bool = True) -> None:
        """Produce one event."""
        value = orjson.dumps(
            {
                "type": "segment",
                "id": uuid.uuid4().hex,
                "ts": time.time_ns() // 1_000_000,
                "user": {"accounts": [{"id": user}]},
                "action": "add" if enters else "remove",
                "segment_ids": [SEGMENT],
            }
        )
        self.produced.setdefault(user, time.perf_counter())
        self._producer.produce(self.topic, value, key=user.encode())
        self._producer.poll(0)
        self.count += 1

    def flush(self) -> None:
        """Wait until the broker has all of them."""
        self._producer.flush(60)

    def relay(self, sandbox: Sandbox, **more: str) -> Process:
        """A relay that imports them."""
        group = f"bench-{self.topic}"
        settings = SETTINGS | more
        return relay_run(relay_environ(self.kafka, self.topic, sandbox.url, group, **settings))

    def is_settled(self) -> bool:
        """Whether every event is committed."""
        offsets = committed(self.kafka, f"bench-{self.topic}-segments", self.topic)
        return sum(max(0, offset) for offset in offsets.values()) >= self.count


class Uploads:
    """Waits for one more than there are."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._before = self._count()

    def _count(self) -> int:
        return len(self._sandbox.http.get("/_sandbox/imports/executions").json())

    def one_more(self) -> bool:
        """Whether it is there."""
        return self._count() > self._before


def members(sandbox: Sandbox) -> set[str]:
    """Who is in the segment."""
    text = sandbox.http.get(f"/_sandbox/segments/id/{SEGMENT}").text
    return {json.loads(line)["user"][2] for line in text.splitlines()}


def delays(kafka: Any, label: str, rate: float, seconds: float, *, faulty: bool) -> list[str]:
    """Percentiles from the event to its import."""
    options: dict[str, Any] = FAULTS if faulty else {}
    faults = [LOST] if faulty else []
    events, seen = Events(kafka), dict[str, float]()
    with Sandbox() as sandbox, events.relay(sandbox):
        sandbox.http.put("/_sandbox/imports", json=PLATFORM | options).raise_for_status()
        sandbox.faults({"rules": faults, "seed": 1})
        over = threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_S):
                now = time.perf_counter()
                for user in members(sandbox):
                    seen.setdefault(user, now)

        events.send("warm-up")  # what is measured is a relay that runs, not how it starts
        events.flush()
        until(events.is_settled, 120)
        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            _NEVER.wait(max(0.0, began + number / rate - time.perf_counter()))
            events.send(f"user-{number:06}")
        events.flush()
        settled = until(events.is_settled, 600)
        _NEVER.wait(2 * LOOK_S)
        over.set()
        watcher.join()
        uploads = len(sandbox.http.get("/_sandbox/imports/executions").json())
        gets = sum(r["method"] == "GET" and "/v1/" in r["path"] for r in sandbox.requests())
    del events.produced["warm-up"]
    count = len(events.produced)
    waited = sorted(seen[user] - at for user, at in events.produced.items() if user in seen)
    at = [waited[min(len(waited) - 1, int(len(waited) * q))] for q in (0.5, 0.95, 0.99)]
    print(
        f"{label:12} {len(waited):,} of {count:,} events imported   p50 {at[0]:.1f} s  "
        f"p95 {at[1]:.1f} s  p99 {at[2]:.1f} s  max {waited[-1]:.1f} s   {uploads} executions, "
        f"{gets} GETs",
        flush=True,
    )
    rejected = count - len(waited)
    wrong = [] if settled else [f"{label}: not all settled"]
    if rejected > count * options.get("reject_rate", 0) * 2:
        wrong.append(f"{label}: {rejected} events were not imported")
    return wrong


def killed(kafka: Any, kills: int) -> list[str]:
    """Members come and go, the relay is killed; each must end where its last event put it."""
    events, rng = Events(kafka), random.Random(kills)
    wanted: dict[str, bool] = {}
    quick = {"SEGMENTS__MEMBERSHIP__DELAY_GOAL_S": "2", "SEGMENTS__IMPORTS__ADOPTION_S": "2"}
    with Sandbox() as sandbox:
        sandbox.http.put("/_sandbox/imports", json={"pending_ms": 300, "running_ms": 700})
        for number in range(kills):
            for _ in range(300):
                user = f"user-{rng.randrange(200):03}"
                wanted[user] = rng.random() < 0.6
                events.send(user, enters=wanted[user])
            events.flush()
            begun = Uploads(sandbox)
            with events.relay(sandbox, **quick) as relay:
                until(begun.one_more, 60)
                _NEVER.wait(rng.uniform(0, 1.0))
                relay.kill()
            print(f"kill {number + 1}", flush=True)
        with events.relay(sandbox, **quick):
            settled = until(events.is_settled, 180)
        inside = members(sandbox)
    right = {user for user, enters in wanted.items() if enters}
    print(f"{len(right)} members wanted, {len(inside)} there, {len(right ^ inside)} differ")
    wrong = [] if settled else ["not all settled"]
    return wrong + ([f"{len(right ^ inside)} members are wrong"] if right != inside else [])


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for it; whether it came."""
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        if condition():
            return True
        _NEVER.wait(0.2)
    return False


if __name__ == "__main__":
    main()
