"""Facts about reading from Kafka."""

from typing import Annotated

from relay.telemetry.facts import Counter, Fact, Level, Stage, fact


@fact(
    level=Level.WARNING,
    stage=Stage.CONSUMING,
    counter=Counter("relay_kafka_silences_total", "Times the brokers were found silent."),
)
class KafkaSilent(Fact):
    """No broker has answered a fetch for a while; reading goes on by itself when one does.

    Said again every minute.
    """

    seconds: Annotated[float, "For how long."]
    reason: Annotated[str, "The result of a new attempt to connect."]


@fact(stage=Stage.CONSUMING)
class KafkaHeard(Fact):
    """A broker answers again."""

    after_s: Annotated[float, "How long none did."]


@fact(
    level=Level.ERROR,
    stage=Stage.CONSUMING,
    counter=Counter(
        "relay_kafka_logins_refused_total", "Times Kafka was found to refuse our login."
    ),
)
class KafkaLoginRefused(Fact):
    """Kafka refuses our login or certificate; Relay reads their files again for every attempt.

    Said again every minute.
    """

    seconds: Annotated[float, "For how long."]
    reason: Annotated[str, "What Kafka says."]


@fact(
    level=Level.WARNING,
    stage=Stage.CONSUMING,
    counter=Counter(
        "relay_transactions_hanging_total", "Times records were found held back for a minute."
    ),
)
class RecordsHeldBack(Fact):
    """A producer's transaction has been open for a minute; what lies behind it cannot be read.

    Said again every ten minutes.
    """

    partitions: Annotated[tuple[str, ...], "Where, as topic-partition."]
    records: Annotated[int, "How many records lie behind it."]
    for_s: Annotated[float, "How long the oldest has been open, as far as Relay has seen it."]


@fact(stage=Stage.CONSUMING)
class RecordsReleased(Fact):
    """The transactions that held records back for more than a minute have ended."""

    after_s: Annotated[float, "How long after they were found."]


@fact(level=Level.WARNING, stage=Stage.CONSUMING)
class TopicsAwaited(Fact):
    """Topics that are to be read do not exist yet; Relay waits for somebody to create them."""

    topics: Annotated[tuple[str, ...], "Their names."]
    retry_in_s: Annotated[float, "When Relay looks again."]


@fact(level=Level.WARNING, stage=Stage.CONSUMING)
class PatternMatchesNothing(Fact):
    """No topic matches the pattern, so nothing is read. Topics are found when they appear."""

    pattern: Annotated[str, "`kafka.topic_pattern`, without dead-letter topics."]
    again_in_s: Annotated[float, "When this is said again, if nothing appears."]


@fact(
    level=Level.ERROR,
    stage=Stage.CONSUMING,
    counter=Counter("relay_topics_gone_total", "Times a topic was deleted while it was read."),
)
class TopicGone(Fact):
    """A topic was deleted while it was read. Relay is not ready while a named topic is missing."""

    topic: Annotated[str, "Its name."]
    records: Annotated[
        int, "Records in memory that were dropped: read, and not committed when it was deleted."
    ]


@fact(stage=Stage.CONSUMING)
class TopicBack(Fact):
    """A topic that was gone exists again; it is read from its beginning."""

    topic: Annotated[str, "Its name."]
    after_s: Annotated[float, "How long it was missing."]


@fact(
    level=Level.ERROR,
    stage=Stage.CONSUMING,
    counter=Counter(
        "relay_kafka_access_refused_total", "Times Kafka took access away while it was read."
    ),
)
class KafkaAccessRefused(Fact):
    """Kafka takes access to a topic or to the group away. Relay tries again until it is back."""

    reason: Annotated[str, "What Kafka refuses, and what to grant."]


@fact(stage=Stage.CONSUMING)
class KafkaAccessRestored(Fact):
    """Kafka lets Relay read again."""

    after_s: Annotated[float, "For how long it did not."]


@fact(
    level=Level.ERROR,
    stage=Stage.CONSUMING,
    counter=Counter(
        "relay_positions_lost_total", "Times Kafka had deleted what was to be read next."
    ),
)
class PositionLost(Fact):
    """The offset that was next is not in the log: deleted before it was read, or truncated."""

    partition: Annotated[str, "Whose, as topic-partition."]
    offset: Annotated[int, "The offset that was next."]
    resumed_at: Annotated[int, "The offset that is read instead (`kafka.auto_offset_reset`)."]
    gone: Annotated[int, "Offsets passed over; Kafka's retention is shorter than our lag was."]


@fact(stage=Stage.CONSUMING)
class NewPartitionsWait(Fact):
    """Partitions were added to a topic; they wait until the group has passed the old ones.

    The keys of some users move to the new partitions, and what these users did before is still in
    the old ones.
    """

    partitions: Annotated[tuple[str, ...], "The new ones, as topic-partition."]
    records: Annotated[int, "Records in the old partitions that come first."]
    at_most_s: Annotated[float, "How long they wait at most (`kafka.new_partition_wait_s`)."]


@fact(stage=Stage.CONSUMING)
class NewPartitionsRead(Fact):
    """Partitions that were added to a topic are read from their beginning now."""

    partitions: Annotated[tuple[str, ...], "Which, as topic-partition."]
    after_s: Annotated[float, "How long they waited."]
    missing: Annotated[
        int, "Records of the old partitions that the group had not passed when the time was over."
    ]
