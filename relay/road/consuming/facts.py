"""Facts about reading from Kafka."""

from typing import Annotated, ClassVar

from relay.telemetry.facts import Counter, Fact, Level, Stage, fact


@fact
class KafkaSilent(Fact):
    """No broker has answered a fetch for a while; reading goes on by itself when one does.

    Said again every minute.
    """

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_kafka_silences_total", "Times the brokers were found silent."
    )

    seconds: Annotated[float, "For how long."]
    reason: Annotated[str, "The result of a new attempt to connect."]


@fact
class KafkaHeard(Fact):
    """A broker answers again."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    after_s: Annotated[float, "How long none did."]


@fact
class KafkaLoginRefused(Fact):
    """Kafka refuses our login or certificate; Relay reads their files again for every attempt.

    Said again every minute.
    """

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_kafka_logins_refused_total", "Times Kafka was found to refuse our login."
    )

    seconds: Annotated[float, "For how long."]
    reason: Annotated[str, "What Kafka says."]


@fact
class RecordsHeldBack(Fact):
    """A producer's transaction has been open for a minute; what lies behind it cannot be read.

    Said again every ten minutes.
    """

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_transactions_hanging_total", "Times records were found held back for a minute."
    )

    partitions: Annotated[tuple[str, ...], "Where, as topic-partition."]
    records: Annotated[int, "How many records lie behind it."]
    for_s: Annotated[float, "How long the oldest has been open, as far as Relay has seen it."]


@fact
class RecordsReleased(Fact):
    """The transactions that held records back for more than a minute have ended."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    after_s: Annotated[float, "How long after they were found."]


@fact
class TopicsAwaited(Fact):
    """Topics that are to be read do not exist yet; Relay waits for somebody to create them."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.CONSUMING

    topics: Annotated[tuple[str, ...], "Their names."]
    retry_in_s: Annotated[float, "When Relay looks again."]


@fact
class PatternMatchesNothing(Fact):
    """No topic matches the pattern, so nothing is read. Topics are found when they appear."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.CONSUMING

    pattern: Annotated[str, "`kafka.topic_pattern`, without dead-letter topics."]
    again_in_s: Annotated[float, "When this is said again, if nothing appears."]


@fact
class TopicGone(Fact):
    """A topic was deleted while it was read. Relay is not ready while a named topic is missing."""

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_topics_gone_total", "Times a topic was deleted while it was read."
    )

    topic: Annotated[str, "Its name."]
    records: Annotated[
        int, "Records in memory that were dropped: read, and not committed when it was deleted."
    ]


@fact
class TopicBack(Fact):
    """A topic that was gone exists again; it is read from its beginning."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    topic: Annotated[str, "Its name."]
    after_s: Annotated[float, "How long it was missing."]


@fact
class KafkaAccessRefused(Fact):
    """Kafka takes access to a topic or to the group away. Relay tries again until it is back."""

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_kafka_access_refused_total", "Times Kafka took access away while it was read."
    )

    reason: Annotated[str, "What Kafka refuses, and what to grant."]


@fact
class KafkaAccessRestored(Fact):
    """Kafka lets Relay read again."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    after_s: Annotated[float, "For how long it did not."]


@fact
class PositionLost(Fact):
    """The offset that was next is not in the log: deleted before it was read, or truncated."""

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_positions_lost_total", "Times Kafka had deleted what was to be read next."
    )

    partition: Annotated[str, "Whose, as topic-partition."]
    offset: Annotated[int, "The offset that was next."]
    resumed_at: Annotated[int, "The offset that is read instead (`kafka.auto_offset_reset`)."]
    gone: Annotated[int, "Offsets passed over; Kafka's retention is shorter than our lag was."]


@fact
class NewPartitionsWait(Fact):
    """Partitions were added to a topic; they wait until the group has passed the old ones.

    The keys of some users move to the new partitions, and what these users did before is still in
    the old ones.
    """

    stage: ClassVar[Stage] = Stage.CONSUMING

    partitions: Annotated[tuple[str, ...], "The new ones, as topic-partition."]
    records: Annotated[int, "Records in the old partitions that come first."]
    at_most_s: Annotated[float, "How long they wait at most (`kafka.new_partition_wait_s`)."]


@fact
class NewPartitionsRead(Fact):
    """Partitions that were added to a topic are read from their beginning now."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    partitions: Annotated[tuple[str, ...], "Which, as topic-partition."]
    after_s: Annotated[float, "How long they waited."]
    missing: Annotated[
        int, "Records of the old partitions that the group had not passed when the time was over."
    ]
