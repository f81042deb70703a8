"""Apache Kafka's own image through testcontainers: one broker, plain, where an engine answers."""

import shutil
import socket
import subprocess
from typing import Self

from tests.support.kafka_admin import Kafka, NoKafka, wait_for
from tests.support.kafka_jars import KAFKA_VERSION

_START_S = 90.0


class DockerKafka(Kafka):
    """A broker in a container, for machines that have an engine."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        super().__init__(f"localhost:{self._port}")

    def __enter__(self) -> Self:
        if not _engine_answers():
            raise NoKafka("no Docker engine answers")
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - slow import

        self._container = DockerContainer(f"apache/kafka:{KAFKA_VERSION}").with_bind_ports(
            self._port, self._port
        )
        for name, value in self._properties().items():
            self._container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        self._container.start()
        try:
            wait_for(lambda: self.brokers() > 0, _START_S, "the broker's container did not start")
        except BaseException:
            self._container.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._container.stop()

    def _properties(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": "1@localhost:29093",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://:{self._port},CONTROLLER://:29093",
            "advertised.listeners": f"PLAINTEXT://localhost:{self._port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "500",
        }


def _engine_answers() -> bool:
    # Asked through the command: the client library leaks a socket where no engine listens.
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run([docker, "version"], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0
