"""Members of a group come and go while some requests are slow: what does not move goes on."""

import contextlib
import uuid

import pytest

from tests.support.judge import judge
from tests.support.kafka_admin import wait_for
from tests.support.road import Feeder, Sandbox, relay_environ, relay_run

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PARTITIONS = 6
SLOW = {"kind": "slow", "rate": 0.02, "delay_ms": 3_000}


class Members:
    """The processes of one group, and what they say of their partitions."""

    def __init__(self, environ, stack):
        self._environ, self._stack = environ, stack
        self.running = []

    def start(self, count=1):
        for _ in range(count):
            self.running.append(self._stack.enter_context(relay_run(self._environ)))
        self.until_even()
        return self.running[-1]

    def until_even(self):
        """Wait until each has its share, and nobody has anything of another's."""
        share = PARTITIONS // len(self.running)

        def even():
            held = [owned(member) for member in self.running]
            return all(len(own) == share for own in held) and len(set().union(*held)) == PARTITIONS

        wait_for(even, 90, "the partitions are not shared")


def owned(member):
    held = set()
    for line in member.lines():
        if line.get("event") == "partitions_assigned":
            held |= set(line["partitions"])
        elif line.get("event") == "partitions_revoked":
            held -= set(line["partitions"])
    return held


def given_up(members):
    return [p for m in members for line in m.said("partitions_revoked") for p in line["partitions"]]


@pytest.mark.timeout(280)
def test_only_what_moves_is_given_up_while_members_come_and_go(kafka_cluster):
    topic = kafka_cluster.create_topic(partitions=PARTITIONS)
    feeder = Feeder(kafka_cluster, topic, seed=11, users=300, zipf=0.0)
    group = f"rebalances-{uuid.uuid4().hex[:8]}"
    with Sandbox() as sandbox, contextlib.ExitStack() as stack:
        sandbox.faults({"rules": [SLOW]})
        members = Members(
            relay_environ(kafka_cluster, topic, sandbox.url, group, KAFKA__SESSION_TIMEOUT_S="6"),
            stack,
        )
        members.start(3)
        feeder.send(1_000)

        leaving = members.running.pop(0)
        before = given_up(members.running)
        assert leaving.terminate() == 0, leaving.text()
        members.until_even()
        assert given_up(members.running) == before, "those that stay only gain"

        feeder.send(1_000)
        stayed = list(members.running)
        new = members.start()
        assert len(given_up(stayed)) == len(before) + len(owned(new)), "each gives up its part"

        feeder.send(1_000)
        before = given_up([stayed[0], new])
        members.running.remove(stayed[1])
        stayed[1].kill()
        members.until_even()
        assert given_up([stayed[0], new]) == before, "those that stay only gain"

        feeder.send(500)
        total = feeder.produced.total

        def all_there():
            found = sandbox.summary()
            return found["events"] - found["duplicate_events"] >= total

        wait_for(all_there, 90, "not all arrived")
        assert [member.terminate() for member in members.running] == [0, 0]
        verdict = judge(feeder.produced, sandbox.requests(), [])
    assert (verdict.lost, verdict.order_breaks) == (0, 0), verdict
