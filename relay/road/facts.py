"""Facts of every road from Kafka: its assignments, its commits, its start and its end."""

from enum import StrEnum
from typing import Annotated, Self

from relay.errors import KafkaError
from relay.model import Position
from relay.telemetry.facts import Alike, Counter, Fact, Level, Stage, fact


class Lifecycle(StrEnum):
    """What the process is doing; it only ever moves downwards in this list."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


@fact(closes_interval=True)
class LifecycleChanged(Fact):
    """A road changed its state: starting, running, draining, stopped."""

    road: Annotated[str, "`stream` or `segments`."]
    old: Annotated[Lifecycle, "Its state before."]
    new: Annotated[Lifecycle, "Its state now."]


@fact(
    stage=Stage.CONSUMING,
    counter=Counter("relay_rebalances_total", "Assignments of partitions received."),
)
class PartitionsAssigned(Fact):
    """The consumer group gave partitions to this process."""

    road: Annotated[str, "`stream` or `segments`."]
    partitions: Annotated[tuple[str, ...], "The new ones, as topic-partition."]
    epoch: Annotated[int, "Number of the assignment; outcomes of an older one are ignored."]


@fact(stage=Stage.CONSUMING)
class PartitionsRevoked(Fact):
    """The consumer group took partitions away; what was unsettled there will be read again."""

    road: Annotated[str, "`stream` or `segments`."]
    partitions: Annotated[tuple[str, ...], "The lost ones, as topic-partition."]
    unsettled: Annotated[int, "Records of theirs that had no fate yet."]


@fact(level=Level.WARNING, stage=Stage.CONSUMING)
class PartitionRewound(Fact):
    """Offsets went back: the log was truncated and written again. Its records count as new."""

    partition: Annotated[str, "Whose, as topic-partition."]
    expected: Annotated[int, "The offset that should have come next."]
    offset: Annotated[int, "The offset that came."]


@fact(
    level=Level.WARNING,
    stage=Stage.CONSUMING,
    counter=Counter("relay_kafka_errors_total", "Failed calls to Kafka.", ("code",)),
)
class KafkaUnavailable(Fact):
    """The broker does not answer or refuses for the moment; Relay keeps trying."""

    code: Annotated[str, "Name of the error, from a closed set."]
    reason: Annotated[str, "What Kafka's client says."]
    retry_in_s: Annotated[float, "When the next attempt is made."]

    @classmethod
    def of(cls, problem: KafkaError, retry_in_s: float) -> Self:
        """The fact of a failed call."""
        return cls(code=problem.code, reason=problem.problem, retry_in_s=retry_in_s)


@fact(
    level=Level.ERROR,
    stage=Stage.MAPPING,
    counter=Counter("relay_defects_total", "Records at which Relay failed by a defect of its own."),
    alike=Alike(by=("error",), example="position"),
)
class RecordDefective(Fact):
    """Relay failed at one record by a defect of its own: the record is dead-lettered. Report it."""

    position: Annotated[Position, "The record, as topic-partition-offset."]
    error: Annotated[str, "Type of the exception, without its text, which may hold data."]
    trace: Annotated[tuple[str, ...], "Where in the code, outermost first."]
    trace_id: Annotated[str, "Of the producer's trace, where the record has `traceparent`."] = ""


@fact(
    level=Level.WARNING,
    stage=Stage.SETTLING,
    counter=Counter("relay_commit_errors_total", "Commits that Kafka did not take.", ("code",)),
)
class CommitFailed(Fact):
    """Kafka did not take a commit; the next one holds all that this one held."""

    road: Annotated[str, "`stream` or `segments`."]
    code: Annotated[str, "`CommitRefused` when the partitions have moved on, else the error."]
    reason: Annotated[str, "What Kafka's client says."]


@fact(stage=Stage.SETTLING)
class CommitsRestored(Fact):
    """Kafka takes commits again, or what was to be committed has left with its partitions."""

    road: Annotated[str, "`stream` or `segments`."]
    after_s: Annotated[float, "How long it took none, in seconds."]


@fact(level=Level.ERROR, stage=Stage.SENDING)
class StillHeld(Fact):
    """Once a minute while nothing may be sent: the reason has not gone away."""

    road: Annotated[str, "`stream` or `segments`."]
    destination: Annotated[str, "Which of several is meant; empty: nothing may be sent."] = ""
    code: Annotated[str, "`held`, `down` or `dead_letter_topic`."]
    reason: Annotated[str, "What it means."]
    for_s: Annotated[float, "Since when, in seconds."]


@fact(
    level=Level.ERROR,
    counter=Counter(
        "relay_road_failures_total", "Roads that ended with an error.", ("road", "code")
    ),
    closes_interval=True,
)
class RoadFailed(Fact):
    """A road ended with an error and is started again; the others go on. Not ready meanwhile."""

    road: Annotated[str, "`stream` or `segments`."]
    code: Annotated[str, "Kind of error; `defect` is one of Relay's own."]
    reason: Annotated[str, "What is wrong, and what to do."]
    trace: Annotated[tuple[str, ...], "Of a defect: where in the code, outermost first."]
    restart_in_s: Annotated[float, "When it is started again, in seconds."]


@fact()
class DrainStarted(Fact):
    """A road was asked to stop: it reads no more and finishes what it has."""

    road: Annotated[str, "`stream` or `segments`."]
    reason: Annotated[
        str, "The signal (`SIGHUP` also: the supervisor is gone), or what else asked."
    ]
    unsettled: Annotated[int, "Records without a fate."]
    deadline_s: Annotated[float, "How long the whole stop may take."]


@fact(closes_interval=True)
class DrainEnded(Fact):
    """What was in memory is settled and committed, or will be read again after a restart."""

    road: Annotated[str, "`stream` or `segments`."]
    seconds: Annotated[float, "How long it took."]
    unsettled: Annotated[
        int, "Records without a fate that a restart reads again; 0 is a clean stop."
    ]
    uncommitted: Annotated[int, "Settled records that a restart repeats; 0 is a clean stop."]
