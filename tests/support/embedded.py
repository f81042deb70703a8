"""A whole Relay in a second: the embedded broker, the sandbox and `relay run`, each real.

For tests of what Relay shows. What Kafka does is tested on an Apache Kafka.
"""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from relay.sandbox.embedded_broker import embedded_broker
from tests.support.kafka_admin import Kafka, wait_for
from tests.support.road import Feeder, Process, Sandbox, relay_environ, relay_run


@dataclass(frozen=True)
class Whole:
    """Everything that runs, and the relay's admin port."""

    kafka: Kafka
    sandbox: Sandbox
    relay: Process
    feeder: Feeder
    admin: str

    def status(self) -> dict[str, Any]:
        """What /status says."""
        return dict(httpx.get(f"{self.admin}/status", timeout=30).raise_for_status().json())

    def until_settled(self, records: int, seconds: float = 60) -> None:
        """Wait until the relay has given so many records a fate."""

        def settled() -> bool:
            ledger = self.status()["ledger"]
            return int(ledger["taken"]) - int(ledger["open"]) >= records

        wait_for(settled, seconds, "records are missing")


@contextlib.contextmanager
def whole_relay(*, topic: str = "app-events", users: int = 20, **settings: str) -> Iterator[Whole]:
    """Run all of it; `settings` as `relay_environ` takes them."""
    with (
        embedded_broker(topic, f"{topic}.dlq") as bootstrap_servers,
        Sandbox() as sandbox,
    ):
        kafka = Kafka(bootstrap_servers)
        group = f"whole-{uuid.uuid4().hex[:8]}"
        with relay_run(relay_environ(kafka, topic, sandbox.url, group, **settings)) as relay:
            admin = str(relay.until("relay_started")["admin"])
            yield Whole(kafka, sandbox, relay, Feeder(kafka, topic, 1, users), admin)
