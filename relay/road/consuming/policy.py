"""What the consumer is told: plain values, built by `relay.settings.kafka`."""

from dataclasses import dataclass
from enum import StrEnum

from relay.kafka_client.policy import KafkaClientPolicy


class OffsetReset(StrEnum):
    """Where to begin when there is no usable offset."""

    EARLIEST = "earliest"
    LATEST = "latest"


class MissingTopics(StrEnum):
    """What to do at the start about a topic that does not exist."""

    FAIL = "fail"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class ConsumerPolicy:
    """Topics or a pattern, the group, and the limits of fetching."""

    client: KafkaClientPolicy
    topics: tuple[str, ...]
    topic_pattern: str | None
    dead_letter_topic: str
    """The template of dead-letter topics; a pattern must never match them."""
    group_id: str
    group_instance_id: str | None
    auto_offset_reset: OffsetReset
    missing_topics: MissingTopics
    isolation_level: str
    start_timeout_s: float
    session_timeout_s: float
    rebalance_timeout_s: float
    poll_interval_max_s: float
    keeps_partitions: bool
    """Whether partitions stay with us during a rebalance, or all are given back first."""
    shares_rate: bool
    """Whether the members share a rate, by what their partitions get."""
    new_partition_wait_s: float
    """0 where no order is kept that new partitions could break."""
    fetch_wait_ms: int
    partition_fetch_bytes_max: int
    fetch_bytes_max: int
