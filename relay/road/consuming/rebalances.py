"""aiokafka's callbacks about partitions → their owner, with the exceptions it would swallow."""

from collections.abc import Awaitable, Callable, Collection

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from relay.model import Partition


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka is untyped
    """What aiokafka is given as its listener; `failed` is told what the other two raise."""

    def __init__(
        self,
        assigned: Callable[[Collection[Partition]], Awaitable[None]],
        joining: Callable[[], Awaitable[None]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._assigned = assigned
        self._joining = joining
        self._failed = failed

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Called by aiokafka's coordinator."""
        try:
            await self._assigned([Partition(*tp) for tp in assigned])
        except Exception as error:  # noqa: BLE001 - raised by the next poll
            self._failed(error)

    async def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        """Called by aiokafka's coordinator before it joins the group, also for the first time."""
        try:
            await self._joining()
        except Exception as error:  # noqa: BLE001 - raised by the next poll
            self._failed(error)
