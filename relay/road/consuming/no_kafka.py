"""What a source of records has to offer where there is no Kafka: commits go nowhere."""

from collections.abc import Collection, Mapping

from relay.model import Commit, Partition
from relay.road.consuming.source import SourceState


class NoKafka:
    """The part of a `RecordSource` that is about Kafka. Who makes records adds the rest."""

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        """Is always taken."""

    async def committed(
        self, partitions: Collection[Partition]
    ) -> Mapping[Partition, Commit | None]:
        """Nothing was."""
        return dict.fromkeys(partitions)

    def ends(self) -> Mapping[Partition, int]:
        """Not told."""
        return {}

    def state(self) -> SourceState:
        """All is well."""
        return SourceState()

    def share(self) -> float:
        """All."""
        return 1.0

    async def stop(self) -> None:
        """Leaves."""
