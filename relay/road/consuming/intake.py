"""How full we are → how much to take, and from which partitions not at all. Pure.

The limit is end to end: a record counts from when it is taken until its fate is settled, whether
it waits, is in flight, rests between attempts or is being written to the dead-letter topic.
"""

from typing import ClassVar, NamedTuple

from pydantic import Field

from relay.section import Section


class IntakePolicy(Section):
    """The memory budget, in records and in bytes, and how much of it may wait for one user."""

    memory_records_max: int = Field(
        10_000, ge=1, le=1_000_000, description="Most records in memory without a fate."
    )
    memory_bytes_max: int = Field(
        67_108_864, ge=1_048_576, description="Most bytes of such records, about."
    )
    user_records_max: int = Field(
        1_000,
        ge=1,
        le=1_000_000,
        description="Most records of one user in memory; beyond, their partition is paused.",
    )
    # A slice of 5 ms is some 100 records: of a poll, a few slices.
    poll_records_max: ClassVar[int] = 500
    resume_below: ClassVar[float] = 0.7
    """Taking starts again when the budget is this full: pausing has a price, so do not flap."""


class SetAside(NamedTuple):
    """A part of the budget that is used for long: what comes and goes has the other part."""

    records: int = 0
    size_bytes: int = 0


def full(
    policy: IntakePolicy,
    open_records: int,
    open_bytes: int,
    *,
    was_full: bool,
    aside: SetAside = SetAside(),  # noqa: B008 - a tuple
) -> bool:
    """Whether to stop taking from everywhere. What is `aside` is a part of what is open."""
    # | what is open, but for what is aside | so                                        |
    # |-------------------------------------|-------------------------------------------|
    # | below 70 % of the budget            | taken                                     |
    # | between                             | as at the last look: no flapping          |
    # | the whole budget, in records or in  | nothing is taken                          |
    # | bytes                               |                                           |
    share = policy.resume_below if was_full else 1.0
    records = policy.memory_records_max - aside.records
    size_bytes = policy.memory_bytes_max - aside.size_bytes
    return (
        open_records - aside.records >= records * share
        or open_bytes - aside.size_bytes >= size_bytes * share
    )


def room(policy: IntakePolicy, open_records: int) -> int:
    """How many records to ask for at once."""
    return max(1, min(policy.poll_records_max, policy.memory_records_max - open_records))


def partition_allowance(policy: IntakePolicy, map_fill: float) -> int:
    """How many records of one partition may be open when its offset map is `map_fill` (0…1) full.

    It shrinks smoothly as the map fills: a fuller map means more, smaller holes, and fewer open
    records make fewer holes. One record may always be open, so the partition never stands still.
    """
    # Up to a quarter full the whole budget; then down by a square, to one record when it is full. A
    # commit's metadata has 4,096 bytes (Kafka's `offset.metadata.max.bytes`), so the room must be
    # smaller well before the map is cut: what is cut is repeated after a restart.
    spare = max(0.0, 1.0 - max(0.0, map_fill - 0.25) / 0.75)
    return max(1, int(policy.memory_records_max * spare * spare))
