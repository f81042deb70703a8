"""Passwords and certificates that change while it runs: the next connection has the new ones."""

import asyncio
import contextlib
import itertools
import ssl
import uuid

import pytest

from relay.errors import KafkaError, SettingsError
from relay.kafka_client.policy import KafkaClientPolicy, Sasl, SecretFile, Tls
from relay.kafka_client.producer import Producer
from relay.kafka_client.security import Credentials
from relay.kafka_client.topic_configs import topic_configs
from relay.model import DeadLetter, DeadLetterClass, Record
from relay.road.consuming.facts import KafkaHeard, KafkaLoginRefused
from relay.road.consuming.kafka import KafkaSource
from relay.road.consuming.source import SourceTrouble
from relay.road.settling.dead_letter_topic import DeadLetterTopic
from relay.settings.dead_letter import DeadLetterSettings
from relay.settings.kafka import KafkaSettings
from tests.support.certificates import CertificateAuthority

pytestmark = pytest.mark.slow


class World:
    """A consumer, the producer of dead letters and a plain one, all behind the same login."""

    def __init__(self, kafka, topic, address, security):
        self.kafka, self.topic, self.facts = kafka, topic, []
        self.settings = KafkaSettings(
            bootstrap_servers=address,
            topics=[topic],
            group_id=topic,
            session_timeout_s=60,
            request_timeout_s=5,
            metadata_age_max_s=1,
            security=security,
        )
        self.source = KafkaSource(self.settings.consumer("{topic}.dlq"), self.facts.append)
        policy = DeadLetterSettings(write_timeout_s=5).policy(self.settings)
        self.letters = DeadLetterTopic(policy, lambda _fact: None)
        self.producer = Producer(self.settings.client())
        self.count = itertools.count()

    async def on_assigned(self, partitions, epoch):
        pass

    async def on_revoked(self, partitions):
        pass

    def on_moved(self, partition, offset):
        pass

    @contextlib.asynccontextmanager
    async def started(self):
        async with self.producer:
            await self.letters.start()
            await self.source.start(self)
            try:
                yield self
            finally:
                await self.letters.stop()
                await self.source.stop()

    async def until(self, condition, seconds=60.0):
        records = []
        async with asyncio.timeout(seconds):
            while not condition(records):
                records += await self.source.poll(500, 0.05)
        return records

    async def everything_works(self):
        """Records go in by the one producer and come out, and a dead letter is confirmed."""
        sent = [b"%d" % next(self.count) for _ in range(3)]
        async with asyncio.timeout(60):
            for value in sent:
                await self.producer.send(self.topic, None, value)
            await self.producer.flush(self.topic)
        await self.until(lambda records: [r.value for r in records][-3:] == sent)
        dead = Record(self.topic, 0, next(self.count), 0, None, b"dead", (), 1)
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(KafkaError):  # the broker has just come back
                    await self.letters.write(
                        [DeadLetter(dead, DeadLetterClass.REFUSED, "code", "reason")]
                    )
                    break
        assert await topic_configs(self.settings.client(), [self.topic])

    def told(self):
        return [type(f) for f in self.facts if isinstance(f, KafkaLoginRefused | KafkaHeard)]


def restart(kafka, between=lambda: None):
    kafka.stop_broker(1)
    between()
    kafka.start_broker(1)


@pytest.mark.broker
async def test_a_password_that_changes_is_used_by_every_connection_that_is_opened_anew(
    secured_kafka, tmp_path
):
    user, file = f"user-{uuid.uuid4().hex[:8]}", tmp_path / "password"
    file.write_text("first\n")
    set_password = secured_kafka.security.set_password
    set_password(secured_kafka.admin, user, "first")
    login = {
        "protocol": "SASL_PLAINTEXT",
        "mechanism": "SCRAM-SHA-512",
        "username": user,
        "password_file": file,
    }
    topic = secured_kafka.create_topic()
    world = World(secured_kafka, topic, secured_kafka.address("SASL_PLAIN"), login)
    async with world.started():
        await world.everything_works()

        set_password(secured_kafka.admin, user, "second")
        restart(secured_kafka, lambda: file.write_text("second\n"))
        await world.everything_works()
        assert world.source.state().trouble is not SourceTrouble.LOGIN_REFUSED

        # Where the file comes later, that is told at once and heals by itself.
        set_password(secured_kafka.admin, user, "third")
        restart(secured_kafka)
        await world.until(lambda _: world.source.state().trouble is SourceTrouble.LOGIN_REFUSED)
        assert "third" not in repr(world.facts)
        file.write_text("third\n")
        await world.until(lambda _: world.source.state().trouble is None)
        await world.everything_works()

    assert world.told()[-2:] == [KafkaLoginRefused, KafkaHeard]


@pytest.mark.broker
async def test_a_certificate_that_changes_is_used_by_every_connection_that_is_opened_anew(
    secured_kafka, tmp_path
):
    trusted = secured_kafka.security.authority
    foreign = CertificateAuthority(tmp_path, "nobody trusts it").issue("stranger")
    cert, key = tmp_path / "client.crt", tmp_path / "client.key"

    def show(identity):
        cert.write_bytes(identity.cert.read_bytes())
        key.write_bytes(identity.key.read_bytes())

    show(trusted.issue("first"))
    tls = {"protocol": "SSL", "ca_file": trusted.cert, "cert_file": cert, "key_file": key}
    topic = secured_kafka.create_topic()
    world = World(secured_kafka, topic, secured_kafka.address("MTLS"), tls)
    async with world.started():
        await world.everything_works()

        restart(secured_kafka, lambda: show(foreign))
        await world.until(lambda _: world.source.state().trouble is SourceTrouble.LOGIN_REFUSED)
        show(trusted.issue("second"))
        await world.until(lambda _: world.source.state().trouble is None)
        await world.everything_works()


def policy(tls=None, sasl=None):
    return KafkaClientPolicy("localhost:1", "relay", 1.0, 1.0, tls=tls, sasl=sasl)


def test_a_password_file_is_read_each_time_and_an_unreadable_one_keeps_the_last(tmp_path):
    file = tmp_path / "password"
    file.write_text("first\n")
    secret = SecretFile(file, "kafka.security.password_file")
    credentials = Credentials(policy(sasl=Sasl("PLAIN", "relay", secret)))
    assert credentials.password == "first"

    file.write_text("second")
    credentials.refresh()
    assert credentials.password == "second"

    file.unlink()
    with pytest.raises(SettingsError, match=r"kafka\.security\.password_file: .*No such file"):
        credentials.refresh()
    assert credentials.password == "second"
    assert "second" not in repr(credentials)


def test_certificates_are_loaded_when_their_content_changes_and_only_then(tmp_path):
    authority = CertificateAuthority(tmp_path)
    shown = authority.issue("client")
    credentials = Credentials(policy(tls=Tls(authority.cert, shown.cert, shown.key)))
    first = credentials.context
    credentials.refresh()
    assert credentials.context is first

    shown.cert.write_bytes(b"half a certificate")
    with pytest.raises(SettingsError, match="cert_file with key_file"):
        credentials.refresh()
    assert credentials.context is first

    authority.issue("client")
    credentials.refresh()
    assert credentials.context is not first
    assert isinstance(credentials.context, ssl.SSLContext)
