"""How records are read."""

from enum import StrEnum

from pydantic import Field

from relay.section import Section
from relay.sources.formats import FormatPolicy
from relay.stream.decoding import DecodingPolicy


class NullValue(StrEnum):
    """What becomes of a record that has no value."""

    SKIP = "skip"
    DEAD_LETTER = "dead_letter"


class DecodingSettings(Section):
    """What a record on the topic may be (schemas/app-event.v1.json)."""

    record_bytes_max: int = Field(
        1_048_576,
        ge=1,
        description="Records with a larger value are dead-lettered without being read.",
    )
    events_per_record_max: int = Field(
        1_000,
        ge=1,
        le=10_000,
        description="Records of `sources` that hold more events are dead-lettered as "
        "`too_many_events`.",
    )
    null_value: NullValue = Field(
        NullValue.SKIP,
        description="A record without a value (on compacted topics: a deletion) is counted and "
        "passed over with `skip`, or dead-lettered with `dead_letter`.",
    )

    def formats(self) -> FormatPolicy:
        """What the formats of `sources` go by."""
        return FormatPolicy(
            record_bytes_max=self.record_bytes_max,
            events_per_record_max=self.events_per_record_max,
            skip_null_value=self.null_value is NullValue.SKIP,
        )

    def policy(self) -> DecodingPolicy:
        """What `decode` goes by."""
        return DecodingPolicy(
            record_bytes_max=self.record_bytes_max,
            skip_null_value=self.null_value is NullValue.SKIP,
        )
