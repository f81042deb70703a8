"""Where dead letters go: plain values, built by `relay.settings.dead_letter`."""

from dataclasses import dataclass
from enum import StrEnum

from relay.kafka_client.policy import KafkaClientPolicy


class TooLarge(StrEnum):
    """What becomes of a dead letter that is larger than its topic takes."""

    TRUNCATE = "truncate"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class DeadLetterPolicy:
    """Where dead letters go. `topic` may contain `{topic}`, the name of the record's own."""

    client: KafkaClientPolicy
    topic: str
    source_topics: tuple[str, ...]
    mapping_version: str
    create: bool
    partitions: int
    replication_factor: int | None
    retention_ms: int
    record_bytes_max: int
    too_large: TooLarge
    start_timeout_s: float
    write_timeout_s: float

    def topic_for(self, source: str) -> str:
        """The dead-letter topic of a topic."""
        return self.topic.replace("{topic}", source)
