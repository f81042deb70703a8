"""What a test may ask of any Kafka: its address, fresh topics, an administrator's client."""

import contextlib
import time
import uuid
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic


class NoKafka(Exception):
    """This machine cannot run Apache Kafka; the text says what is missing."""


class Kafka:
    """A cluster somewhere. Topics that tests make have fresh names, so that it may be shared."""

    replication_max = 1

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._admin: AdminClient | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Addresses of the plain listener, as clients want them."""
        return self._bootstrap_servers

    @property
    def admin(self) -> AdminClient:
        """An administrator's client on the plain listener."""
        if self._admin is None:
            # librdkafka would report every broker that a test stops on purpose.
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        return self._admin

    def create_topic(
        self,
        name: str | None = None,
        partitions: int = 1,
        replication: int | None = None,
        config: Mapping[str, str] | None = None,
    ) -> str:
        """Create a topic, under a fresh name when none is given, and wait until it has leaders."""
        name = name or f"topic-{uuid.uuid4().hex[:12]}"
        topic = NewTopic(
            name, partitions, replication or self.replication_max, config=dict(config or {})
        )
        self.admin.create_topics([topic])[name].result(timeout=30)
        wait_for(
            lambda: self._has_leaders(name, partitions), 30, f"topic {name} did not get leaders"
        )
        return name

    def brokers(self) -> int:
        """How many brokers the cluster says it has; 0 when it does not answer."""
        with contextlib.suppress(KafkaException):
            return len(self.admin.list_topics(timeout=5).brokers)
        return 0

    def _has_leaders(self, name: str, partitions: int) -> bool:
        with contextlib.suppress(KafkaException):
            known = self.admin.list_topics(name, timeout=5).topics[name].partitions.values()
            return len(known) == partitions and all(p.leader >= 0 for p in known)
        return False


def wait_for(
    condition: Callable[[], bool], seconds: float, failure: str, *, every_s: float = 0.05
) -> None:
    """Wait for something in another process; `failure` says what did not come true."""
    end = time.monotonic() + seconds  # noqa: TID251 - other processes live in real time
    while not condition():
        if time.monotonic() > end:  # noqa: TID251 - as above
            raise NoKafka(failure)
        time.sleep(every_s)  # noqa: TID251 - as above
