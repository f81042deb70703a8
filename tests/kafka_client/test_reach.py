"""Getting in: every way that the settings offer, and a clear line for every way that fails."""

import asyncio
import contextlib
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation

from relay.errors import KafkaRefused, KafkaUnreachable, SettingsError
from relay.kafka_client import build
from relay.kafka_client.reach import addresses, reach, reach_in_time, written
from relay.road.consuming.kafka import KafkaSource
from relay.settings.kafka import KafkaSettings
from tests.support.kafka_security import USERS, unsigned_token

pytestmark = pytest.mark.slow

broker = pytest.mark.broker


def policy(address, **security):
    return KafkaSettings(bootstrap_servers=address, security=security).client()


def ca(kafka):
    return {"ca_file": kafka.security.authority.cert}


def login(mechanism, **given):
    return {"mechanism": mechanism, "username": "relay", "password": USERS["relay"], **given}


@broker
async def test_a_plain_cluster_lets_us_in_and_says_what_it_has(kafka):
    topic = kafka.create_topic(partitions=3)

    cluster = await reach(policy(kafka.bootstrap_servers))

    assert cluster.topics[topic] == 3
    assert [b.problem for b in cluster.brokers] == [None]


@broker
async def test_tls_with_an_authority_of_our_own(secured_kafka):
    address = secured_kafka.address("TLS")

    assert await reach(policy(address, protocol="SSL", **ca(secured_kafka)))


@broker
async def test_a_certificate_that_nobody_vouches_for_is_refused(secured_kafka):
    with pytest.raises(KafkaRefused, match="certificate is not trusted"):
        await reach(policy(secured_kafka.address("TLS"), protocol="SSL"))


@broker
async def test_mutual_tls_lets_in_whoever_shows_a_certificate(secured_kafka):
    client = secured_kafka.security.client
    shown = {"cert_file": client.cert, "key_file": client.key}
    address = secured_kafka.address("MTLS")

    assert await reach(policy(address, protocol="SSL", **ca(secured_kafka), **shown))
    with pytest.raises(KafkaRefused, match="wants another certificate from us"):
        await reach(policy(address, protocol="SSL", **ca(secured_kafka)))


@broker
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
async def test_password_logins_with_and_without_tls(secured_kafka, protocol, mechanism):
    listener = {"SASL_SSL": "SASL_TLS", "SASL_PLAINTEXT": "SASL_PLAIN"}[protocol]
    given = ca(secured_kafka) if protocol == "SASL_SSL" else {}
    address = secured_kafka.address(listener)

    assert await reach(policy(address, protocol=protocol, **login(mechanism), **given))

    wrong = login(mechanism, password="not-it")
    with pytest.raises(KafkaRefused, match=r"uthentication.*kafka\.security") as refusal:
        await reach(policy(address, protocol=protocol, **wrong, **given))
    assert "not-it" not in str(refusal.value)


@broker
async def test_a_mechanism_that_the_broker_does_not_offer_is_named(secured_kafka):
    kafka = secured_kafka.address("SASL_PLAIN")
    given = policy(kafka, protocol="SASL_PLAINTEXT", **login("PLAIN"))
    object.__setattr__(given.sasl, "mechanism", "GSSAPI")

    with pytest.raises((KafkaRefused, AssertionError)):
        await reach(given)


@broker
async def test_a_token_file_is_read_for_every_connection(secured_kafka, tmp_path):
    file = tmp_path / "token"
    given = policy(
        secured_kafka.address("SASL_TLS"),
        protocol="SASL_SSL",
        mechanism="OAUTHBEARER",
        oauth={"token_file": file},
        **ca(secured_kafka),
    )

    with pytest.raises(KafkaRefused, match=r"token file cannot be read"):
        await reach(given)
    file.write_text("nonsense\n")
    with pytest.raises(KafkaRefused):
        await reach(given)
    now_s = int(time.time())  # noqa: TID251 - the broker lives in real time
    file.write_text(unsigned_token("relay", now_s) + "\n")
    assert await reach(given)


@broker
async def test_tls_spoken_to_a_plain_listener_is_told_apart(secured_kafka):
    with pytest.raises(KafkaUnreachable, match=r"reset .*kafka\.security\.protocol"):
        await reach(policy(secured_kafka.bootstrap_servers, protocol="SSL", **ca(secured_kafka)))


@broker
async def test_a_plain_client_at_a_tls_listener_gets_no_further(secured_kafka):
    with pytest.raises(KafkaUnreachable, match=r"kafka\.security\.protocol"):
        await reach(policy(secured_kafka.address("TLS")))


@broker
async def test_a_forbidden_topic_is_not_shown(secured_kafka):
    topic = secured_kafka.create_topic()
    secured_kafka.security.deny(secured_kafka.admin, "guest", topic, AclOperation.DESCRIBE)
    given = {"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN"}
    address = secured_kafka.address("SASL_PLAIN")

    ours = await reach(policy(address, username="relay", password=USERS["relay"], **given))
    theirs = await reach(policy(address, username="guest", password=USERS["guest"], **given))

    assert topic in ours.topics
    assert topic not in theirs.topics


@broker
async def test_one_living_address_is_enough(kafka):
    assert await reach(policy(f"localhost:{unused_port()},{kafka.bootstrap_servers}"))


@broker
async def test_an_advertised_broker_that_cannot_be_reached_is_a_finding(kafka_cluster):
    kafka_cluster.freeze_broker(3)
    try:
        given = KafkaSettings(
            bootstrap_servers=kafka_cluster.bootstrap_servers, request_timeout_s=1
        )
        cluster = await reach(given.client())
    finally:
        kafka_cluster.thaw_broker(3)

    assert [b.node for b in cluster.brokers if b.problem] == [3]
    assert "no answer in time" in str(cluster.brokers[2].problem)


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_every_address_is_named_when_none_answers():
    first, second = unused_port(), unused_port()

    with pytest.raises(KafkaUnreachable) as problem:
        await reach(policy(f"localhost:{first},localhost:{second}"))

    assert f"localhost:{first}" in str(problem.value)
    assert f"localhost:{second}" in str(problem.value)


async def test_a_host_name_that_does_not_exist_is_told_apart():
    with pytest.raises(KafkaUnreachable, match="host name cannot be resolved"):
        await reach(policy("no-such-host.invalid:9092"))


async def test_an_address_that_is_none_is_a_matter_of_the_settings():
    with pytest.raises(SettingsError, match="bootstrap_servers"):
        await reach(replace(policy("localhost:9092"), bootstrap_servers="localhost:port"))


async def test_waiting_for_a_cluster_tells_each_failure_and_ends_in_time():
    told, slept = [], []

    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.sleep(0)

    with pytest.raises(KafkaUnreachable):
        await reach_in_time(
            policy(f"localhost:{unused_port()}"),
            0.0,
            lambda problem, wait_s: told.append((problem, wait_s)),
            sleep,
        )
    assert told == []

    loop = asyncio.get_running_loop()
    ends = loop.time()
    calls = 0

    async def sleep_past_the_end(seconds):
        nonlocal calls
        calls += 1
        loop.time = lambda: ends + 100.0 * calls

    real = loop.time
    try:
        with pytest.raises(KafkaUnreachable):
            await reach_in_time(
                policy(f"localhost:{unused_port()}"),
                60.0,
                lambda problem, wait_s: told.append((problem, wait_s)),
                sleep_past_the_end,
            )
    finally:
        loop.time = real
    ((problem, wait_s),) = told
    assert isinstance(problem, KafkaUnreachable)
    assert 0.0 < wait_s <= 5.0


@pytest.fixture
def swallowing():
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


async def test_an_address_that_never_answers_is_told_early_and_given_up_in_time(
    swallowing, monkeypatch
):
    monkeypatch.setattr("relay.kafka_client.reach._RETRY_S", 0.1)
    monkeypatch.setattr("relay.kafka_client.reach._LEAST_S", 0.1)
    told = []

    async with asyncio.timeout(20):  # far below the time that one request may take
        with pytest.raises(KafkaUnreachable, match="no answer in time"):
            await reach_in_time(
                policy(f"{swallowing},{swallowing}"),
                1.0,
                lambda problem, wait_s: told.append((problem, wait_s)),
            )

    assert len(told) >= 2
    assert all("no answer in time" in str(problem) for problem, _ in told)


@broker
async def test_an_address_that_never_answers_holds_up_no_other(swallowing, kafka):
    async with asyncio.timeout(20):
        cluster = await reach(policy(f"{swallowing},{kafka.bootstrap_servers}"))

    assert cluster.entrance in kafka.bootstrap_servers


@pytest.mark.parametrize("host", ["::1", "fe80::1", "127.0.0.1", "kafka.example.com"])
def test_the_address_that_answered_can_be_asked_again(host):
    assert addresses(written(host, 9092)) == [(host, 9092)]


def ipv6_listener():
    """On a port of four digits: behind an address without brackets it is a part of that."""
    for port in range(9_093, 10_000):
        with contextlib.suppress(OSError):
            return socket.create_server(("::1", port), family=socket.AF_INET6)
    raise OSError("no port is free")


@broker
async def test_a_group_is_joined_by_an_address_of_ipv6(kafka, topic):
    host, port = kafka.bootstrap_servers.rsplit(":", 1)

    async def pump(reader, writer):
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while some := await reader.read(65_536):
                writer.write(some)
                await writer.drain()

    async def forward(reader, writer):
        there, back = await asyncio.open_connection(host, port)
        async with asyncio.TaskGroup() as both:
            both.create_task(pump(reader, back))
            both.create_task(pump(there, writer))

    async with await asyncio.start_server(forward, sock=ipv6_listener()) as server:
        address = "[{}]:{}".format(*server.sockets[0].getsockname()[:2])
        settings = KafkaSettings(bootstrap_servers=address, topics=[topic], group_id=topic)
        source = KafkaSource(settings.consumer("{topic}.dlq"), lambda _fact: None)
        async with asyncio.timeout(30):
            await source.start(Assigned())
            await source.stop()


class Assigned:
    """Is told of partitions."""

    async def on_assigned(self, partitions, epoch):
        pass

    async def on_revoked(self, partitions):
        pass

    def on_moved(self, partition, offset):
        pass


def test_all_codecs_and_the_compiled_parser_are_there():
    assert build.missing_codecs() == []
    assert build.has_compiled_parser()


def test_a_missing_codec_is_reported_before_the_first_record(monkeypatch):
    monkeypatch.setitem(build._CODECS, "zstd", lambda: False)

    with pytest.raises(SettingsError, match="zstd"):
        build.require_codecs()


def test_certificate_files_are_judged_at_the_start(tmp_path: Path):
    missing = policy("h:1", protocol="SSL", ca_file=tmp_path / "none.pem")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("not a certificate")
    broken = policy("h:1", protocol="SSL", cert_file=nonsense, key_file=nonsense)

    with pytest.raises(SettingsError, match=r"ca_file: .*none\.pem: No such file"):
        asyncio.run(reach(missing))
    with pytest.raises(SettingsError, match="cert_file with key_file"):
        asyncio.run(reach(broken))
