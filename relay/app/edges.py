"""Where the records of a road come from, and where its dead letters go."""

from dataclasses import dataclass, replace

from relay.road.consuming.kafka import KafkaSource
from relay.road.consuming.source import RecordSource
from relay.road.letter_writer import DeadLetterSink
from relay.road.settling.dead_letter_topic import DeadLetterTopic
from relay.settings import Settings
from relay.stream.interpret import OrderBy
from relay.telemetry.facts import Emit


@dataclass(frozen=True, slots=True)
class KafkaEdges:
    """Those of one road."""

    source: RecordSource
    sink: DeadLetterSink


def kafka_edges(settings: Settings, emit: Emit) -> KafkaEdges:
    """The stream's: the topics and the dead-letter topic of the settings."""
    letters = settings.dead_letter.policy(settings.kafka)
    consumer = settings.kafka.consumer(settings.dead_letter.topic)
    consumer = replace(consumer, shares_rate=settings.shares_rate)
    if settings.delivery.order_by not in {OrderBy.USER, OrderBy.KEY}:
        consumer = replace(consumer, new_partition_wait_s=0.0)
    return KafkaEdges(KafkaSource(consumer, emit), DeadLetterTopic(letters, emit))


def membership_edges(settings: Settings, emit: Emit) -> KafkaEdges:
    """Those of membership events: the same topics, by a consumer group of their own."""
    consumer = settings.kafka.consumer(settings.dead_letter.topic)
    instance = consumer.group_instance_id
    own = replace(
        consumer,
        group_id=settings.segments.membership_group(consumer.group_id),
        group_instance_id=None if instance is None else f"{instance}-segments",
        # A new owner waits until nothing is under way in the group (`Importer.wait_for_others`),
        # which never comes while the other members go on.
        keeps_partitions=False,
    )
    letters = settings.dead_letter.policy(settings.kafka)
    return KafkaEdges(KafkaSource(own, emit), DeadLetterTopic(letters, emit))
