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
    create: bool = True
    partitions: int = 1
    replication_factor: int | None = None
    retention_ms: int = -1
    record_bytes_max: int = 16_777_216
    too_large: TooLarge = TooLarge.TRUNCATE
    start_timeout_s: float = 60.0
    write_timeout_s: float = 30.0

    def topic_for(self, source: str) -> str:
        """The dead-letter topic of a topic."""
        return self.topic.replace("{topic}", source)
