"""Fixtures for a real Apache Kafka, started at most once per test session, on first use.

- `kafka`: some cluster, plain. First that works: the address in RELAY_TEST_KAFKA, Docker, Apache
  Kafka from Maven Central on this machine's Java.
- `kafka_cluster`: three brokers of our own, to be stopped, killed and frozen, with the listeners of
  `kafka_security` beside the plain one.
- `secured_kafka`: one broker of our own with the listeners of `kafka_security`.
- `schema_registry`: a registry of our own, to be stopped and started.
- `topic`: a fresh topic with one partition on `kafka`.

Where none works the tests that ask are skipped, and say why.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.kafka_admin import Kafka, NoKafka
from tests.support.kafka_cluster import KafkaCluster
from tests.support.kafka_docker import DockerKafka
from tests.support.schema_registry import NoRegistry, SchemaRegistry


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    address = os.environ.get("RELAY_TEST_KAFKA")  # noqa: TID251 - read by the tests, not the relay
    if address:
        yield _named(address)
        return
    reasons = []
    for start in (DockerKafka, KafkaCluster):
        with ExitStack() as stack:
            try:
                running = stack.enter_context(start())
            except NoKafka as reason:
                reasons.append(str(reason))
                continue
            yield running
            return
    pytest.skip("no Kafka to test with: " + "; ".join(reasons))


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[KafkaCluster]:
    yield from _own(KafkaCluster(brokers=3, secured=True))


@pytest.fixture(scope="session")
def secured_kafka() -> Iterator[KafkaCluster]:
    yield from _own(KafkaCluster(secured=True))


@pytest.fixture(scope="session")
def schema_registry() -> Iterator[SchemaRegistry]:
    with ExitStack() as stack:
        try:
            registry = stack.enter_context(SchemaRegistry())
        except NoRegistry as reason:
            pytest.skip(f"no schema registry to test with: {reason}")
        yield registry


@pytest.fixture
def topic(kafka: Kafka) -> str:
    return kafka.create_topic()


def _named(address: str) -> Kafka:
    kafka = Kafka(address)
    if kafka.brokers() == 0:
        pytest.fail(f"RELAY_TEST_KAFKA names {address}, and no broker answers there")
    return kafka


def _own(cluster: KafkaCluster) -> Iterator[KafkaCluster]:
    with ExitStack() as stack:
        try:
            stack.enter_context(cluster)
        except NoKafka as reason:
            pytest.skip(f"no Kafka to test with: {reason}")
        yield cluster
