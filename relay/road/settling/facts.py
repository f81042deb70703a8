"""Facts about the metadata of commits and the dead-letter topic."""

from typing import Annotated

from relay.model import Position
from relay.telemetry.facts import Counter, Fact, Level, Stage, fact


@fact(
    level=Level.WARNING,
    stage=Stage.CONSUMING,
    counter=Counter("relay_metadata_ignored_total", "Commit metadata not understood."),
)
class MetadataIgnored(Fact):
    """A commit's metadata could not be used: what is finished beyond the offset is sent again."""

    partition: Annotated[str, "Whose, as topic-partition."]
    reason: Annotated[str, "Why: another writer, another version, damage."]


@fact(
    level=Level.ERROR,
    stage=Stage.SETTLING,
    counter=Counter(
        "relay_dead_letters_truncated_total", "Dead letters of which only a part could be kept."
    ),
)
class DeadLetterTruncated(Fact):
    """A dead letter was larger than its topic takes; only the beginning of its value was kept.

    The envelope has the size and the hash of the value. It cannot be replayed
    (`dead_letter.too_large`).
    """

    position: Annotated[Position, "Where the record stands, as topic-partition-offset."]
    topic: Annotated[str, "The dead-letter topic."]
    value_bytes: Annotated[int, "Size of the value."]
    kept_bytes: Annotated[int, "How much of it was written."]


@fact(stage=Stage.SETTLING)
class DeadLetterTopicCreated(Fact):
    """A dead-letter topic did not exist and was created (`dead_letter.create`)."""

    topic: Annotated[str, "Its name."]
    partitions: Annotated[int, "Its partitions."]


@fact(
    level=Level.ERROR,
    stage=Stage.SETTLING,
    counter=Counter(
        "relay_dead_letter_errors_total", "Failed writes to the dead-letter topic.", ("code",)
    ),
)
class DeadLetterTopicUnavailable(Fact):
    """A dead letter cannot be written; its partition waits, because its offset must not pass."""

    code: Annotated[str, "Name of the error, from a closed set."]
    reason: Annotated[str, "What Kafka's client says."]
    retry_in_s: Annotated[float, "When the next attempt is made."]


@fact(stage=Stage.SETTLING)
class DeadLetterTopicRestored(Fact):
    """Dead letters are written again, and what waited for them goes on."""

    after_s: Annotated[float, "How long none was, in seconds."]
