"""The harness itself: brokers start, can be lost and come back, and never outlive a test run."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.kafka_admin import NoKafka, wait_for
from tests.support.kafka_cluster import KafkaCluster

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_a_cluster_answers_and_makes_topics(kafka):
    name = kafka.create_topic(partitions=3)

    assert len(kafka.admin.list_topics(name, timeout=30).topics[name].partitions) == 3


def test_a_killed_broker_comes_back_with_its_data(kafka_cluster):
    name = kafka_cluster.create_topic(partitions=3)

    kafka_cluster.kill_broker(2)
    kafka_cluster.start_broker(2)

    assert kafka_cluster.brokers() == 3
    assert name in kafka_cluster.admin.list_topics(timeout=30).topics


def test_brokers_die_with_the_process_that_started_them(kafka_cluster):
    script = textwrap.dedent("""
        import sys
        from tests.support.kafka_cluster import KafkaCluster
        with KafkaCluster() as kafka:
            print(kafka._running[1].pid, kafka._home, flush=True)
            sys.stdin.read()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        pid, home = owner.stdout.readline().split()
        assert _runs(int(pid))
        owner.send_signal(signal.SIGKILL)

    wait_for(lambda: not _runs(int(pid)), 60, "the broker outlived its owner")
    wait_for(lambda: not Path(home).exists(), 60, "the broker's files outlived their owner")


def test_a_broker_that_cannot_start_says_why():
    with (
        pytest.raises(NoKafka, match=r"no\.such\.class"),
        KafkaCluster(properties={"authorizer.class.name": "no.such.class"}),
    ):
        pass


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        "java" in Path(f"/proc/{pid}/cmdline").read_text() if Path("/proc/self").exists() else True
    )
