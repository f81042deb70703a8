"""Members killed, brokers restarted, members coming and going, an API that fails and forgets.

The judge reads what was produced, the API's own log and the dead-letter topic, nothing else.
"""

import contextlib
import random
import sys
import time
import uuid

import httpx
import pytest

from tests.support.kafka_admin import wait_for
from tests.support.road import (
    Feeder,
    Process,
    Sandbox,
    judge,
    read_topic,
    relay_environ,
    relay_run,
)

FAULTS = {
    "latency_ms": [0, 200],
    "rules": [
        {"kind": "status", "status": 429, "rate": 0.05},
        {"kind": "status", "status": 500, "rate": 0.05},
        {"kind": "lost_answer", "rate": 0.02},
    ],
}
# What a crash can repeat: requests in flight, and what was delivered since the last commit.
QUICK = {
    "KAFKA__SESSION_TIMEOUT_S": "6",
    "DELIVERY__COMMIT_EVERY_S": "0.1",
    "DELIVERY__REVOKE_BUDGET_S": "5",
}


class Group:
    """The members of one consumer group, each a process."""

    def __init__(self, environ, stack: contextlib.ExitStack):
        self._environ = environ
        self._stack = stack
        self.members: list[Process] = []
        self.in_flight_at_kills = 0
        self.uncommitted_at_kills = 0

    def join(self):
        member = self._stack.enter_context(relay_run(self._environ))
        self.members.append(member)
        member.until("lifecycle_changed")

    def kill(self, member):
        """Kill -9; notes what the member had sent, and settled but not committed, just before."""
        (started,) = member.said("relay_started")
        status = httpx.get(f"{started['admin']}/status", timeout=5).json()
        member.kill()
        self.in_flight_at_kills += status["destination"]["limit"]
        self.uncommitted_at_kills += status["ledger"]["uncommitted"]
        self.members.remove(member)

    def leave(self, member):
        assert member.terminate() in (0, 9), member.text()
        self.members.remove(member)


def chaos(kafka, *, events, users, kills, seed):
    """One run. Prints the seed and the judgement."""
    rng = random.Random(seed)
    topic = kafka.create_topic(partitions=12)
    kafka.create_topic(f"{topic}.dlq")
    group_id = f"chaos-{uuid.uuid4().hex[:8]}"
    # The most active user has a twentieth of all events: at 100 ms each, one after the other, that
    # alone takes two minutes, whatever is done in parallel.
    feeder = Feeder(kafka, topic, seed=seed, users=users, zipf=0.7)
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox())
        sandbox.faults({"seed": seed, **FAULTS})
        group = Group(relay_environ(kafka, topic, sandbox.url, group_id, **QUICK), stack)
        for _ in range(3):
            group.join()
        started = time.perf_counter()
        done = 0
        steps = ["kill"] * kills + ["broker", "leave", "join"]
        rng.shuffle(steps)
        for step in steps:
            seen = sandbox.summary()["events"]
            sys.stdout.write(f"{time.perf_counter() - started:.0f} s: {seen} events; {step}\n")
            sys.stdout.flush()
            feeder.send(events // len(steps), bad=0.001)
            done += events // len(steps)
            target = rng.uniform(0.3, 0.9) * done
            wait_for(
                lambda target=target: sandbox.summary()["events"] >= target, 120, f"stuck: {step}"
            )
            match step:
                case "kill":
                    group.kill(rng.choice(group.members))
                    group.join()
                case "broker":
                    broker = rng.randint(1, 3)
                    kafka.kill_broker(broker)
                    kafka.start_broker(broker)
                case "leave":
                    group.leave(rng.choice(group.members))
                case "join":
                    group.join()
        feeder.send(events - done, bad=0.001)
        expected = sum(feeder.produced.good.values())

        def all_there() -> bool:
            summary = sandbox.summary()
            return summary["events"] - summary["duplicate_events"] >= expected

        wait_for(all_there, 240, "not everything arrived")
        wait_for(
            lambda: len({tuple(dict(m.headers())[f"relay-dlq-{n}"] for n in ("partition", "offset"))
                         for m in read_topic(kafka, f"{topic}.dlq")}) >= feeder.produced.bad,
            60,
            "dead letters are missing",
        )  # fmt: skip
        for member in list(group.members):
            group.leave(member)
        requests = sandbox.requests()
        letters = {
            (dict(m.headers())["relay-dlq-partition"], dict(m.headers())["relay-dlq-offset"])
            for m in read_topic(kafka, f"{topic}.dlq")
        }
        verdict = judge(feeder.produced, requests, len(letters))
    allowed = group.in_flight_at_kills + group.uncommitted_at_kills + verdict.lost_answers
    sys.stdout.write(
        f"\nseed {seed}: {verdict}\n"
        f"{verdict.duplicates} duplicates; allowed are {allowed}: at {kills} kills at most "
        f"{group.in_flight_at_kills} in flight and {group.uncommitted_at_kills} settled but not "
        f"committed; {verdict.lost_answers} answers lost\n"
        f"{time.perf_counter() - started:.0f} s from the first event on\n"
    )
    assert verdict.lost == 0
    assert verdict.order_breaks == 0
    assert verdict.foreign_duplicates == 0
    assert verdict.duplicates <= allowed
    return verdict


@pytest.mark.broker
@pytest.mark.timeout(400)
def test_a_small_chaos_breaks_no_promise(kafka_cluster):
    chaos(kafka_cluster, events=3_000, users=200, kills=2, seed=20)


@pytest.mark.broker
@pytest.mark.storm
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1])
def test_the_whole_chaos_breaks_no_promise(kafka_cluster, seed):
    chaos(kafka_cluster, events=20_000, users=500, kills=5, seed=seed)
