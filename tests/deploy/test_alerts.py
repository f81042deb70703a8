"""The alert rules, run by Prometheus' own tool over what Relay really exposed in trouble.

The values of a moment are scraped; what they would be after minutes is drawn out from there.
"""

import asyncio
import io
import uuid

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import AclOperation
from prometheus_client import CollectorRegistry, generate_latest

from relay.model import Partition
from relay.road.consuming.kafka import KafkaSource
from relay.road.consuming.schema_waits import SchemaWait
from relay.road.custody import Custody, CustodyPolicy
from relay.road.schema_status import SchemaReport
from relay.road.source_status import SourceReport
from relay.settings.kafka import KafkaSettings
from relay.telemetry.log import configure
from relay.telemetry.telemetry import Telemetry
from tests.support.kafka_admin import wait_for
from tests.support.kafka_security import USERS
from tests.support.promtool import Alerts, growing, samples, steady, stepped
from tests.support.road import Feeder, relay_environ, relay_run

pytestmark = pytest.mark.slow


@pytest.fixture
def alerts(tmp_path):
    return Alerts(tmp_path)


class Member:
    """A source with its report, scraped as the admin port would be."""

    def __init__(self, kafka, topic, **settings):
        settings = {"bootstrap_servers": kafka.bootstrap_servers, "topics": [topic], **settings}
        policy = KafkaSettings(group_id=topic, metadata_age_max_s=1, **settings)
        self.registry = CollectorRegistry()
        telemetry = Telemetry(configure(json=True, stream=io.BytesIO()), self.registry)
        self.source = KafkaSource(policy.consumer("{topic}.dlq"), telemetry.emit)
        self.report = SourceReport(telemetry.emit)
        self.registry.register(self)

    async def on_assigned(self, partitions, epoch):
        pass

    async def on_revoked(self, partitions):
        pass

    def on_moved(self, partition, offset):
        pass

    def collect(self):
        return self.report.metrics()

    def scrape(self, *, later_s=0.0):
        self.report.tick(asyncio.get_running_loop().time() + later_s, self.source.state())
        return generate_latest(self.registry).decode()

    async def until(self, condition):
        async with asyncio.timeout(40):
            while not condition():
                await self.source.poll(500, 0.05)


@pytest.mark.broker
async def test_an_outage_of_kafka_fires(alerts, secured_kafka):
    member = Member(secured_kafka, secured_kafka.create_topic())
    await member.source.start(member)
    try:
        await member.until(member.source.ends)
        before = samples(member.scrape(), "relay_kafka_trouble")
        secured_kafka.kill_broker(1)
        try:
            await member.until(lambda: member.source.state().trouble)
            during = samples(member.scrape(), "relay_kafka_trouble")
        finally:
            secured_kafka.start_broker(1)
        await member.until(lambda: not member.source.state().trouble)
    finally:
        await member.source.stop()

    alerts.fire(steady(before, 10), "RelayKafkaTrouble", 10)
    alerts.fire(steady(during, 10), "RelayKafkaTrouble", 5, {"trouble": "unreachable"})
    of_segments = {name.replace("relay_", "relay_membership_"): v for name, v in during.items()}
    alerts.fire(steady(of_segments, 10), "RelayKafkaTrouble", 5, {"trouble": "unreachable"})


@pytest.mark.broker
async def test_a_transaction_that_hangs_fires(alerts, kafka, topic):
    member = Member(kafka, topic)
    await member.source.start(member)
    try:
        async with AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, transactional_id=topic
        ) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"open")
            await member.until(lambda: member.source.state().held_back)
            soon = samples(member.scrape(), "relay_held_back_seconds")
            late = samples(member.scrape(later_s=400.0), "relay_held_back_seconds")
            await producer.commit_transaction()
    finally:
        await member.source.stop()

    alerts.fire(steady(soon, 10), "RelayTransactionHangs", 10)
    where = {"topic": topic, "partition": "0"}
    alerts.fire(steady(late, 10), "RelayTransactionHangs", 5, where)


@pytest.mark.broker
async def test_access_that_is_taken_away_fires_however_soon_it_is_back(alerts, secured_kafka):
    kafka, topic = secured_kafka, secured_kafka.create_topic()
    security = {"protocol": "SASL_PLAINTEXT", "mechanism": "SCRAM-SHA-256"}
    login = {"username": "guest", "password": USERS["guest"]}
    member = Member(
        kafka, topic, bootstrap_servers=kafka.address("SASL_PLAIN"), security={**security, **login}
    )
    counter = "relay_kafka_access_refused_total"
    await member.source.start(member)
    try:
        await member.until(lambda: member.source._worked)  # before, it is a wrong setting
        before = samples(member.scrape(), counter)
        await asyncio.to_thread(kafka.security.deny, kafka.admin, "guest", topic, AclOperation.READ)
        await member.until(lambda: samples(member.scrape(), counter) != before)
        after = samples(member.scrape(), counter)
        await asyncio.to_thread(kafka.security.forgive, kafka.admin, topic)
    finally:
        await member.source.stop()

    alerts.fire(steady(before, 20), "RelayKafkaAccessRefused", 10)
    alerts.fire(stepped(before, after, 30), "RelayKafkaAccessRefused", 10, {})
    alerts.fire(stepped(before, after, 30), "RelayKafkaAccessRefused", 25)


@pytest.mark.broker
async def test_a_topic_that_is_deleted_while_it_is_read_fires(alerts, kafka, topic):
    member = Member(kafka, topic)
    counter = "relay_topics_gone_total"
    await member.source.start(member)
    try:
        await member.until(member.source.ends)
        before = samples(member.scrape(), counter)
        gone = kafka.admin.delete_topics([topic])[topic]
        await asyncio.to_thread(gone.result, 30)
        await member.until(lambda: samples(member.scrape(), counter) != before)
        after = samples(member.scrape(), counter)
    finally:
        await member.source.stop()

    alerts.fire(steady(before, 20), "RelayTopicGone", 10)
    alerts.fire(stepped(before, after, 30), "RelayTopicGone", 10, {})


@pytest.mark.broker
def test_a_lag_that_grows_fires_while_nothing_is_read(alerts, kafka, topic):
    """The API is away and memory is full, so every partition is paused: that is when it matters."""
    feeder = Feeder(kafka, topic, seed=1, users=50)
    feeder.send(1500)
    small = {"DELIVERY__MEMORY_RECORDS_MAX": "100", "DELIVERY__USER_RECORDS_MAX": "100"}
    group = f"alerts-{uuid.uuid4().hex[:8]}"
    environ = relay_environ(kafka, topic, "http://localhost:9", group, **small)
    with relay_run(environ) as relay:
        admin = relay.until("relay_started")["admin"]

        def lag():
            text = httpx.get(f"{admin}/metrics", timeout=30).raise_for_status().text
            return samples(text, "relay_lag")

        wait_for(lambda: sum(lag().values()) == 1500, 60, "the lag is not known")
        first = lag()
        feeder.send(500)
        wait_for(lambda: sum(lag().values()) == 2000, 60, "the lag stands still")
        second = lag()
        relay.terminate()

    alerts.fire(steady(second, 60), "RelayLagGrows", 60)
    alerts.fire(growing(first, second, 60), "RelayLagGrows", 60, {})


def test_a_partition_that_waits_for_its_schema_fires(alerts):
    custody = Custody(CustodyPolicy(), None)
    custody.schemas.begin(SchemaWait(Partition("orders", 3), 1, 7, key=5, since=1000.0))
    report = SchemaReport(custody, lambda: None)

    class At:
        def __init__(self, now):
            self.now = now

        def collect(self):
            return report.metrics(self.now)

    def scraped(now):
        registry = CollectorRegistry()
        registry.register(At(now))
        return samples(generate_latest(registry).decode(), "relay_schema_wait_seconds")

    alerts.fire(steady(scraped(1030.0), 10), "RelaySchemaMissing", 10)
    where = {"topic": "orders", "partition": "3"}
    alerts.fire(steady(scraped(1121.0), 10), "RelaySchemaMissing", 5, where)
