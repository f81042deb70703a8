"""The cluster, the topics, the consumer group and the dead-letter topic, looked at from outside.

Nothing is written and no group is joined: reading is tried by a consumer that belongs to none.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from relay.checks.finding import Finding, Level, failure, ok, warning
from relay.checks.keys import check_keys
from relay.errors import KafkaError, RelayError, TopicMissing
from relay.kafka_client.build import has_compiled_parser, require_codecs
from relay.kafka_client.errors import translated
from relay.kafka_client.options import client_options
from relay.kafka_client.producer import Producer
from relay.kafka_client.reach import Cluster, reach
from relay.kafka_client.topic_configs import topic_configs
from relay.road.consuming.consumer_internals import ConsumerInternals
from relay.road.consuming.policy import ConsumerPolicy, MissingTopics
from relay.road.consuming.topics import reading_pattern
from relay.road.settling.dead_letter_policy import DeadLetterPolicy, TooLarge
from relay.settings.dead_letter import DeadLetterSettings
from relay.settings.kafka import KafkaSettings
from relay.stream.interpret import OrderBy
from relay.wording import counted

_ENVELOPE_BYTES = 4096
"""About what the headers of a dead letter add to its record."""
_AS_GOOD = ("producer", "zstd", "gzip")
"""Kinds of `compression.type` that keep a letter about as small as its record came."""
_WEEK_MS = 7 * 24 * 3600 * 1000  # somebody may be away for as long


async def check_kafka(
    kafka: KafkaSettings, dead_letter: DeadLetterSettings, order_by: OrderBy
) -> AsyncIterator[Finding]:
    """Everything about Kafka, from the installation to the dead-letter topic."""
    try:
        require_codecs()
        policy = kafka.consumer(dead_letter.topic)
        dead_letters = dead_letter.policy(kafka)
        cluster = await reach(policy.client)
    except RelayError as error:
        yield failure("kafka", error)
        return
    for finding in _about_cluster(policy, cluster):
        yield finding
    topics = _topics(policy, cluster)
    for finding in _about_topics(policy, cluster, topics):
        yield finding
    readable = [topic for topic in topics if topic in cluster.topics]
    if readable:
        finding = await _about_reading(policy, cluster, readable)
        yield finding
        if finding.level is not Level.FAIL:
            partitions = {topic: cluster.topics[topic] for topic in readable}
            async for about_keys in check_keys(policy.client, partitions, order_by):
                yield about_keys
    async for finding in _about_dead_letters(dead_letters, cluster, readable):
        yield finding


def _about_cluster(policy: ConsumerPolicy, cluster: Cluster) -> list[Finding]:
    count = len(cluster.brokers)
    how = policy.client.protocol
    if policy.client.sasl is not None:
        how += f", {policy.client.sasl.mechanism}"
    where = policy.client.bootstrap_servers
    findings = [ok("kafka", f"{count} broker{'s' * (count > 1)} at {where} ({how})")]
    findings += [
        warning("kafka", str(broker.problem), "check advertised.listeners and the network")
        for broker in cluster.brokers
        if broker.problem is not None
    ]
    if not has_compiled_parser():
        findings.append(
            warning(
                "kafka",
                "aiokafka's compiled extension is not loaded: reading is 40 to 90 times slower",
                "install a wheel of aiokafka for this Python, unset AIOKAFKA_NO_EXTENSIONS",
            )
        )
    return findings


def _topics(policy: ConsumerPolicy, cluster: Cluster) -> list[str]:
    pattern = reading_pattern(policy)
    if pattern is None:
        return list(policy.topics)
    return sorted(topic for topic in cluster.topics if re.match(pattern, topic))


def _about_topics(policy: ConsumerPolicy, cluster: Cluster, topics: Sequence[str]) -> list[Finding]:
    findings = []
    for topic in topics:
        subject = f"topic {topic}"
        if topic in cluster.topics:
            findings.append(ok(subject, f"{cluster.topics[topic]} partitions"))
        elif policy.missing_topics is MissingTopics.WAIT:
            findings.append(warning(subject, "not found; relay would wait for it", "create it"))
        else:
            missing = TopicMissing("not found", hint="create it, or grant DESCRIBE (ACLs)")
            findings.append(failure(subject, missing))
    if not topics:
        findings.append(
            warning("topics", "none matches kafka.topic_pattern", "new ones are found later")
        )
    return findings


async def _about_reading(
    policy: ConsumerPolicy, cluster: Cluster, topics: Sequence[str]
) -> Finding:
    subject = f"group {policy.group_id}"
    partitions = [TopicPartition(t, n) for t in topics for n in range(cluster.topics[t])]
    consumer = AIOKafkaConsumer(
        **client_options(policy.client),
        group_id=policy.group_id,
        enable_auto_commit=False,  # looking must not move anything
        auto_offset_reset="latest",
    )
    try:
        with translated("reading"):
            await consumer.start()
            consumer.assign(partitions)  # by hand: the group is not joined
            await ConsumerInternals(consumer).try_group()
            committed = [await consumer.committed(tp) for tp in partitions]
            ends = await consumer.end_offsets(partitions)
            starts = await consumer.beginning_offsets(partitions)
            for tp in partitions:
                consumer.seek(tp, ends[tp])
            await consumer.getmany(timeout_ms=500)
    except KafkaError as error:
        return failure(subject, error)
    finally:
        await consumer.stop()
    lag = sum(
        max(0, ends[tp] - (starts[tp] if offset is None else max(offset, starts[tp])))
        for tp, offset in zip(partitions, committed, strict=True)
    )
    known = sum(offset is not None for offset in committed)
    waiting, all_of_them = counted(lag, "record"), counted(len(partitions), "partition")
    return ok(subject, f"may read; {waiting} wait, {known} of {all_of_them} have offsets")


async def _about_dead_letters(
    policy: DeadLetterPolicy, cluster: Cluster, sources: Sequence[str]
) -> AsyncIterator[Finding]:
    try:
        async with Producer(policy.client):
            pass
    except KafkaError as error:
        yield failure("dead letters", error)
        return
    try:
        configs = await topic_configs(
            policy.client,
            sorted({t for s in sources for t in (s, policy.topic_for(s)) if t in cluster.topics}),
        )
    except KafkaError as error:
        configs = {}
        yield warning("dead letters", error.problem, "grant DESCRIBE_CONFIGS to have them checked")
    for source in sources:
        topic = policy.topic_for(source)
        subject = f"topic {topic}"
        if topic in cluster.topics:
            for finding in _about_dead_letter_topic(policy, configs, source, topic):
                yield finding
        elif policy.create:
            yield ok(subject, "not there yet; relay creates it")
        else:
            missing = TopicMissing("not found", hint="create it, or set dead_letter.create to true")
            yield failure(subject, missing)


def _about_dead_letter_topic(
    policy: DeadLetterPolicy, configs: Mapping[str, Mapping[str, str]], source: str, topic: str
) -> list[Finding]:
    findings = []
    subject = f"topic {topic}"
    config = configs.get(topic, {})
    if "compact" in config.get("cleanup.policy", ""):
        findings.append(
            warning(
                subject,
                "is compacted: of dead letters with one key only the last stays",
                "set cleanup.policy=delete",
            )
        )
    if 0 <= int(config.get("retention.ms", -1)) < _WEEK_MS:
        findings.append(
            warning(
                subject, "keeps dead letters for less than a week", "raise retention.ms, or set -1"
            )
        )
    too_large = _too_large(configs.get(source, {}), config, source)
    if too_large is not None:
        what = "would be truncated"
        if policy.too_large is TooLarge.HOLD:
            what = "would hold the stream"
        findings.append(warning(subject, f"{too_large[0]}: a dead letter {what}", too_large[1]))
    return findings or [ok(subject, "takes dead letters")]


def _too_large(
    source: Mapping[str, str], topic: Mapping[str, str], name: str
) -> tuple[str, str] | None:
    """Why a dead letter may be larger than its topic takes, and what to do.

    Both topics limit what is left after compression. Letters are compressed well, but a topic may
    store them otherwise than they come, and then its limit is about that.
    """
    # Two ways in which a letter may not fit:
    #
    #     the topic's limit is below the source's, or as high  the envelope adds to the record
    #     the topic compresses otherwise than the letter came  the limit is about what that makes
    largest = int(source.get("max.message.bytes", 0))
    room = int(topic.get("max.message.bytes", largest + _ENVELOPE_BYTES))
    if room < largest + _ENVELOPE_BYTES:
        return (
            f"takes records up to {room} bytes after compression, {name} up to {largest}",
            f"set max.message.bytes={largest + _ENVELOPE_BYTES} or more",
        )
    stores = topic.get("compression.type", "producer")
    if largest and stores not in _AS_GOOD:
        how = f"compression.type={stores}, which can take more room than in {name}"
        return f"stores records with {how}", "set compression.type=producer"
    return None
