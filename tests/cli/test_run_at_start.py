"""`relay run` when Kafka is not as it should be at the start: one line, one exit status each."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from relay.errors import ExitStatus
from tests.support.kafka_security import USERS

pytestmark = pytest.mark.slow

LOGIN = {"protocol": "SASL_PLAINTEXT", "mechanism": "SCRAM-SHA-256", "username": "relay"}


@pytest.fixture
def start(tmp_path):
    """Starts `relay run` with these settings of Kafka; its log is read line by line."""
    processes = []

    def start(**kafka):
        settings = {
            "kafka": kafka,
            "tracking": {"base_url": "http://localhost:1", "api_token": "t", "datamart_id": "1"},
            "admin": {"port": 0},
        }
        config = tmp_path / "relay.yaml"
        config.write_text(json.dumps(settings, default=str))
        process = subprocess.Popen(
            [sys.executable, "-m", "relay", "run", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ},  # noqa: TID251 - a process of its own
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def ended(process, seconds=60):
    out, err = process.communicate(timeout=seconds)
    facts = [json.loads(line) for line in out.splitlines()]
    return SimpleNamespace(status=process.returncode, facts=facts, err=err)


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_broker_that_does_not_answer_is_one_line_when_the_time_is_over(start):
    end = ended(start(bootstrap_servers=f"localhost:{unused_port()}", start_timeout_s=0))

    assert end.status == ExitStatus.KAFKA_UNREACHABLE
    assert end.err.count("\n") == 1
    assert "connection refused" in end.err


def test_a_start_imports_nothing_of_what_is_off(start, monkeypatch):
    """The other roads, a registry, OAuth, httpx: each costs a part of a second, and megabytes."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    end = ended(start(bootstrap_servers=f"localhost:{unused_port()}", start_timeout_s=0))

    assert end.status == ExitStatus.KAFKA_UNREACHABLE
    imported = set(re.findall(r"^import time: .*\| +(\S+)$", end.err, re.MULTILINE))
    assert "relay.stream.engine" in imported
    off = {
        *("relay.membership.facts", "relay.sources.registry.facts"),
        *("relay.membership.engine", "relay.segments.driver", "relay.apis.caller"),
        *("relay.sources.registry.client", "relay.stream.tracing", "relay.sandbox", "relay.demo"),
        *("httpx", "fastavro", "google.protobuf", "opentelemetry", "confluent_kafka"),
        "rich.console",
    }
    assert imported & off == set()


def test_a_broker_that_accepts_and_never_answers_is_one_line_when_the_time_is_over(start):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        end = ended(start(bootstrap_servers=address, start_timeout_s=2), seconds=25)

    assert end.status == ExitStatus.KAFKA_UNREACHABLE
    assert end.err.count("\n") == 1
    assert "no answer in time" in end.err


@pytest.mark.broker
def test_a_login_that_is_refused_is_one_line_at_once(start, secured_kafka):
    end = ended(
        start(
            bootstrap_servers=secured_kafka.address("SASL_PLAIN"),
            security={**LOGIN, "password": "wrong-password"},
        )
    )

    assert end.status == ExitStatus.KAFKA_REFUSED
    assert end.err.count("\n") == 1
    assert "kafka.security" in end.err
    assert "wrong-password" not in end.err + json.dumps(end.facts)


@pytest.mark.broker
def test_a_certificate_that_is_not_trusted_is_one_line_at_once(start, secured_kafka):
    end = ended(start(bootstrap_servers=secured_kafka.address("TLS"), security={"protocol": "SSL"}))

    assert end.status == ExitStatus.KAFKA_REFUSED
    assert "certificate is not trusted" in end.err
    assert end.err.count("\n") == 1


@pytest.mark.broker
def test_a_topic_that_does_not_exist_is_one_line_at_once(start, kafka):
    end = ended(start(bootstrap_servers=kafka.bootstrap_servers, topics=["no-such-topic"]))

    assert end.status == ExitStatus.TOPIC_MISSING
    assert end.err.count("\n") == 1
    assert "no-such-topic" in end.err
    assert "no-such-topic.dlq" not in kafka.admin.list_topics(timeout=20).topics


@pytest.mark.broker
def test_a_broker_that_comes_up_later_is_waited_for_with_a_line_for_each_attempt(start, kafka):
    """The port is dead at first; then it leads to a broker that has been there all along."""
    port = unused_port()
    process = start(bootstrap_servers=f"localhost:{port}", topics=[kafka.create_topic()])
    seen = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1]["event"] == "kafka_unavailable":
            break
    host, number = kafka.bootstrap_servers.split(",")[0].rsplit(":", 1)
    with forwarding(port, host, int(number)):
        for line in process.stdout:
            seen.append(json.loads(line))
            if seen[-1]["event"] == "partitions_assigned":
                break
        process.send_signal(signal.SIGTERM)
        end = ended(process)

    assert (end.status, end.err) == (0, "")
    waits = [fact for fact in seen if fact["event"] == "kafka_unavailable"]
    assert 1 <= len(waits) <= 3
    assert {fact["level"] for fact in waits} == {"warning"}
    assert all(str(port) in fact["reason"] for fact in waits)


@pytest.mark.broker
def test_reading_over_sasl_and_tls_from_a_password_file(start, secured_kafka, tmp_path):
    password = tmp_path / "password"
    password.write_text(USERS["relay"] + "\n")
    process = start(
        bootstrap_servers=secured_kafka.address("SASL_TLS"),
        topics=[secured_kafka.create_topic()],
        security={
            **LOGIN,
            "protocol": "SASL_SSL",
            "password_file": password,
            "ca_file": secured_kafka.security.authority.cert,
        },
    )

    facts = []
    for line in process.stdout:
        facts.append(json.loads(line)["event"])
        if facts[-1] == "partitions_assigned":
            break
    process.send_signal(signal.SIGTERM)

    assert (ended(process).status, facts[-1]) == (0, "partitions_assigned")


class forwarding:  # noqa: N801 - reads as a statement
    """Connections to a port of ours go on to another, as by a balancer that came up late."""

    def __init__(self, port, host, to):
        self._server = socket.create_server(("127.0.0.1", port))
        self._target = (host, to)
        self._open = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()

    def __exit__(self, *_):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in self._open:
            one.close()

    def _accept(self):
        while True:
            try:
                ours, _ = self._server.accept()
            except OSError:
                return
            theirs = socket.create_connection(self._target)
            self._open += [ours, theirs]
            for a, b in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            return
