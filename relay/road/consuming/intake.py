"""How full we are → how much to take, and from which partitions not at all. Pure.

The limit is end to end: a record counts from when it is taken until its fate is settled, whether
it waits, flies, rests between attempts or is on its way to the dead-letter topic.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IntakePolicy:
    """The memory budget, in records and in bytes, and how much of it may wait for one user."""

    records_max: int = 10_000
    bytes_max: int = 64 * 1024 * 1024
    lane_records_max: int = 1_000
    poll_records_max: int = 500
    resume_below: float = 0.7
    """Taking starts again when the budget is this full: pausing has a price, so do not flap."""


def full(policy: IntakePolicy, open_records: int, open_bytes: int, *, was_full: bool) -> bool:
    """Whether to stop taking from everywhere."""
    share = policy.resume_below if was_full else 1.0
    return open_records >= policy.records_max * share or open_bytes >= policy.bytes_max * share


def room(policy: IntakePolicy, open_records: int) -> int:
    """How many records to ask for at once."""
    return max(1, min(policy.poll_records_max, policy.records_max - open_records))


def partition_allowance(policy: IntakePolicy, map_fill: float) -> int:
    """How many records of one partition may be open when its offset map is `map_fill` (0…1) full.

    It shrinks smoothly as the map fills: a fuller map means more, smaller holes, and fewer open
    records make fewer holes. One record may always be open, so the partition never stands still.
    """
    spare = max(0.0, 1.0 - max(0.0, map_fill - 0.25) / 0.75)
    return max(1, int(policy.records_max * spare * spare))
