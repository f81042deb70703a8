"""For how long the whole stream stands still while members of the group come and go.

    python -m bench.rebalance

Three `relay run` with default settings read twelve partitions of a real Kafka. Of their requests
0.4 % are answered after ten seconds only. Then each is restarted in turn (SIGTERM, start), and one
is killed (`kill -9`) and started again. The API counts what it has stored twenty times a second;
the longest time in which the count does not grow is the gap. At the end an independent judge looks
for what was lost, repeated, or out of order.
"""

import argparse
import contextlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.judge import judge
from tests.support.kafka_admin import wait_for
from tests.support.kafka_cluster import KafkaCluster
from tests.support.road import (
    Feeder,
    Process,
    Sandbox,
    everything_stops,
    relay_environ,
    relay_run,
)

PARTITIONS = 12
MEMBERS = 3
USERS = 2_000
RATE = 300
SLOW = {"kind": "slow", "rate": 0.004, "delay_ms": 10_000}
CALM_S = 8.0
ROLLING_MAX_S = 3.0
KILL_MAX_S = 12.0


@dataclass
class Gaps:
    """Watches a count that should grow all the time; the longest time in which it did not."""

    sandbox: Sandbox
    longest: dict[str, float] = field(default_factory=dict)
    phase: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Until `stop`."""
        count, since = -1, time.perf_counter()
        while not self._stop.wait(0.05):
            now, found = time.perf_counter(), int(self.sandbox.summary()["events"])
            if self.phase:
                self.longest[self.phase] = max(self.longest.get(self.phase, 0.0), now - since)
            if found != count:
                count, since = found, now

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()


def feed(feeder: Feeder, done: threading.Event) -> None:
    """Events at a steady rate."""
    while not done.wait(0.1):
        feeder.send(RATE // 10)


@contextlib.contextmanager
def beside(*threads: threading.Thread) -> Iterator[None]:
    """Threads that run meanwhile."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def calm(seconds: float = CALM_S) -> None:
    """Let things go on for a while."""
    threading.Event().wait(seconds)


def measured() -> dict[str, float]:
    """The longest gap of each phase, in seconds."""
    with KafkaCluster() as kafka, Sandbox() as sandbox:
        topic = kafka.create_topic(partitions=PARTITIONS)
        group = f"rebalance-{uuid.uuid4().hex[:8]}"
        environ = relay_environ(kafka, topic, sandbox.url, group)
        feeder = Feeder(kafka, topic, seed=1, users=USERS, zipf=0.0)
        sandbox.faults({"rules": [SLOW]})
        gaps, fed = Gaps(sandbox), threading.Event()
        members = [relay_run(environ) for _ in range(MEMBERS)]
        with everything_stops(*members), contextlib.ExitStack() as others:
            watching = threading.Thread(target=gaps.watch)
            with beside(threading.Thread(target=feed, args=(feeder, fed)), watching):
                try:
                    _come_and_go(gaps, members, environ, others)
                finally:
                    fed.set()
                    gaps.stop()
            total = feeder.produced.total
            wait_for(lambda: sandbox.summary()["events"] >= total, 120, "not all has come")
            statuses = [member.terminate() for member in members]
        found = judge(feeder.produced, sandbox.requests(), ())
        print(f"  {total} events, {found.lost} lost, {found.order_breaks} order breaks, ", end="")
        print(f"{found.duplicates} repeated, {found.repeats} repeated under another key;")
        print(f"  exit statuses at the end {statuses}")
        return gaps.longest


def _come_and_go(
    gaps: Gaps, members: list[Process], environ: dict[str, str], others: contextlib.ExitStack
) -> None:
    def started() -> Process:
        member = others.enter_context(relay_run(environ))
        member.until("partitions_assigned", 90)
        return member

    for member in members:
        member.until("partitions_assigned", 90)
    calm()
    gaps.phase = "calm"
    calm()
    gaps.phase = "rolling restart"
    for number, member in enumerate(members):
        status = member.terminate(60)
        print(f"  restart {number + 1} of {MEMBERS}: exit status {status}", flush=True)
        members[number] = started()
        calm()
    gaps.phase = "kill -9, started again"
    members[0].kill()
    members[0] = others.enter_context(relay_run(environ))
    calm(60)
    gaps.phase = "kill -9, not started again"
    members.pop().kill()
    calm(60)
    gaps.phase = ""


def main() -> None:
    """Print the gaps, and fail when one is longer than it may be."""
    argparse.ArgumentParser(prog="python -m bench.rebalance").parse_args()
    longest = measured()
    for phase, gap in longest.items():
        print(f"  {phase}: longest gap of the whole stream {gap:.2f} s")
    rolling = longest["rolling restart"] <= ROLLING_MAX_S
    killed = max(gap for phase, gap in longest.items() if phase.startswith("kill")) <= KILL_MAX_S
    os._exit(0 if rolling and killed else 1)


if __name__ == "__main__":
    main()
