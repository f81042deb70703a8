"""A million records wait and the API takes a hundred a second: memory stays small and flat."""

import re
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.support.kafka_admin import wait_for
from tests.support.road import Feeder, Sandbox, relay_environ, relay_run

RECORDS = 1_000_000
WATCHED_S = 90
EVERY_S = 5
# 256 requests in flight, each answered after 2.56 s, are a hundred a second.
LATENCY_MS = 2560


def resident_mb(pid) -> float:
    """Memory of the process that is in use now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


@pytest.mark.broker
@pytest.mark.storm(cases=0)
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_million_records_and_a_slow_api_leave_memory_small_and_flat(kafka):
    topic = kafka.create_topic(partitions=12)
    feeder = Feeder(kafka, topic, seed=3, users=20_000)
    for _ in range(10):
        feeder.send(RECORDS // 10)
    with Sandbox() as sandbox:
        sandbox.faults({"latency_ms": LATENCY_MS, "rules": []})
        group = f"backpressure-{uuid.uuid4().hex[:8]}"
        with relay_run(relay_environ(kafka, topic, sandbox.url, group)) as relay:
            wait_for(lambda: sandbox.summary()["events"] > 500, 90, "nothing arrives")
            before, started = sandbox.summary()["events"], time.monotonic()  # noqa: TID251
            curve = []
            for step in range(WATCHED_S // EVERY_S):
                due = started + (step + 1) * EVERY_S
                wait_for(lambda due=due: time.monotonic() >= due, 60, "no time")  # noqa: TID251
                curve.append(resident_mb(relay.pid))
            rate = (sandbox.summary()["events"] - before) / (time.monotonic() - started)  # noqa: TID251
            assigned, revoked = relay.said("partitions_assigned"), relay.said("partitions_revoked")
            lag = relay.said("stream_progress")[-1]["lag"]
            assert relay.terminate() == 0
    sys.stdout.write(
        f"\n{rate:.0f} events/s delivered, {lag:,} records waiting in Kafka\n"
        f"resident MB every {EVERY_S} s: {' '.join(f'{mb:.0f}' for mb in curve)}\n"
    )
    assert max(curve) < 200
    assert curve[-1] - curve[0] < 10
    assert lag > RECORDS * 0.9
    assert len(assigned) == 1
    assert revoked == []
