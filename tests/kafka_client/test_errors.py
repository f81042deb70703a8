"""What aiokafka raises, and what becomes of it."""

import asyncio
import inspect
import socket
import ssl

import pytest
from aiokafka import errors as theirs

from relay.errors import ExitStatus, KafkaRefused, KafkaUnreachable, TopicMissing
from relay.kafka_client.errors import (
    MISSING,
    MOVED_ON,
    OURS,
    PASSING,
    REFUSING,
    reason,
    translated,
    translation,
)

GROUPS = {"PASSING": PASSING, "REFUSING": REFUSING, "MISSING": MISSING, "MOVED_ON": MOVED_ON}
BASES = (theirs.KafkaError, theirs.BrokerResponseError, theirs.NoError)
ALL = [
    error
    for _, error in inspect.getmembers(theirs, inspect.isclass)
    if issubclass(error, Exception) and error not in BASES
]


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_every_exception_of_aiokafka_stands_in_exactly_one_group(error):
    places = [name for name, group in {**GROUPS, "OURS": OURS}.items() if error in group]

    assert len(places) == 1, f"{error.__name__} stands in {places}"


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_what_the_group_promises_is_what_comes_out(error):
    expected = {
        PASSING: KafkaUnreachable,
        MOVED_ON: KafkaUnreachable,
        REFUSING: KafkaRefused,
        MISSING: TopicMissing,
        OURS: type(None),
    }
    (group,) = [group for group in expected if error in group]

    assert type(translation(error(), "Kafka")) is expected[group]


def test_a_defect_of_ours_is_not_dressed_up_as_kafkas():
    with pytest.raises(theirs.IllegalStateError), translated("Kafka"):
        raise theirs.IllegalStateError("not assigned")
    with pytest.raises(ZeroDivisionError), translated("Kafka"):
        _ = 1 / 0


def test_a_kafka_error_without_a_group_counts_as_passing():
    class Unheard(theirs.KafkaError):
        pass

    assert isinstance(translation(Unheard(), "Kafka"), KafkaUnreachable)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"),
            "connection refused",
        ),
        (socket.gaierror(-2, "Name or service not known"), "the host name cannot be resolved"),
        (TimeoutError(), "no answer in time"),
        (ConnectionError("no answer from the token endpoint id.example"), "token endpoint id.ex"),
        (theirs.TopicAuthorizationFailedError("app-events"), "topic authorization failed"),
        (theirs.KafkaConnectionError("Connection at h:1 closed"), "kafka connection"),
    ],
)
def test_a_reason_is_a_few_words_on_one_line(error, says):
    assert says in reason(error)
    assert "\n" not in reason(error)


async def test_that_all_addresses_of_a_name_refuse_is_said_once(monkeypatch):
    loop = asyncio.get_running_loop()
    kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")

    async def two(_host, port, **_given):
        return [(*kind, ("127.0.0.1", port)), (*kind, ("127.0.0.2", port))]

    monkeypatch.setattr(loop, "getaddrinfo", two)
    with pytest.raises(OSError, match="Multiple exceptions") as failed:
        await loop.create_connection(asyncio.Protocol, "kafka.example", 1)

    assert reason(failed.value) == "connection refused"


def test_tls_is_named_even_when_aiokafka_only_says_that_the_connection_closed():
    closed = theirs.KafkaConnectionError("Connection at localhost:1 closed")
    closed.__cause__ = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert")
    closed.__cause__.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"

    problem = translation(closed, "Kafka at localhost:1")

    assert isinstance(problem, KafkaRefused)
    assert "certificate from us, or one at all (tlsv13 alert certificate required)" in str(problem)


def test_exit_statuses_follow_the_kind():
    assert translation(theirs.KafkaConnectionError(), "x").exit_status is (
        ExitStatus.KAFKA_UNREACHABLE
    )
    assert translation(theirs.SaslAuthenticationFailed(), "x").exit_status is (
        ExitStatus.KAFKA_REFUSED
    )
    assert translation(theirs.UnknownTopicOrPartitionError(), "x").exit_status is (
        ExitStatus.TOPIC_MISSING
    )


def test_the_code_is_the_name_of_the_cause():
    with pytest.raises(KafkaUnreachable) as caught, translated("Kafka"):
        raise theirs.NodeNotReadyError

    assert caught.value.code == "NodeNotReady"
