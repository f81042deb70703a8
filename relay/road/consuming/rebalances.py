"""aiokafka's callbacks about partitions → their owner, with the exceptions it would swallow."""

from collections.abc import Collection
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from relay.model import Partition


class Owner(Protocol):
    """Whoever has the partitions."""

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """The group gave us these."""
        ...

    async def joining(self) -> None:
        """We are about to join the group."""
        ...

    def failed(self, error: BaseException) -> None:
        """One of the calls above failed."""
        ...


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """What aiokafka is given as its listener."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Called by aiokafka's coordinator."""
        try:
            await self._owner.assigned([Partition(*tp) for tp in assigned])
        except Exception as error:  # noqa: BLE001 - raised by the next poll
            self._owner.failed(error)

    async def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        """Called by aiokafka's coordinator before it joins the group, also for the first time."""
        try:
            await self._owner.joining()
        except Exception as error:  # noqa: BLE001 - raised by the next poll
            self._owner.failed(error)
