"""What the pipeline asks of whatever records come from, and what that tells the pipeline.

Implemented by `relay.road.consuming.kafka` for Kafka, and by a simulated broker in the tests; one
contract test holds both to the words below.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from relay.model import Commit, Partition, Record


class CommitRefused(Exception):
    """The group has moved on and does not take this commit: the partitions are not ours any more.

    Not an error of the process: the records come again, to whoever has the partitions now.
    """


class SourceTrouble(StrEnum):
    """What may be wrong between us and the place that records come from; the worst first."""

    UNREACHABLE = "unreachable"
    LOGIN_REFUSED = "login_refused"
    ACCESS_REFUSED = "access_refused"
    TOPIC_MISSING = "topic_missing"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class SourceState:
    """How the source's own connection stands. `since` and `held_since` are in steady seconds."""

    trouble: SourceTrouble | None = None
    reason: str = ""
    since: float = 0.0
    held_back: Mapping[Partition, int] = field(default_factory=dict)
    """Records that lie behind an open transaction, for each partition where there are any."""
    held_since: Mapping[Partition, float] = field(default_factory=dict)
    """Since when nothing of them was let go, for the same partitions."""
    not_begun: frozenset[Partition] = frozenset()
    """Assigned partitions that nothing may be taken from yet, as they were added to their topic."""


class AssignmentListener(Protocol):
    """Is told when partitions come and go; those calls are awaited before the group goes on."""

    async def on_assigned(self, partitions: Collection[Partition], epoch: int) -> None:
        """These are ours now. Their records carry `epoch`, and none comes before this returns."""
        ...

    async def on_revoked(self, partitions: Collection[Partition]) -> None:
        """These leave; until this returns they are still ours and can be committed."""
        ...

    def on_moved(self, partition: Partition, offset: int) -> None:
        """Reading goes on at `offset`, although nothing before it was handed out.

        Where reading begins without a commit, and where the next offset is not in the log any more:
        behind what Kafka deleted, or back in a log that was cut.
        """
        ...


class RecordSource(Protocol):
    """Records in, offsets back."""

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group.

        Raises:
            KafkaError: The broker cannot be reached or refuses; or a topic is missing.
        """
        ...

    async def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        """What has come, in each partition's order; empty after `timeout_s`.

        Must be called regularly even when everything is paused: it is the sign of life.
        Errors that pass by themselves are told as facts and end in an empty list.
        """
        ...

    def pause(self, partitions: Collection[Partition]) -> None:
        """Take nothing from these until `resume`."""
        ...

    def resume(self, partitions: Collection[Partition]) -> None:
        """Take from these again."""
        ...

    def put_back(self, partition: Partition, offset: int, epoch: int) -> bool:
        """Hand out again what the last `poll` handed out of this partition from `offset` on.

        False, and nothing happens, when the assignment is over in which its records had `epoch`.
        """
        ...

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        """Store these offsets, each with its metadata.

        Raises:
            CommitRefused: The partitions are no longer ours.
            KafkaError: The broker did not confirm; trying again may help.
        """
        ...

    async def committed(
        self, partitions: Collection[Partition]
    ) -> Mapping[Partition, Commit | None]:
        """What was committed last for each, None where nothing was.

        The source may have committed the offset where it began, before it handed out a record.
        """
        ...

    def ends(self) -> Mapping[Partition, int]:
        """One past the last record that may be read, for each assigned partition where known.

        Asked of the brokers also while nothing is fetched from a partition.
        """
        ...

    def state(self) -> SourceState:
        """What is wrong with the source itself now, when something is."""
        ...

    def share(self) -> float:
        """Which part of the group's work is ours, 0 to 1; 1 where that is unknown.

        By the number of partitions, or by what was produced to them lately where that is asked for.
        """
        ...

    async def stop(self) -> None:
        """Leave the group. Partitions are revoked first.

        Cancelled, it closes the connections at once: the group notices when the session ends.
        """
        ...
