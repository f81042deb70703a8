"""What aiokafka's consumer keeps to itself and a service has to know or to fix.

The only place that reaches into it (0.14 was read line by line). The tests on a real broker notice
when a new version is arranged differently.
"""

# ruff: noqa: SLF001 - reaching inside is what this file is for

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka import errors as theirs
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from relay.kafka_client.errors import translated
from relay.model import Partition
from relay.road.consuming.fencing import refuse_to_replace_a_namesake

NO_LEADER = -1
_EARLIEST, _LATEST = -2, -1
"""What the protocol calls the first and the last offset, asked for instead of a time."""


class ConsumerInternals:
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

    def refuse_to_replace_a_namesake(self) -> None:
        """For a member with a name: `relay.road.consuming.fencing`."""
        refuse_to_replace_a_namesake(self._consumer._coordinator)

    def closing(self) -> bool:
        """Whether the consumer has been told to stop."""
        return bool(self._consumer._coordinator._closing.done())

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

    def by_leader(self, partitions: Iterable[Partition]) -> dict[int, list[Partition]]:
        """Which broker to ask about which; `NO_LEADER` for those that have none now."""
        cluster = self._consumer._client.cluster
        found: defaultdict[int, list[Partition]] = defaultdict(list)
        for partition in partitions:
            leader = cluster.leader_for_partition(TopicPartition(*partition))
            found[NO_LEADER if leader is None else leader].append(partition)
        return found

    async def offsets(
        self, leader: int, partitions: Iterable[Partition], *, first: bool
    ) -> Mapping[Partition, int]:
        """The first offset, or the one behind the last, of partitions with one leader.

        Unlike the public methods it waits for no other broker.
        """
        if leader == NO_LEADER:
            raise theirs.LeaderNotAvailableError
        asked: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for topic, number in partitions:
            asked[topic].append((number, _EARLIEST if first else _LATEST))
        found = await self._consumer._fetcher._proc_offset_request(leader, asked)
        return {Partition(*tp): offset for tp, (offset, _) in found.items()}

    @property
    def generation(self) -> int:
        """The number of the last rebalance that the group told us; -1 when it does not know us."""
        return int(self._consumer._coordinator.generation)

    @property
    def is_member(self) -> bool:
        """Whether the group knows us, as far as we have heard."""
        return bool(self._consumer._coordinator.member_id)

    def go_on_meanwhile(self) -> None:
        """During a rebalance, hand out records as before: aiokafka would wait for its end."""
        subscription = self._consumer._subscription.subscription
        if subscription is not None:
            subscription._reassignment_in_progress = False

    def start_heartbeats(self) -> None:
        """Aiokafka starts them when partitions have been handed over, which may take a while."""
        self._consumer._coordinator._start_heartbeat_task()

    async def metadata_of(self, topics: Collection[str]) -> None:
        """Wait until the metadata has these topics, or an answer in which they are missing."""
        client = self._consumer._client
        await client._maybe_wait_metadata()
        if any(client.cluster.partitions_for_topic(topic) is None for topic in topics):
            await client.force_metadata_update()

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
        # Three ends of a log, by what a fetch told: the high watermark (all replicas have it), the
        # last stable offset (before the first open transaction; -1 where there is none), and our
        # position, which may be further when a mark of a transaction was skipped.
        read_committed = self._consumer._isolation_level == "read_committed"
        stable = state.lso is not None and state.lso >= 0 and read_committed
        return max(int(state.lso if stable else state.highwater), int(state.position))

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
                # Answers for a partition, by kind of error:
                #
                #     none                            its end
                #     another broker leads it now     left out: asked there next time
                #     the topic is gone, or closed    None: there is no end to know
                #     to us
                #
                # aiokafka counts "unknown topic" to the second kind; asking anew for it would not
                # help.
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

    async def stop(self) -> None:
        """Leave the group and close everything.

        aiokafka cancels a fetch that rests before its next attempt, and lets that out of its
        `stop` as if we had been cancelled. Only the connections are open by then, as when one of
        its tasks had ended with an error, which is raised again.

        Raises:
            KafkaError: One of its tasks had ended with an error.
        """
        try:
            await self._consumer.stop()
        except asyncio.CancelledError:
            ours = asyncio.current_task()
            if ours is None or ours.cancelling():
                raise
            await self.close_connections()
        except Exception as error:
            await self.close_connections()
            with translated("Kafka's client broke down"):
                raise error from None

    async def close_connections(self) -> None:
        """The end of `stop`, for when its beginning takes too long."""
        client = self._consumer._client
        if client._sync_task is not None and client._sync_task.done():
            client._sync_task = None  # its error would keep the connections open
        await client.close()

    def _state(self, tp: TopicPartition) -> Any:
        subscription = self._consumer._subscription.subscription
        if subscription is None or subscription.assignment is None:
            return None
        return subscription.assignment.state_value(tp)
