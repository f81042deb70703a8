"""An outage of Kafka shows while it lasts, whatever is read at the moment."""

import asyncio
import contextlib

import pytest

from relay.errors import KafkaRefused, KafkaUnreachable, SettingsError
from relay.kafka_client.errors import translated
from relay.road.consuming import broker_watch, silence
from relay.road.consuming.broker_watch import kind_of
from relay.road.consuming.facts import KafkaHeard, KafkaSilent
from relay.road.consuming.kafka import KafkaSource
from relay.road.consuming.source import SourceTrouble
from relay.settings.kafka import KafkaSettings

pytestmark = pytest.mark.slow


class Listener:
    """Holds everything that it is given, when it is asked to."""

    def __init__(self):
        self.source = None
        self.paused = False
        self.owned = frozenset()

    async def on_assigned(self, partitions, epoch):
        self.owned = frozenset(partitions)
        if self.paused:
            self.source.pause(partitions)

    async def on_revoked(self, partitions):
        self.owned = frozenset()

    def on_moved(self, partition, offset):
        pass


@contextlib.asynccontextmanager
async def member(kafka, topic, facts, *, paused=False):
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=[topic],
        group_id=topic,
        request_timeout_s=5,
        session_timeout_s=60,
        metadata_age_max_s=1,
    )
    listener = Listener()
    source = listener.source = KafkaSource(settings.consumer("{topic}.dlq"), facts.append)
    listener.paused = paused
    await source.start(listener)
    try:
        await until(source, lambda: source.ends().keys() == listener.owned != frozenset())
        yield source
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(30):
                await source.stop()


async def until(source, condition, seconds=40.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await source.poll(500, 0.05)


@contextlib.contextmanager
def frozen(kafka):
    for index in (1, 2, 3):
        kafka.freeze_broker(index)
    try:
        yield
    finally:
        for index in (1, 2, 3):
            kafka.thaw_broker(index)


@pytest.mark.broker
@pytest.mark.parametrize("paused", [False, True], ids=["reading", "paused"])
async def test_brokers_that_hang_are_silent_until_they_answer_again(kafka_cluster, paused):
    topic, facts = kafka_cluster.create_topic(partitions=3), []
    async with member(kafka_cluster, topic, facts, paused=paused) as source:
        assert source.state().trouble is None
        with frozen(kafka_cluster):
            await until(source, lambda: source.state().trouble is SourceTrouble.SILENT)
            assert source.state().reason == "no answer in time"
        await until(source, lambda: source.state().trouble is None)

    told = [type(fact) for fact in facts if isinstance(fact, KafkaSilent | KafkaHeard)]
    # A busy machine may be silent once more.
    assert told
    assert told == [KafkaSilent, KafkaHeard] * (len(told) // 2)


@pytest.mark.broker
async def test_brokers_that_are_gone_are_unreachable_until_they_are_back(
    secured_kafka, monkeypatch
):
    monkeypatch.setattr(broker_watch, "SAY_AGAIN_S", 1.0)
    topic, facts = secured_kafka.create_topic(), []
    async with member(secured_kafka, topic, facts, paused=True) as source:
        secured_kafka.kill_broker(1)
        try:
            await until(source, lambda: source.state().trouble is SourceTrouble.UNREACHABLE)
            assert secured_kafka.bootstrap_servers in source.state().reason
            since = source.state().since
            await until(source, lambda: sum(isinstance(f, KafkaSilent) for f in facts) > 1)
            assert source.state().since == since
        finally:
            secured_kafka.start_broker(1)
        await until(source, lambda: source.state().trouble is None)


@pytest.mark.broker
async def test_partitions_without_a_leader_are_told_although_brokers_answer(
    kafka_cluster, monkeypatch
):
    monkeypatch.setattr(silence, "SOME_SILENT_S", 2.0)
    topic, facts = kafka_cluster.create_topic(partitions=3, replication=1), []
    async with member(kafka_cluster, topic, facts) as source:
        broker = kafka_cluster.leader(topic, 1)
        kafka_cluster.kill_broker(broker)
        try:
            await until(source, lambda: "1 of 3 partitions" in source.state().reason)
            assert source.state().trouble is SourceTrouble.SILENT
        finally:
            kafka_cluster.start_broker(broker)
        await until(source, lambda: source.state().trouble is None)


@pytest.mark.broker
async def test_a_member_without_partitions_notices_an_outage_too(secured_kafka):
    topic, facts = secured_kafka.create_topic(), []
    async with (
        member(secured_kafka, topic, []) as first,
        asyncio.TaskGroup() as group,
    ):
        keeping = group.create_task(until(first, lambda: False, 600))
        settings = KafkaSettings(
            bootstrap_servers=secured_kafka.bootstrap_servers,
            topics=[topic],
            group_id=topic,
            session_timeout_s=60,
        )
        source = KafkaSource(settings.consumer("{topic}.dlq"), facts.append)
        listener = Listener()
        await source.start(listener)
        try:
            await until(source, lambda: not source.share() and first.share() == 1.0)
            secured_kafka.kill_broker(1)
            try:
                await until(source, lambda: source.state().trouble is SourceTrouble.UNREACHABLE)
            finally:
                secured_kafka.start_broker(1)
            await until(source, lambda: source.state().trouble is None)
        finally:
            keeping.cancel()
            await source.stop()


def translated_from(error):
    try:
        with translated("Kafka"):
            raise error
    except (KafkaUnreachable, KafkaRefused) as ours:
        return ours


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (None, SourceTrouble.SILENT),
        (translated_from(TimeoutError()), SourceTrouble.SILENT),
        (translated_from(ConnectionRefusedError(111, "Connection refused")), "unreachable"),
        (KafkaRefused("no"), SourceTrouble.LOGIN_REFUSED),
        (SettingsError("no file"), SourceTrouble.LOGIN_REFUSED),
    ],
)
def test_what_kind_of_trouble_an_attempt_to_go_in_shows(problem, kind):
    assert kind_of(problem) == kind
