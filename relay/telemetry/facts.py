"""Everything that Relay says about itself: one frozen class per fact, in the order of the road.

A fact becomes one log line, and moves one counter where it declares one, so that the two cannot
disagree (`relay.telemetry.telemetry`). Loops and edges make facts and hand them to `emit`; they
know nothing of loggers or metrics. No fact holds personal data: positions, counts, codes from
closed sets, and reasons that were written here. docs/LOGS.md is generated from this file.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any, ClassVar, get_type_hints

from relay.model import DEFAULT_DESTINATION, DeadLetterClass, Position


class Level(StrEnum):
    """Severity of a fact: `error` means that somebody has to act."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Stage(StrEnum):
    """Which part of Relay logs it."""

    PROCESS = "process"
    CONSUMING = "consuming"
    DECODING = "decoding"
    MAPPING = "mapping"
    SENDING = "sending"
    SETTLING = "settling"


class Lifecycle(StrEnum):
    """What the process is doing; it only ever moves downwards in this list."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Counter:
    """The Prometheus counter that a fact moves by one.

    Records are not counted here: the stream's ledger does that, once (docs/METRICS.md).
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alike:
    """Which facts of a class are alike, where there may be one for every record.

    Only the first few of them are a line of their own (`relay.telemetry.repeats`).
    """

    by: tuple[str, ...]
    """Fields with values of a closed set."""
    example: str
    """The field that tells where one of them stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened. Its name in the logs is the class name in snake case."""

    level: ClassVar[Level] = Level.INFO
    stage: ClassVar[Stage] = Stage.PROCESS
    counter: ClassVar[Counter | None] = None
    alike: ClassVar[Alike | None] = None
    closes_interval: ClassVar[bool] = False
    """Facts that were only counted since the last one of these are told before it."""

    @classmethod
    def name(cls) -> str:
        """How the fact is called in a log line."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def described(cls) -> Iterator[tuple[str, str]]:
        """The fields of the log line, each with its description."""
        hints = get_type_hints(cls, include_extras=True)
        for known in fields(cls):
            yield _SAID_AS.get(known.name, known.name), hints[known.name].__metadata__[0]

    def log_fields(self) -> Iterator[tuple[str, Any]]:
        """The fields of the log line."""
        for known in fields(self):
            value = getattr(self, known.name)
            if value or known.name != "trace_id":  # of what nobody traces there is none
                yield _SAID_AS.get(known.name, known.name), value


# Field names that a log line spells as Python cannot.
_SAID_AS = {"cls": "class"}

Emit = Callable[[Fact], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayStarted(Fact):
    """The process begins; nothing has been read or sent yet."""

    version: Annotated[str, "Version of Relay."]
    group_id: Annotated[str, "Kafka consumer group."]
    topics: Annotated[str, "Topics or pattern that is read."]
    destination: Annotated[str, "Base address of the tracking API."]
    admin: Annotated[str, "Address of the admin port."]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged(Fact):
    """The settings file has other destinations or routes; they hold now, without a restart."""

    destinations: Annotated[str, "Names of the destinations that are new; empty where none is."]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsNotTaken(Fact):
    """The settings file has changed, and the settings that were read before go on."""

    level: ClassVar[Level] = Level.WARNING

    reason: Annotated[str, "What is wrong in the file, or the names of what needs a restart."]


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleChanged(Fact):
    """A road changed its state: starting, running, draining, stopped."""

    closes_interval: ClassVar[bool] = True

    road: Annotated[str, "`stream` or `segments`."]
    old: Annotated[Lifecycle, "Its state before."]
    new: Annotated[Lifecycle, "Its state now."]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsAssigned(Fact):
    """The consumer group gave partitions to this process."""

    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_rebalances_total", "Assignments of partitions received."
    )

    road: Annotated[str, "`stream` or `segments`."]
    partitions: Annotated[tuple[str, ...], "The new ones, as topic-partition."]
    epoch: Annotated[int, "Number of the assignment; outcomes of an older one are ignored."]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsRevoked(Fact):
    """The consumer group took partitions away; what was unsettled there will be read again."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    road: Annotated[str, "`stream` or `segments`."]
    partitions: Annotated[tuple[str, ...], "The lost ones, as topic-partition."]
    unsettled: Annotated[int, "Records of theirs that had no fate yet."]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaUnavailable(Fact):
    """The broker does not answer or refuses for the moment; Relay keeps trying."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_kafka_errors_total", "Failed calls to Kafka.", ("code",)
    )

    code: Annotated[str, "Name of the error, from a closed set."]
    reason: Annotated[str, "What Kafka's client says."]
    retry_in_s: Annotated[float, "When the next attempt is made."]


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaHeard(Fact):
    """A broker answers again."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    after_s: Annotated[float, "How long none did."]


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsReleased(Fact):
    """The transactions that held records back for more than a minute have ended."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    after_s: Annotated[float, "How long after they were found."]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsAwaited(Fact):
    """Topics that are to be read do not exist yet; Relay waits for somebody to create them."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.CONSUMING

    topics: Annotated[tuple[str, ...], "Their names."]
    retry_in_s: Annotated[float, "When Relay looks again."]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternMatchesNothing(Fact):
    """No topic matches the pattern, so nothing is read. Topics are found when they appear."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.CONSUMING

    pattern: Annotated[str, "`kafka.topic_pattern`, without dead-letter topics."]
    again_in_s: Annotated[float, "When this is said again, if nothing appears."]


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicBack(Fact):
    """A topic that was gone exists again; it is read from its beginning."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    topic: Annotated[str, "Its name."]
    after_s: Annotated[float, "How long it was missing."]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccessRefused(Fact):
    """Kafka takes access to a topic or to the group away. Relay tries again until it is back."""

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_kafka_access_refused_total", "Times Kafka took access away while it was read."
    )

    reason: Annotated[str, "What Kafka refuses, and what to grant."]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccessRestored(Fact):
    """Kafka lets Relay read again."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    after_s: Annotated[float, "For how long it did not."]


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPartitionsWait(Fact):
    """Partitions were added to a topic; they wait until the group has passed the old ones.

    The keys of some users move to the new partitions, and what these users did before is still in
    the old ones.
    """

    stage: ClassVar[Stage] = Stage.CONSUMING

    partitions: Annotated[tuple[str, ...], "The new ones, as topic-partition."]
    records: Annotated[int, "Records in the old partitions that come first."]
    at_most_s: Annotated[float, "How long they wait at most (`kafka.new_partition_wait_s`)."]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPartitionsRead(Fact):
    """Partitions that were added to a topic are read from their beginning now."""

    stage: ClassVar[Stage] = Stage.CONSUMING

    partitions: Annotated[tuple[str, ...], "Which, as topic-partition."]
    after_s: Annotated[float, "How long they waited."]
    missing: Annotated[
        int, "Records of the old partitions that the group had not passed when the time was over."
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataIgnored(Fact):
    """A commit's metadata could not be used: what is finished beyond the offset is sent again."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.CONSUMING
    counter: ClassVar[Counter | None] = Counter(
        "relay_metadata_ignored_total", "Commit metadata not understood."
    )

    partition: Annotated[str, "Whose, as topic-partition."]
    reason: Annotated[str, "Why: another writer, another version, damage."]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionRewound(Fact):
    """Offsets went back: the log was truncated and written again. Its records count as new."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.CONSUMING

    partition: Annotated[str, "Whose, as topic-partition."]
    expected: Annotated[int, "The offset that should have come next."]
    offset: Annotated[int, "The offset that came."]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsSkipped(Fact):
    """Records were not sent by choice, since the last line of this kind and code."""

    stage: ClassVar[Stage] = Stage.MAPPING

    code: Annotated[str, "Which choice, from a closed set."]
    count: Annotated[int, "How many."]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationHeld(Fact):
    """The API refuses the token, the datamart or the endpoint: nothing is sent until it is fixed.

    Nothing is lost and no attempt is counted; Relay is not ready and tries again by itself.
    """

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.SENDING
    counter: ClassVar[Counter | None] = Counter(
        "relay_holds_total", "Times a destination was held.", ("destination", "code")
    )

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `all`, or the route alone (`activity`, `user_point`)."]
    code: Annotated[str, "What came back, as `http_401`."]
    reason: Annotated[str, "What it means."]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationDown(Fact):
    """The API does not answer, or answers that it cannot: Relay waits and probes."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.SENDING
    counter: ClassVar[Counter | None] = Counter(
        "relay_outages_total", "Times the API was found down.", ("destination", "code")
    )

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `all`, or the route alone (`activity`, `user_point`)."]
    code: Annotated[str, "What came back, as `http_503`, `timeout`, `connect`."]
    reason: Annotated[str, "What it says, or why there is no answer."]
    probe_in_s: Annotated[float, "When the next attempt is made."]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationThrottled(Fact):
    """The API asked for a pause; all requests to it wait."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.SENDING
    counter: ClassVar[Counter | None] = Counter(
        "relay_throttles_total", "Pauses that the API asked for.", ("destination",)
    )

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `all`, or the route alone (`activity`, `user_point`)."]
    code: Annotated[str, "What came back, as `http_429`."]
    pause_s: Annotated[float, "How long Relay waits."]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationResumed(Fact):
    """Sending goes on after a hold or an outage."""

    stage: ClassVar[Stage] = Stage.SENDING

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `all`, or the route alone (`activity`, `user_point`)."]
    after_s: Annotated[float, "How long nothing was delivered."]


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleIsolated(Fact):
    """The API failed one record, or slowed one user, and accepts others: only that one waits."""

    stage: ClassVar[Stage] = Stage.SENDING
    counter: ClassVar[Counter | None] = Counter(
        "relay_troubles_isolated_total",
        "Failed attempts that were about one record or user only.",
        ("destination", "scope", "code"),
    )
    alike: ClassVar[Alike | None] = Alike(by=("destination", "scope", "code"), example="position")

    destination: Annotated[str, "Its name in the settings."] = DEFAULT_DESTINATION
    scope: Annotated[str, "What is meant: `record` or `user`."]
    code: Annotated[str, "What came back, as `http_403`."]
    reason: Annotated[str, "What it says, or why there is no answer."]
    position: Annotated[Position, "Which record, as topic-partition-offset."]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReloaded(Fact):
    """The file with the API token changed and was read again."""

    stage: ClassVar[Stage] = Stage.SENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryUnavailable(Fact):
    """A schema cannot be had: the partitions whose next record needs it wait; all others go on.

    Nothing is lost; Relay is not ready and asks again by itself. Records whose schema is known go
    on. Where the reason names credentials, an address or a package, somebody has to act.
    """

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.DECODING
    counter: ClassVar[Counter | None] = Counter(
        "relay_registry_outages_total", "Times the schema registry could not be asked."
    )

    reason: Annotated[str, "What came back, or that nothing did."]
    refused: Annotated[bool, "Whether it refuses: then waiting alone does not help."]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAvailable(Fact):
    """The schema registry answers again, and the partitions that waited go on."""

    stage: ClassVar[Stage] = Stage.DECODING

    held_s: Annotated[float, "How long it could not be asked."]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDeadLettered(Fact):
    """A record could not be delivered and now lies, unchanged, in the dead-letter topic."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.SETTLING
    alike: ClassVar[Alike | None] = Alike(by=("cls", "code"), example="position")

    position: Annotated[Position, "Where the record stands, as topic-partition-offset."]
    cls: Annotated[DeadLetterClass, "The stage that found the problem."]
    code: Annotated[str, "Why, from a closed set."]
    reason: Annotated[str, "Why, in words; names the field, never its value."]
    status: Annotated[int, "HTTP status of the last attempt, 0 without one."]
    attempts: Annotated[int, "How often it was sent."]
    trace_id: Annotated[str, "Of the producer's trace, where the record has `traceparent`."] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterTruncated(Fact):
    """A dead letter was larger than its topic takes; only the beginning of its value was kept.

    The envelope has the size and the hash of the value. It cannot be replayed
    (`dead_letter.too_large`).
    """

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.SETTLING
    counter: ClassVar[Counter | None] = Counter(
        "relay_dead_letters_truncated_total", "Dead letters of which only a part could be kept."
    )

    position: Annotated[Position, "Where the record stands, as topic-partition-offset."]
    topic: Annotated[str, "The dead-letter topic."]
    value_bytes: Annotated[int, "Size of the value."]
    kept_bytes: Annotated[int, "How much of it was written."]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettersReplayed(Fact):
    """Dead letters were sent again from the page; their records are in their topics now."""

    stage: ClassVar[Stage] = Stage.SETTLING

    count: Annotated[int, "How many."]
    topics: Annotated[str, "Where they were written, separated by commas."]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterTopicCreated(Fact):
    """A dead-letter topic did not exist and was created (`dead_letter.create`)."""

    stage: ClassVar[Stage] = Stage.SETTLING

    topic: Annotated[str, "Its name."]
    partitions: Annotated[int, "Its partitions."]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterTopicUnavailable(Fact):
    """A dead letter cannot be written; its partition waits, because its offset must not pass."""

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.SETTLING
    counter: ClassVar[Counter | None] = Counter(
        "relay_dead_letter_errors_total", "Failed writes to the dead-letter topic.", ("code",)
    )

    code: Annotated[str, "Name of the error, from a closed set."]
    reason: Annotated[str, "What Kafka's client says."]
    retry_in_s: Annotated[float, "When the next attempt is made."]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterTopicRestored(Fact):
    """Dead letters are written again, and what waited for them goes on."""

    stage: ClassVar[Stage] = Stage.SETTLING

    after_s: Annotated[float, "How long none was, in seconds."]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamProgress(Fact):
    """What happened since the last line of this kind, and the state now."""

    stage: ClassVar[Stage] = Stage.SETTLING
    closes_interval: ClassVar[bool] = True

    seconds: Annotated[float, "Since the last line of this kind."]
    received: Annotated[int, "Records read in that time."]
    delivered: Annotated[int, "Records that the API accepted."]
    dead_lettered: Annotated[int, "Records written to the dead-letter topic."]
    skipped: Annotated[int, "Records not sent by choice."]
    requests: Annotated[int, "Attempts over HTTP."]
    retries: Annotated[int, "Attempts that were not the first of their record."]
    partitions: Annotated[int, "Partitions assigned."]
    paused: Annotated[int, "Partitions not read for the moment, because enough is in memory."]
    in_flight: Annotated[int, "Requests under way."]
    waiting: Annotated[int, "Records in memory that wait for their turn."]
    limit: Annotated[int, "Maximum requests under way at the moment."]
    lag: Annotated[int, "Records that are not settled: not read yet, or without a fate."]
    oldest_s: Annotated[float, "Age in memory of the oldest record without a fate."]
    round_trip_p50_ms: Annotated[float, "Half of the requests were answered faster."]
    round_trip_p99_ms: Annotated[float, "All but a hundredth of the requests were answered faster."]
    lateness_p50_s: Annotated[float, "Half of the deliveries came sooner after production."]
    lateness_p99_s: Annotated[float, "All but a hundredth of the deliveries came sooner."]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitFailed(Fact):
    """Kafka did not take a commit; the next one holds all that this one held."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.SETTLING
    counter: ClassVar[Counter | None] = Counter(
        "relay_commit_errors_total", "Commits that Kafka did not take.", ("code",)
    )

    road: Annotated[str, "`stream` or `segments`."]
    code: Annotated[str, "`CommitRefused` when the partitions have moved on, else the error."]
    reason: Annotated[str, "What Kafka's client says."]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitsRestored(Fact):
    """Kafka takes commits again, or what was to be committed has left with its partitions."""

    stage: ClassVar[Stage] = Stage.SETTLING

    road: Annotated[str, "`stream` or `segments`."]
    after_s: Annotated[float, "How long it took none, in seconds."]


@dataclass(frozen=True, slots=True, kw_only=True)
class StillHeld(Fact):
    """Once a minute while nothing may be sent: the reason has not gone away."""

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.SENDING

    road: Annotated[str, "`stream` or `segments`."]
    destination: Annotated[str, "Which of several is meant; empty: nothing may be sent."] = ""
    code: Annotated[str, "`held`, `down` or `dead_letter_topic`."]
    reason: Annotated[str, "What it means."]
    for_s: Annotated[float, "Since when, in seconds."]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadFailed(Fact):
    """A road ended with an error and is started again; the others go on. Not ready meanwhile."""

    level: ClassVar[Level] = Level.ERROR
    counter: ClassVar[Counter | None] = Counter(
        "relay_road_failures_total", "Roads that ended with an error.", ("road", "code")
    )
    closes_interval: ClassVar[bool] = True

    road: Annotated[str, "`stream` or `segments`."]
    code: Annotated[str, "Kind of error; `defect` is one of Relay's own."]
    reason: Annotated[str, "What is wrong, and what to do."]
    trace: Annotated[tuple[str, ...], "Of a defect: where in the code, outermost first."]
    restart_in_s: Annotated[float, "When it is started again, in seconds."]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDefective(Fact):
    """Relay failed at one record by a defect of its own: the record is dead-lettered. Report it."""

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.MAPPING
    counter: ClassVar[Counter | None] = Counter(
        "relay_defects_total", "Records at which Relay failed by a defect of its own."
    )
    alike: ClassVar[Alike | None] = Alike(by=("error",), example="position")

    position: Annotated[Position, "The record, as topic-partition-offset."]
    error: Annotated[str, "Type of the exception, without its text, which may hold data."]
    trace: Annotated[tuple[str, ...], "Where in the code, outermost first."]
    trace_id: Annotated[str, "Of the producer's trace, where the record has `traceparent`."] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainStarted(Fact):
    """A road was asked to stop: it reads no more and finishes what it has."""

    road: Annotated[str, "`stream` or `segments`."]
    reason: Annotated[
        str, "The signal (`SIGHUP` also: the supervisor is gone), or what else asked."
    ]
    unsettled: Annotated[int, "Records without a fate."]
    deadline_s: Annotated[float, "How long the whole stop may take."]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainEnded(Fact):
    """What was in memory is settled and committed, or will be read again after a restart."""

    closes_interval: ClassVar[bool] = True

    road: Annotated[str, "`stream` or `segments`."]
    seconds: Annotated[float, "How long it took."]
    unsettled: Annotated[
        int, "Records without a fate that a restart reads again; 0 is a clean stop."
    ]
    uncommitted: Annotated[int, "Settled records that a restart repeats; 0 is a clean stop."]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipStarted(Fact):
    """Membership events are read, too, by a consumer group of their own."""

    group_id: Annotated[str, "The consumer group."]
    imports: Annotated[str, "What the document imports are called, before the hour."]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipImportStarted(Fact):
    """A file of segment commands was uploaded; its execution is under way."""

    stage: ClassVar[Stage] = Stage.SENDING

    execution: Annotated[str, "The platform's id of the execution."]
    commands: Annotated[int, "Lines of the file."]
    size_bytes: Annotated[int, "Bytes of the file."]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipImportAdopted(Fact):
    """The answer to an upload was lost; its execution was found by other means."""

    level: ClassVar[Level] = Level.WARNING
    stage: ClassVar[Stage] = Stage.SENDING

    execution: Annotated[str, "The platform's id of the execution."]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipImportEnded(Fact):
    """An execution ended."""

    stage: ClassVar[Stage] = Stage.SENDING
    counter: ClassVar[Counter | None] = Counter(
        "relay_membership_imports_total", "Executions that ended.", ("outcome",)
    )

    execution: Annotated[str, "The platform's id of the execution."]
    status: Annotated[str, "What the platform calls its end."]
    outcome: Annotated[
        str,
        "`landed`: every line was taken or rejected; `unclear`: nothing says which were "
        "rejected, so they are sent again in smaller files; `failed`: all are sent again.",
    ]
    commands: Annotated[int, "Lines of the file."]
    rejected: Annotated[int, "Lines that the platform counts as rejected."]
    seconds: Annotated[float, "From the writing of the file to its end."]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipHeld(Fact):
    """A file cannot be sent: the platform is away, or refuses the token, the datamart or the call.

    Nothing is lost and nothing counts against a record; it is tried again by itself.
    """

    level: ClassVar[Level] = Level.ERROR
    stage: ClassVar[Stage] = Stage.SENDING
    counter: ClassVar[Counter | None] = Counter(
        "relay_membership_holds_total", "Files that could not be sent.", ("code",)
    )

    code: Annotated[str, "Name of the error, from a closed set."]
    reason: Annotated[str, "What it means."]
    retry_in_s: Annotated[float, "When the next attempt is made."]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipResumed(Fact):
    """A file was taken again after a hold."""

    stage: ClassVar[Stage] = Stage.SENDING

    after_s: Annotated[float, "How long none was."]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipProgress(Fact):
    """What happened to membership events since the last line of this kind, and the state now."""

    stage: ClassVar[Stage] = Stage.SETTLING
    closes_interval: ClassVar[bool] = True

    seconds: Annotated[float, "Since the last line of this kind."]
    received: Annotated[int, "Membership events read in that time."]
    delivered: Annotated[int, "Events whose every change was imported."]
    dead_lettered: Annotated[int, "Events written to the dead-letter topic."]
    skipped: Annotated[int, "Membership events not sent by choice, or settled before a restart."]
    commands: Annotated[int, "Lines sent."]
    waiting: Annotated[int, "Members whose change waits for the next file."]
    in_trouble: Annotated[int, "Members whose file failed; they are sent again in smaller files."]
    flying: Annotated[int, "Lines under way."]
    unsettled: Annotated[int, "Events without a fate."]
    lag: Annotated[int, "Records of all kinds that were not read yet."]
    oldest_s: Annotated[float, "How long the oldest event has had no fate."]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted(Fact):
    """A worker process was started."""

    worker: Annotated[int, "Its number, from 0; its admin port is that much higher."]
    pid: Annotated[int, "Its process id."]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnded(Fact):
    """A worker process ended without being asked to."""

    level: ClassVar[Level] = Level.ERROR

    worker: Annotated[int, "Its number."]
    status: Annotated[int, "Its exit status; negative: the signal that killed it."]
    restart_in_s: Annotated[float, "When it is started again; 0: not, and the others end too."]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowDiffers(Fact):
    """The second mapping of a source (`shadow`) makes something else than the one that counts.

    One line for each source between two lines of progress. Nothing of it is sent.
    """

    source: Annotated[str, "The topics of the source, as the settings name them."]
    differing: Annotated[int, "Documents of which they made different things, since the last line."]
    documents: Annotated[int, "Documents that both have mapped, since the start."]
    fields: Annotated[str, "What differs, each with its count since the start."]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRepeated(Fact):
    """There were more facts alike than are written whole: ten, between two lines of progress."""

    level: ClassVar[Level] = Level.WARNING

    of: Annotated[str, "Name of the facts."]
    kind: Annotated[str, "What they have in common; of dead letters class and code."]
    count: Annotated[int, "How many more there were than were written."]
    example: Annotated[str, "Where the first of these stands, as topic-partition-offset."]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLinesLost(Fact):
    """Lines of this log were lost: nobody read it for a while, or it could not be written.

    Nothing else waited for it. `relay_log_lines_lost_total` counts them at once.
    """

    level: ClassVar[Level] = Level.WARNING

    lines: Annotated[int, "How many, since the last line of this kind."]


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryLogged(Fact):
    """A library logged something; its text is shortened, without what may be personal."""

    level: ClassVar[Level] = Level.WARNING

    logger: Annotated[str, "Name of the library's logger."]
    text: Annotated[str, "Its message."]
    repeated: Annotated[int, "How many similar messages have no line of their own."] = 0


def all_facts() -> list[type[Fact]]:
    """Every fact there is, in the order of this file."""
    return [
        value for value in globals().values() if isinstance(value, type) and issubclass(value, Fact)
    ][1:]
