"""Where records go that cannot be delivered."""

from pydantic import Field, field_validator

from relay.errors import SettingsError
from relay.road.settling.dead_letter_policy import DeadLetterPolicy, TooLarge
from relay.section import Section
from relay.settings.kafka import TOPIC_CHARACTERS_MAX, KafkaSettings
from relay.stream.mapping.policy import MAPPING_VERSION

_PLACEHOLDER = "{topic}"


class DeadLetterSettings(Section):
    """The dead-letter topic. It lies on the cluster that the records come from."""

    topic: str = Field(
        "{topic}.dlq",
        pattern=r"^[a-zA-Z0-9._-]*(\{topic\})?[a-zA-Z0-9._-]*$",
        min_length=1,
        max_length=TOPIC_CHARACTERS_MAX,
        description="Its name; `{topic}` stands for the name of the topic that a record came from.",
    )
    create: bool = Field(
        True,
        description="Whether to create the topic when it does not exist. The settings below, up "
        "to `record_bytes_max`, are for that only.",
    )
    partitions: int = Field(1, ge=1, le=10_000, description="Partitions of a created topic.")
    replication_factor: int | None = Field(
        None,
        ge=1,
        le=100,
        description="Replicas of a created topic. Left out: 3, or one for each broker when there "
        "are fewer.",
    )
    retention_hours: int = Field(
        -1,
        ge=-1,
        description="How long a created topic keeps dead letters; -1 until somebody deletes them.",
    )
    record_bytes_max: int = Field(
        16_777_216,
        ge=1024,
        le=104_857_600,
        description="Largest record of a created topic, after compression. A dead letter is a "
        "little larger than its record, so this must exceed what the source topics allow.",
    )
    too_large: TooLarge = Field(
        TooLarge.TRUNCATE,
        description="What becomes of a dead letter that its topic does not take, compressed as it "
        "is: `truncate` writes the envelope with size and hash of the value and the beginning of "
        "it, which cannot be replayed; `hold` lets the stream wait until the topic takes more.",
    )
    write_timeout_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="How long to wait for the broker's confirmation before the topic counts as "
        "unavailable. Nothing passes meanwhile, and nothing is lost.",
    )

    @field_validator("topic")
    @classmethod
    def _other_than_the_source(cls, topic: str) -> str:
        if topic == _PLACEHOLDER:
            raise ValueError("a dead letter cannot go back to its own topic")
        return topic

    def policy(self, kafka: KafkaSettings) -> DeadLetterPolicy:
        """The policy of the producer edge.

        Raises:
            SettingsError: Dead letters would be read again.
        """
        policy = DeadLetterPolicy(
            client=kafka.client(),
            topic=self.topic,
            source_topics=() if kafka.topic_pattern else kafka.topics,
            mapping_version=MAPPING_VERSION,
            create=self.create,
            partitions=self.partitions,
            replication_factor=self.replication_factor,
            retention_ms=-1 if self.retention_hours < 0 else self.retention_hours * 3_600_000,
            record_bytes_max=self.record_bytes_max,
            too_large=self.too_large,
            start_timeout_s=kafka.start_timeout_s,
            write_timeout_s=self.write_timeout_s,
        )
        for topic in policy.source_topics:
            name = policy.topic_for(topic)
            if name in policy.source_topics:
                raise SettingsError(
                    f"kafka.topics contains {name}, where dead_letter.topic sends the dead "
                    f"letters of {topic}",
                    hint="they would be read again, for ever",
                )
            if len(name) > TOPIC_CHARACTERS_MAX:
                raise SettingsError(
                    f"dead_letter.topic makes a name of {len(name)} characters for the dead "
                    f"letters of {topic}",
                    hint=f"Kafka takes {TOPIC_CHARACTERS_MAX}: give dead_letter.topic one name "
                    "for all topics",
                )
        return policy
