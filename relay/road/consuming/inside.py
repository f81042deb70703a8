"""What aiokafka's consumer keeps to itself and a service has to know or to mend.

The only place that reaches into it (0.14 was read line by line). The tests on a real broker notice
when a new version is arranged differently.
"""

# ruff: noqa: SLF001 - reaching inside is what this file is for

from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka import errors as theirs
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from relay.kafka_client.errors import translated
from relay.model import Partition

_LATEST = -1
"""Asks for the end of a partition, in place of a time."""


class Inside:
    """A consumer after its `start`."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def show_life(self) -> None:
        """What `getmany` does besides fetching, for when there is nothing to fetch.

        Errors of the group are raised, and the idle clock is set back: a member that does not
        fetch for `max_poll_interval_ms` leaves the group and would never join again.
        """
        self._consumer._coordinator.check_errors()
        with self._consumer._subscription.fetch_context():
            pass

    def repair_idle_clock(self) -> None:
        """After an exception in `getmany` it takes us for fetching ever since; we are not."""
        self._consumer._subscription._fetch_count = 0

    def check_alive(self) -> None:
        """Raise what ended one of its tasks: it tells nobody, `getmany` just stays empty."""
        for task in (
            self._consumer._client._sync_task,
            self._consumer._fetcher._fetch_task,
            self._consumer._coordinator._coordination_task,
        ):
            if task.done() and not task.cancelled() and task.exception() is not None:
                with translated("Kafka's client broke down"):
                    raise task.exception()

    async def committed(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, Any]:
        """Committed offsets with their metadata, which the public method drops."""
        found: Mapping[TopicPartition, Any]
        found = await self._consumer._coordinator.fetch_committed_offsets(partitions)
        return found

    async def try_group(self) -> None:
        """Raise what keeps us from joining the group, without joining.

        A heartbeat of a member that does not exist: a group that is open to us complains about the
        member, one that is closed about us.
        """
        coordinator = self._consumer._coordinator
        await coordinator.ensure_coordinator_known()
        answer = await coordinator._send_req(HeartbeatRequest(coordinator.group_id, -1, "nobody"))
        if theirs.for_code(answer.error_code) is theirs.GroupAuthorizationFailedError:
            raise theirs.GroupAuthorizationFailedError(coordinator.group_id)

    def end(self, partition: Partition) -> int | None:
        """One past the last record that may be read, as the last fetch told it."""
        state = self._state(TopicPartition(*partition))
        if state is None or not state.has_valid_position or state.highwater is None:
            return None
        # What an open transaction holds back nobody can read: it is no lag.
        read_committed = self._consumer._isolation_level == "read_committed"
        stable = state.lso is not None and state.lso >= 0 and read_committed
        return max(int(state.lso if stable else state.highwater), int(state.position))

    def position(self, partition: Partition) -> int | None:
        """The offset that is handed out next; None before it is known."""
        state = self._state(TopicPartition(*partition))
        return None if state is None or not state.has_valid_position else int(state.position)

    def leaders(self, partitions: Collection[Partition]) -> Mapping[int, list[Partition]]:
        """The partitions by the broker that leads them; looks for those that none leads."""
        cluster = self._consumer._client.cluster
        found: dict[int, list[Partition]] = {}
        for partition in partitions:
            leader = cluster.leader_for_partition(TopicPartition(*partition))
            if leader is None or leader < 0:
                self._consumer._client.force_metadata_update()
            else:
                found.setdefault(leader, []).append(partition)
        return found

    async def ends(
        self, node: int, partitions: Collection[Partition], *, committed_only: bool
    ) -> Mapping[Partition, int | None]:
        """Where a broker says that partitions end.

        None for one that it answers for with an error, and nothing for one that it does not lead.

        Raises:
            aiokafka.errors.KafkaError: The broker does not answer.
        """
        topics: dict[str, list[tuple[int, int]]] = {}
        for partition in partitions:
            topics.setdefault(partition.topic, []).append((partition.number, _LATEST))
        client = self._consumer._client
        request = OffsetRequest(-1, int(committed_only), list(topics.items()))
        answer = await client.send(node, request)
        found: dict[Partition, int | None] = {}
        for topic, answers in answer.topics:
            for number, error_code, _timestamp, offset in answers:
                error = theirs.for_code(error_code)
                if error is theirs.NoError:
                    found[Partition(topic, number)] = offset
                elif error.invalid_metadata and error is not theirs.UnknownTopicOrPartitionError:
                    client.force_metadata_update()
                else:
                    found[Partition(topic, number)] = None
        return found

    async def ask_anybody(self) -> None:
        """Ask any broker something small.

        Raises:
            aiokafka.errors.KafkaError: It does not answer.
        """
        client = self._consumer._client
        await client.send(client.get_random_node(), MetadataRequest([]))

    async def close_connections(self) -> None:
        """The end of `stop`, for when its beginning takes too long."""
        await self._consumer._client.close()

    def _state(self, tp: TopicPartition) -> Any:
        subscription = self._consumer._subscription.subscription
        if subscription is None or subscription.assignment is None:
            return None
        return subscription.assignment.state_value(tp)
