"""A real Apache Kafka for tests and benches: one JVM per broker, KRaft, temporary, killable.

    with KafkaCluster(brokers=3) as kafka:
        topic = kafka.create_topic("events", partitions=12)
        kafka.kill_broker(2)

Brokers never outlive the process that started them, even when it is killed: a reaper process
waits for the end of a pipe that only we hold.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from confluent_kafka import ElectionType, KafkaError, KafkaException

from tests.support import kafka_jars
from tests.support.kafka_admin import Kafka, NoKafka, wait_for
from tests.support.kafka_security import SecuredListeners
from tests.support.reaper import Reaper

__all__ = ["KafkaCluster", "NoKafka"]

_START_S = 60.0
_CLUSTER_ID = "relay-tests-cluster-id"
_LOG4J = """\
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=out
"""


class KafkaCluster(Kafka):
    """One to many brokers on loopback, each broker and controller, numbered from 1.

    `secured` adds the listeners of `SecuredListeners` to the plain one. `properties` go into
    every broker's configuration and win over what is set here.
    """

    def __init__(
        self,
        brokers: int = 1,
        *,
        secured: bool = False,
        properties: Mapping[str, str] | None = None,
        heap: str = "512m",
        java_options: Sequence[str] = (
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            # A broker whose threads have died of it answers nothing, and does not say why.
            "-XX:+ExitOnOutOfMemoryError",
        ),
    ) -> None:
        super().__init__(bootstrap_servers="")
        self._count = brokers
        self._extra = dict(properties or {})
        self._java = ["-Xms128m", f"-Xmx{heap}", *java_options]
        self._home = Path(tempfile.mkdtemp(prefix="relay-kafka-"))
        self.security = SecuredListeners(self._home) if secured else None
        self._ports: dict[tuple[int, str], int] = {}
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._reaper: Reaper | None = None
        self._asked: dict[int, Kafka] = {}
        self.replication_max = min(brokers, 3)

    @property
    def bootstrap_servers(self) -> str:
        """Addresses of the plain listener, as clients want them."""
        return self.address("PLAINTEXT")

    def address(self, listener: str) -> str:
        """Addresses of a listener by its name: PLAINTEXT, or one of `SecuredListeners`."""
        return ",".join(f"localhost:{self._ports[i, listener]}" for i in self._ids)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all brokers and wait until each is registered."""
        (self._home / "log4j2.properties").write_text(_LOG4J)
        self._reaper = Reaper(self._home)
        for index in self._ids:
            for listener in ("PLAINTEXT", "CONTROLLER", *self._secured_names):
                self._ports[index, listener] = free_port()
        for index in self._ids:
            self._launch(index)
        for index in self._ids:
            self._await_started(index)
        self._await_registered(self._count)
        if self.security is not None:
            self.security.create_users(self.admin)

    def stop(self) -> None:
        """Kill every broker and remove what they wrote."""
        for index in list(self._running):
            self.kill_broker(index)
        self._admin = None
        self._asked.clear()
        if self._reaper is None:
            shutil.rmtree(self._home, ignore_errors=True)
        else:
            self._reaper.close()
            self._reaper = None

    def start_broker(self, index: int) -> None:
        """Start a broker that was stopped or killed, with the data and the ports it had."""
        assert index not in self._running, f"broker {index} runs already"
        self._launch(index)
        self._await_started(index)
        self._await_registered(len(self._running))

    def stop_broker(self, index: int) -> None:
        """Ask a broker to shut down in order and wait until it has."""
        self._end(index, signal.SIGTERM)

    def kill_broker(self, index: int) -> None:
        """`kill -9` a broker."""
        self._end(index, signal.SIGKILL)

    def freeze_broker(self, index: int) -> None:
        """Let a broker hang: it keeps its connections and answers nothing.

        On a busy machine a signal takes some time to reach each thread, and until then the broker
        answers.
        """
        self._running[index].send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._running[index].pid, os.WSTOPPED | os.WNOWAIT)

    def thaw_broker(self, index: int) -> None:
        """Let a frozen broker go on."""
        self._running[index].send_signal(signal.SIGCONT)

    def log(self, index: int) -> str:
        """What a broker has logged."""
        return self._log_file(index).read_text(errors="replace")

    @property
    def _ids(self) -> range:
        return range(1, self._count + 1)

    @property
    def _secured_names(self) -> Sequence[str]:
        return () if self.security is None else tuple(self.security.protocols)

    def _launch(self, index: int) -> None:
        broker_home = self._home / f"broker-{index}"
        if not broker_home.exists():
            self._format(index, broker_home)
        properties = self._home / f"broker-{index}.properties"
        properties.write_text(_java_properties(self._properties(index) | self._extra))
        with self._log_file(index).open("ab") as log:
            self._running[index] = subprocess.Popen(
                [
                    *(kafka_jars.java(), *self._java),
                    f"-Djava.io.tmpdir={self._home}",
                    f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}",
                    *("-cp", kafka_jars.class_path(), "kafka.Kafka", str(properties)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the tests: brokers go when the fixture that owns them goes.
                start_new_session=True,
            )
        assert self._reaper is not None
        self._reaper.began(self._running[index])

    def _format(self, index: int, broker_home: Path) -> None:
        # What StorageTool writes, without paying for a JVM: the broker fills in the rest.
        (broker_home / "data").mkdir(parents=True)
        (broker_home / "data" / "meta.properties").write_text(
            f"version=1\ncluster.id={_CLUSTER_ID}\nnode.id={index}\n"
        )

    def _properties(self, index: int) -> dict[str, str]:
        names = ("PLAINTEXT", *self._secured_names)
        address = {
            name: f"{name}://localhost:{self._ports[index, name]}"
            for name in (*names, "CONTROLLER")
        }
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        replication = str(self.replication_max)
        properties = {
            "process.roles": "broker,controller",
            "node.id": str(index),
            "controller.quorum.voters": ",".join(
                f"{i}@localhost:{self._ports[i, 'CONTROLLER']}" for i in self._ids
            ),
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(address.values()),
            "advertised.listeners": ",".join(address[name] for name in names),
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self._home / f"broker-{index}" / "data"),
            # A test that names a topic nobody created must find out.
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": replication,
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": replication,
            "transaction.state.log.min.isr": "1",
            # Groups form at once, and tests may lose members quickly.
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "500",
            # A killed broker is noticed within three seconds rather than nine.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.dedupe.buffer.size": "4194304",
        }
        if self.security is not None:
            protocols |= self.security.protocols
            properties |= self.security.broker_properties()
        properties["listener.security.protocol.map"] = ",".join(
            f"{name}:{protocol}" for name, protocol in protocols.items()
        )
        return properties

    def _await_started(self, index: int) -> None:
        process = self._running[index]

        def started() -> bool:
            if process.poll() is not None:
                raise NoKafka(f"broker {index} did not start:\n{self.log(index)[-4000:]}")
            return self._answers(index)

        wait_for(started, _START_S, f"broker {index} did not start in {_START_S:.0f} s")

    def _answers(self, index: int) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("localhost", self._ports[index, "PLAINTEXT"]), timeout=1),
        ):
            return True
        return False

    def leader(self, topic: str, partition: int = 0) -> int:
        """The broker that leads a partition."""

        def found() -> Any:
            # A topic that was made a moment ago is not known to every broker.
            return self.admin.list_topics(topic, timeout=10).topics[topic].partitions

        wait_for(lambda: partition in found(), 30, f"nobody knows of {topic}-{partition}")
        return int(found()[partition].leader)

    def leads_nothing(self, index: int, topic: str) -> bool:
        """Whether, as the other brokers see it, they lead all partitions of the topic."""
        for other in self._running.keys() - {index}:
            # A client of its own each time: once it knows all brokers, it asks any.
            asked = Kafka(f"localhost:{self._ports[other, 'PLAINTEXT']}").admin
            with contextlib.suppress(KafkaException):
                known = asked.list_topics(topic, timeout=5).topics[topic].partitions.values()
                if all(partition.leader not in {index, -1} for partition in known):
                    continue
            return False
        return True

    def lead_evenly(self) -> None:
        """Let every partition be led by the broker meant for it; one that was away leads nothing.

        Clients then open connections to brokers that came back.
        """

        def elected() -> bool:
            with contextlib.suppress(KafkaException):  # the controller is only coming back
                # No option: this version of the client fails at any.
                outcomes = self.admin.elect_leaders(ElectionType.PREFERRED).result(timeout=60)
                refusals = [one for one in outcomes.values() if one is not None]
                return all(one.code() == KafkaError.ELECTION_NOT_NEEDED for one in refusals)
            return False

        wait_for(elected, 60, "brokers do not lead what they should")

    def _await_registered(self, count: int) -> None:
        for index, member in self._members().items():
            wait_for(
                lambda member=member: member.brokers() >= count,  # type: ignore[misc]
                _START_S,
                f"broker {index} does not know of {count} brokers",
            )

    def _has_leaders(self, name: str, partitions: int) -> bool:
        return all(member._has_leaders(name, partitions) for member in self._members().values())

    def _members(self) -> dict[int, Kafka]:
        """Each broker by itself: they learn of one another and of topics in their own time."""
        for index in self._running:
            address = f"localhost:{self._ports[index, 'PLAINTEXT']}"
            self._asked.setdefault(index, Kafka(address))
        return {index: self._asked[index] for index in self._running}

    def _end(self, index: int, how: signal.Signals) -> None:
        assert self._reaper is not None
        self._reaper.end(self._running.pop(index), how)

    def _log_file(self, index: int) -> Path:
        return self._home / f"broker-{index}.log"


def _java_properties(properties: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def free_port() -> int:
    """A port that nothing listens on, below those that the system hands to outgoing connections."""
    for _ in range(200):
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise NoKafka("no free port found")
