"""An in-process Kafka for the demo and quick tests: librdkafka's mock cluster, on real sockets.

It speaks the real protocol and keeps nothing: a partition drops its oldest records at 5 MB, topics
have 4 partitions, a group has one member, and all is gone with the process. Never sold as durable.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

_START_S = 10


@contextmanager
def embedded_broker(*topics: str) -> Iterator[str]:
    """Run it for the time of the `with`, with these topics; gives the bootstrap address."""
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    for topic in topics:  # asking for a topic makes it
        owner.list_topics(topic, timeout=_START_S)
    (broker,) = owner.list_topics(timeout=_START_S).brokers.values()
    yield f"{broker.host}:{broker.port}"
    owner.flush(0)
