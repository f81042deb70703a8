"""Workload → a Kafka topic, keyed by user, once for all contenders.

    python -m bench.topic --bootstrap localhost:9092 --topic app-events --events 100000

With `--rate` the events are created at that pace, and carry the time at which they were: that is
what lateness is measured from.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from bench.machine import BenchError
from bench.workload import Workload

PARTITIONS = 12


def create(bootstrap: str, topic: str, partitions: int = PARTITIONS) -> None:
    """Creates the topic and waits until the cluster knows of it."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(timeout=30)


def fill(bootstrap: str, topic: str, workload: Workload, *, rate: float | None = None) -> None:
    """Produces all events, at full speed or at `rate` a second, and waits for the broker."""
    refused: list[KafkaError] = []

    def told(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refused.append(error)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,  # the order of a user's events starts here
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
        }
    )
    for event in workload.make(None if rate is None else _paced(rate)):
        while True:
            try:
                producer.produce(topic, event.value, event.key, on_delivery=told)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(60)
    if left or refused:
        raise BenchError(f"{left + len(refused)} events did not reach the broker")


def _paced(rate: float) -> Iterator[int]:
    """Creation times in µs; each is given out when it has come."""
    began = time.time_ns()
    for number in range(1 << 62):
        due_ns = began + int(number / rate * 1e9)
        while (ahead := due_ns - time.time_ns()) > 0:
            time.sleep(ahead / 1e9)  # noqa: TID251 - a pace is kept in real time
        yield due_ns // 1000


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.topic", description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--zipf", type=float, default=1.1, help="0: every user the same share")
    parser.add_argument("--rate", type=float, help="events a second; as fast as it goes without")
    parser.add_argument("--expected", type=Path, help="file for what the judge has to expect")
    given = parser.parse_args()
    workload = Workload(given.events, given.users, given.zipf)
    create(given.bootstrap, given.topic)
    fill(given.bootstrap, given.topic, workload, rate=given.rate)
    if given.expected:
        workload.expect(given.expected)


if __name__ == "__main__":
    main()
