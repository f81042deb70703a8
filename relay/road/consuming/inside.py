"""What aiokafka's consumer keeps to itself and a service has to know or to mend.

The only place that reaches into it (0.14 was read line by line). The tests on a real broker notice
when a new version is arranged differently.
"""

# ruff: noqa: SLF001 - reaching inside is what this file is for

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from typing import Any

from aiokafka import TopicPartition
from aiokafka import errors as theirs
from aiokafka.client import ConnectionGroup
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest

from relay.kafka_client.errors import translated
from relay.model import Partition
from relay.road.consuming.fencing import refuse_to_replace_a_namesake

_ABOUT_CLUSTER_S = 5.0
_EARLIEST, _LATEST = -2, -1
"""What the protocol calls the first and the last offset, asked for instead of a time."""


def connect_apart(consumer: Any, request_s: float, join_s: float) -> None:
    """Before its `start`: let no broker that hangs hold up what others could answer.

    aiokafka opens one connection at a time, and asks brokers by chance about the cluster. A broker
    that accepts a connection and never answers holds up both for as long as a request may take.

    | request | limit |
    |---|---|
    | each step of connecting; who leads a partition, who coordinates the group | a few seconds |
    | of the group: a broker answers a join when every member has come | `join_s` |
    | all others | `request_s` |
    """
    client = consumer._client
    client._request_timeout_ms = round(min(request_s, _ABOUT_CLUSTER_S) * 1000)
    client._get_conn_lock_value = nullcontext()
    connect = client._get_conn
    one_each: defaultdict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def connected(
        node: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Any:
        async with one_each[node, group]:
            connection = await connect(node, group=group, no_hint=no_hint)
        if connection is not None and "send" not in vars(connection):
            _limit(connection, join_s if group is ConnectionGroup.COORDINATION else request_s)
        return connection

    client._get_conn = connected


def _limit(connection: Any, request_s: float) -> None:
    send = connection.send
    brief_s = min(request_s, _ABOUT_CLUSTER_S)

    def limited(request: Any, *args: Any, **options: Any) -> Any:
        brief = isinstance(request, MetadataRequest | FindCoordinatorRequest)
        connection._request_timeout = brief_s if brief else request_s
        return send(request, *args, **options)

    connection.send = limited


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

    def refuse_to_replace_a_namesake(self) -> None:
        """For a member with a name: `relay.road.consuming.fencing`."""
        refuse_to_replace_a_namesake(self._consumer._coordinator)

    def closing(self) -> bool:
        """Whether the consumer has been told to stop."""
        return bool(self._consumer._coordinator._closing.done())

    def look_for_coordinator(self) -> None:
        """The broker that the group asks has not answered: find out who it is now."""
        self._consumer._coordinator.coordinator_dead()

    def rejoin(self) -> None:
        """Join the group anew; a heartbeat that was refused is never sent again otherwise."""
        self._consumer._coordinator.request_rejoin()

    def partitions(self, topics: Iterable[str]) -> list[Partition]:
        """All partitions of these topics, as far as the metadata has them."""
        cluster = self._consumer._client.cluster
        return [
            Partition(topic, number)
            for topic in topics
            for number in sorted(cluster.partitions_for_topic(topic) or ())
        ]

    def known(self, topics: Iterable[str]) -> list[str]:
        """Of these, the topics that the metadata holds, or that are there and forbidden."""
        cluster = self._consumer._client.cluster
        forbidden = cluster.unauthorized_topics
        return [t for t in topics if t in forbidden or cluster.partitions_for_topic(t)]

    def by_leader(self, partitions: Iterable[Partition]) -> Mapping[int, list[Partition]]:
        """Which broker to ask about which; -1 for those that have no leader now."""
        cluster = self._consumer._client.cluster
        found: defaultdict[int, list[Partition]] = defaultdict(list)
        for partition in partitions:
            leader = cluster.leader_for_partition(TopicPartition(*partition))
            found[-1 if leader is None else leader].append(partition)
        return found

    async def offsets(
        self, leader: int, partitions: Iterable[Partition], *, first: bool
    ) -> Mapping[Partition, int]:
        """The first offset, or the one behind the last, of partitions with one leader.

        Unlike the public methods it waits for no other broker.
        """
        if leader == -1:
            raise theirs.LeaderNotAvailableError
        asked: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for topic, number in partitions:
            asked[topic].append((number, _EARLIEST if first else _LATEST))
        found = await self._consumer._fetcher._proc_offset_request(leader, asked)
        return {Partition(*tp): offset for tp, (offset, _) in found.items()}

    def refresh_metadata(self) -> None:
        """Ask who leads the partitions now, without waiting for the answer."""
        self._consumer._client.force_metadata_update()

    def position(self, partition: Partition) -> int | None:
        """The offset that is fetched next."""
        state = self._state(TopicPartition(*partition))
        if state is None or not state.has_valid_position:
            return None
        return int(state.position)

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
