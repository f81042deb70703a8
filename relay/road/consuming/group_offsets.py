"""Requests for the group's offsets, on a connection of their own.

aiokafka sends them on the connection by which it joins the group. A broker answers the requests of
a connection one after the other, and a request to join when every member has come. So commits and
look-ups would wait for the slowest member, or for a session of a dead one to end. A commit that
then comes with the generation of before makes aiokafka leave the group.
"""

# ruff: noqa: SLF001 - aiokafka offers no other way

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import errors as theirs
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest

from relay.model import Commit, Partition

_CONNECTION = "offsets"
"""What aiokafka knows the connection by, beside its own 0 (all else) and 1 (the group)."""
_NO_COMMIT = -1


class GroupOffsets:
    """Of a consumer that has been started. Each call is one request; errors are aiokafka's."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    async def write(self, commits: Mapping[Partition, Commit]) -> None:
        """Store offsets as the member that we are now.

        Raises:
            aiokafka.errors.KafkaError: Not all of them were stored.
        """
        await self._coordinator.ensure_coordinator_known()
        generation, member = self._coordinator.generation, self._coordinator.member_id
        if generation < 0 or not member:
            # Kafka would take this from anybody while the group has no members.
            raise theirs.UnknownMemberIdError
        topics: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for partition, commit in commits.items():
            topics[partition.topic].append((partition.number, commit.offset, commit.metadata))
        answer = await self._answer(
            OffsetCommitRequest(
                self._coordinator.group_id,
                generation,
                member,
                OffsetCommitRequest.DEFAULT_RETENTION_TIME,
                list(topics.items()),
            )
        )
        for topic, results in answer.topics:
            for _number, code in results:
                self._check(topic, code)

    async def read(self, partitions: Collection[Partition]) -> Mapping[Partition, Commit]:
        """What was committed last, for those that have a commit.

        Raises:
            aiokafka.errors.KafkaError: Not all of them could be looked up.
        """
        await self._coordinator.ensure_coordinator_known()
        topics: defaultdict[str, list[int]] = defaultdict(list)
        for partition in partitions:
            topics[partition.topic].append(partition.number)
        answer = await self._answer(
            OffsetFetchRequest(self._coordinator.group_id, list(topics.items()))
        )
        found: dict[Partition, Commit] = {}
        for topic, results in answer.topics:
            for number, offset, metadata, code in results:
                if theirs.for_code(code) is theirs.UnknownTopicOrPartitionError:
                    continue
                self._check(topic, code)
                if offset != _NO_COMMIT:
                    found[Partition(topic, number)] = Commit(offset, metadata or "")
        return found

    @property
    def _coordinator(self) -> Any:
        return self._consumer._coordinator

    def look_for_coordinator(self) -> None:
        """The broker that coordinates the group has not answered: find out who it is now."""
        self._coordinator.coordinator_dead()

    async def _answer(self, request: Any) -> Any:
        node = self._coordinator.coordinator_id
        if node is None:
            raise theirs.GroupCoordinatorNotAvailableError
        try:
            return await self._consumer._client.send(node, request, group=_CONNECTION)
        except theirs.KafkaError:
            self.look_for_coordinator()
            raise

    def _check(self, topic: str, code: int) -> None:
        error = theirs.for_code(code)
        if error is theirs.NoError:
            return
        if error in _ANOTHER_COORDINATOR:
            self.look_for_coordinator()
        if error is theirs.GroupAuthorizationFailedError:
            raise error(self._coordinator.group_id)
        if error is theirs.TopicAuthorizationFailedError:
            raise error({topic})
        raise error


_ANOTHER_COORDINATOR = (
    theirs.GroupCoordinatorNotAvailableError,
    theirs.NotCoordinatorForGroupError,
    theirs.RequestTimedOutError,
)
