"""Commits of the consumer group: written for our partitions, read for any."""

import asyncio
from collections.abc import Callable, Collection, Mapping

from aiokafka import errors as theirs

from relay.errors import KafkaError, KafkaRefused, KafkaUnreachable
from relay.kafka_client.errors import translated
from relay.model import Commit, Partition
from relay.road.consuming.group_offsets import GroupOffsets
from relay.road.consuming.positions import AGAIN_S, LOOK_UP_S
from relay.road.consuming.source import CommitRefused

_SOON_S = 0.1  # a rebalance, or another coordinator, is heard of within some of these


class GroupCommits:
    """Over a consumer, for one source.

    A commit is tried again while that may help, as Kafka answers:

    | answer | what it means |
    |---|---|
    | it is rebalancing, or this is another generation | we hear of the new one in a moment |
    | another broker coordinates the group, or this one does not answer | we look for the other |
    | it does not know us | our partitions are, or will be, another member's |

    It ends as soon as the partitions are not ours any more, or are so anew: what it would store is
    older than what their next owner has committed.
    """

    def __init__(
        self,
        offsets: GroupOffsets,
        request_s: float,
        *,
        ours: Callable[[Collection[Partition]], Mapping[Partition, int] | None],
        told: Callable[[KafkaError, float], None],
        held: Callable[[KafkaRefused], bool],
    ) -> None:
        """What the source does for us.

        Args:
            offsets: Sends the requests.
            request_s: How long a commit, or one look-up, may take.
            ours: By which assignment each of these is ours; None when one is not.
            told: Tells of an error, and when the next attempt is made.
            held: Whether a refusal is told, and tried again, instead of raised.
        """
        self._offsets = offsets
        self._request_s = request_s
        self._ours = ours
        self._told = told
        self._held = held
        self.stopping = False
        """Whether to give up what does not succeed at once."""

    async def write(self, commits: Mapping[Partition, Commit]) -> None:
        """See `RecordSource.commit`."""
        epochs = self._ours(commits.keys())
        if epochs is None:
            raise CommitRefused("the partitions are not ours any more")
        passing: theirs.KafkaError | None = None
        with translated("committing offsets"):
            try:
                async with asyncio.timeout(self._request_s):
                    while (refusal := await self._refusal(commits)) is not None:
                        passing = refusal
                        await asyncio.sleep(_SOON_S)
                        if self._ours(commits.keys()) != epochs:
                            raise CommitRefused("the partitions are not ours any more")
            except TimeoutError:
                if passing is None:
                    raise
                raise passing from None  # it says more than that the time is over

    async def _refusal(self, commits: Mapping[Partition, Commit]) -> theirs.KafkaError | None:
        """The error after which trying again may help; None when all is stored."""
        try:
            await self._offsets.write(commits)
        # Cases: the table of the class. What is raised ends the commit; what is returned is tried
        # again, as long as the same assignments are ours.
        except theirs.UnknownMemberIdError as error:
            raise CommitRefused("the group does not know this member any more") from error
        except (theirs.RebalanceInProgressError, theirs.IllegalGenerationError) as error:
            return error
        except theirs.KafkaError as error:
            if not error.retriable:
                raise
            return error
        return None

    async def read(self, partitions: Collection[Partition]) -> Mapping[Partition, Commit | None]:
        """See `RecordSource.committed`. Tries again, with more patience, while an error passes."""
        patience_s = LOOK_UP_S
        while (found := await self._attempt(partitions, patience_s)) is None:
            patience_s = min(2 * patience_s, self._request_s)
        return {partition: found.get(partition) for partition in partitions}

    async def _attempt(
        self, partitions: Collection[Partition], patience_s: float
    ) -> Mapping[Partition, Commit] | None:
        """None when the broker that knows did not answer: it may be another by now.

        Called while partitions are handed over, where an error would end the process.
        """
        try:
            with translated("reading committed offsets"):
                async with asyncio.timeout(patience_s):
                    return await self._offsets.read(partitions)
        except KafkaUnreachable as problem:
            if self.stopping:
                raise
            self._told(problem, AGAIN_S)
            self._offsets.look_for_coordinator()
        except KafkaRefused as problem:
            if self.stopping or not self._held(problem):
                raise
        await asyncio.sleep(AGAIN_S)
        return None
