"""What the pipeline asks of whatever records come from, and what that tells the pipeline.

Implemented by `relay.stream.consuming.kafka` for Kafka, and by a simulated broker in the tests; one
contract test holds both to the words below.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from relay.stream.model import Commit, Partition, Record


class CommitRefused(Exception):
    """The group has moved on and does not take this commit: the partitions are not ours any more.

    Not an error of the process: the records come again, to whoever has the partitions now.
    """


class AssignmentListener(Protocol):
    """Is told when partitions come and go. Both calls are awaited before the group goes on."""

    async def on_assigned(self, partitions: Collection[Partition], epoch: int) -> None:
        """These are ours now. Their records carry `epoch`, and none comes before this returns."""
        ...

    async def on_revoked(self, partitions: Collection[Partition]) -> None:
        """These leave; until this returns they are still ours and can be committed."""
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
        """What was committed last for each, None where nothing was."""
        ...

    def lag(self) -> Mapping[Partition, int]:
        """Records in each assigned partition that were not read yet, where that is known."""
        ...

    def share(self) -> float:
        """Which part of all partitions of the topics is ours, 0 to 1; 1 where that is unknown."""
        ...

    async def stop(self) -> None:
        """Leave the group. Partitions are revoked first."""
        ...
