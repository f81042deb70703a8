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

from relay.kafka_client.errors import translated
from relay.model import Partition


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

    def last_answer(self, tp: TopicPartition) -> int:
        """When a broker last answered a fetch for this partition, by its own count of ms; or 0."""
        state = self._state(tp)
        return 0 if state is None else state.timestamp or 0

    async def close_connections(self) -> None:
        """The end of `stop`, for when its beginning takes too long."""
        await self._consumer._client.close()

    def _state(self, tp: TopicPartition) -> Any:
        subscription = self._consumer._subscription.subscription
        if subscription is None or subscription.assignment is None:
            return None
        return subscription.assignment.state_value(tp)
