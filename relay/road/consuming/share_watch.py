"""Asks the brokers where all partitions of our topics end: how much each of them gets.

Only for a rate that the group shares (`delivery.rate_shared`), as a member asks about partitions of
others too: a request to each broker every ten seconds, of some 20 bytes for each partition.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from aiokafka.errors import KafkaError as ClientError

from relay.model import Partition
from relay.road.consuming.consumer_internals import NO_LEADER, ConsumerInternals
from relay.road.consuming.own_task import OwnTask
from relay.road.consuming.produced_share import ProducedShare

_ANSWER_S = 4.0  # as in the broker watch


class ShareWatch:
    """Begins with `start`; whoever has it looks after its `task`."""

    def __init__(self) -> None:
        self.produced = ProducedShare()
        self.task = OwnTask("share-watch")

    def start(self, internals: ConsumerInternals, topics: Callable[[], Collection[str]]) -> None:
        """Begin to ask about the topics that are read then."""
        self.task.start(self._ask_on(internals, topics))

    async def _ask_on(
        self, internals: ConsumerInternals, topics: Callable[[], Collection[str]]
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            partitions = internals.partitions(topics())
            ends: dict[Partition, int] = {}
            async with asyncio.TaskGroup() as group:
                for node, led in internals.by_leader(partitions).items():
                    if node != NO_LEADER:
                        group.create_task(self._ask(internals, node, led, ends))
            self.produced.keep(partitions)
            self.produced.told(ends, loop.time())
            due = began + self.produced.look_again_s()
            await asyncio.sleep(max(0.0, due - loop.time()))

    @staticmethod
    async def _ask(
        internals: ConsumerInternals,
        node: int,
        led: Collection[Partition],
        ends: dict[Partition, int],
    ) -> None:
        # A broker that does not answer is the affair of the broker watch: here, what its
        # partitions get is counted later.
        with contextlib.suppress(ClientError, OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                found = await internals.ends(node, led, committed_only=False)
                ends.update((tp, end) for tp, end in found.items() if end is not None)
