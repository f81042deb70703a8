"""A Kafka consumer group → records, and offsets back: the `RecordSource` over aiokafka.

Thin: what to read, pause and commit is decided by the pipeline. What is here makes aiokafka do just
that; each of its surprises is named at the line that answers it (aiokafka 0.14 was read for this).
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from relay.errors import KafkaError, KafkaRefused, KafkaUnreachable
from relay.kafka_client.build import require_codecs
from relay.kafka_client.errors import denies_access, denies_group, translated
from relay.kafka_client.fresh import fresh
from relay.kafka_client.header_names import accept_any_names
from relay.model import Commit, Partition, Record
from relay.road.consuming.access import AccessWatch
from relay.road.consuming.assignor import CooperativeAssignor
from relay.road.consuming.broker_watch import BrokerWatch
from relay.road.consuming.connecting import connect_apart
from relay.road.consuming.consumer_internals import ConsumerInternals
from relay.road.consuming.facts import PositionLost
from relay.road.consuming.group_commits import GroupCommits
from relay.road.consuming.group_offsets import GroupOffsets
from relay.road.consuming.held import Held
from relay.road.consuming.options import consumer_options, join_s
from relay.road.consuming.policy import ConsumerPolicy
from relay.road.consuming.positions import FirstPositions
from relay.road.consuming.rebalances import Rebalances
from relay.road.consuming.share_watch import ShareWatch
from relay.road.consuming.source import AssignmentListener, SourceState
from relay.road.consuming.taken import Taken
from relay.road.consuming.topic_watch import TopicWatch
from relay.road.consuming.topics import await_topics, reading_pattern
from relay.road.consuming.troubles import Troubles
from relay.road.facts import KafkaUnavailable
from relay.road.steps import each
from relay.telemetry.facts import Emit

_POLL_GRACE_S = 0.1  # beyond its own timeout, so that ours ends it only where it hangs


class KafkaSource:
    """One member of a consumer group. Its methods are called by one task, the pipeline's."""

    def __init__(self, policy: ConsumerPolicy, emit: Emit) -> None:
        self._policy = policy
        self._emit = emit
        self._consumer: Any = None  # aiokafka is untyped
        self._internals: ConsumerInternals
        self._positions: FirstPositions
        self._commits: GroupCommits
        self._listener: AssignmentListener | None = None
        self._ours = Held()
        self._paused: set[Partition] = set()
        self._wanted: tuple[TopicPartition, ...] = ()
        self._changed = asyncio.Event()
        self._handing = asyncio.Lock()
        self._taken = Taken()
        self._failure: BaseException | None = None
        self._troubles = Troubles()
        self._watch = BrokerWatch(policy.client, policy.isolation_level, self._troubles, emit)
        self._shares = ShareWatch()
        self._access = AccessWatch(self._troubles, emit)
        self._topics = TopicWatch(policy.topics, policy.topic_pattern, self._troubles, emit)
        self._worked = False
        """Whether a broker has let us read: then a refusal may pass, before it is a setting."""

    async def start(self, listener: AssignmentListener) -> None:
        """Join the group; `RecordSource.start`."""
        require_codecs()
        accept_any_names()
        cluster = await await_topics(self._policy, self._emit)
        self._listener = listener
        options = consumer_options(self._policy, CooperativeAssignor(self._claim))
        # An address that answers: aiokafka tries them one after the other.
        options["bootstrap_servers"] = cluster.entrance
        # From here on `stop` closes it: a start that is cancelled must not wait for brokers.
        consumer = fresh(AIOKafkaConsumer(**options), self._policy.client)
        connect_apart(consumer, self._policy.client.request_timeout_s, join_s(self._policy))
        self._consumer = consumer
        self._internals = ConsumerInternals(consumer)
        self._commits = GroupCommits(
            GroupOffsets(consumer),
            self._policy.client.request_timeout_s,
            ours=self._ours.epochs,
            told=self._tell,
            held=self._held,
        )
        self._positions = FirstPositions(
            self._policy,
            self._emit,
            self._internals,
            commit=self.commit,
            committed=self.committed,
            passed=self._passed,
            found=self._go_to,
            told=self._tell,
        )
        with translated("Kafka"):
            await consumer.start()
        if self._policy.group_instance_id is not None:
            self._internals.refuse_to_replace_a_namesake()
        self._watch.start(self._internals)
        if self._policy.shares_rate:
            self._shares.start(self._internals, consumer.subscription)
        # After start(), which would otherwise wait for other members to hand over partitions.
        consumer.subscribe(
            topics=self._policy.topics,
            pattern=reading_pattern(self._policy),
            listener=Rebalances(self.assigned, self.joining, self.failed),
        )

    async def poll(self, records_max: int, timeout_s: float) -> list[Record]:
        """What has come; `RecordSource.poll`."""
        if self._failure is not None:
            raise self._failure
        self._internals.check_alive()
        if self._ours.forgotten:
            async with self._handing:
                await self._give_up_forgotten()
        self._positions.check()
        self._watch.task.check()
        self._shares.task.check()
        now = asyncio.get_running_loop().time()
        # A refusal before a broker has ever let us read is a mistake in the settings, and ends the
        # start; after that it is an ACL that somebody took away and may give back (`_held`).
        self._worked = self._worked or any(
            self._internals.end(Partition(*tp)) is not None for tp in self._wanted
        )
        self._topics.look(self._internals.known(self._consumer.subscription()), now)
        try:
            with translated("reading from Kafka"):
                if self._wanted:
                    records = await self._fetched(records_max, timeout_s)
                else:
                    self._internals.show_life()
                    records = await self._until_changed(timeout_s)
        except KafkaUnreachable as problem:
            self._tell(problem, timeout_s)
            await asyncio.sleep(timeout_s)
            return []
        except KafkaRefused as problem:
            if not self._held(problem):
                raise
            await asyncio.sleep(timeout_s)
            return []
        self._access.calm(now)
        return records

    def pause(self, partitions: Collection[Partition]) -> None:
        """Take nothing from these; `RecordSource.pause`."""
        self._paused |= self._ours.all.intersection(partitions)
        self._update()

    def resume(self, partitions: Collection[Partition]) -> None:
        """Take from these again; `RecordSource.resume`."""
        self._paused.difference_update(partitions)
        self._update()

    def put_back(self, partition: Partition, offset: int, epoch: int) -> bool:
        """Hand out again from `offset` on; `RecordSource.put_back`."""
        if epoch != self._ours.epoch_of(partition):
            return False
        self._taken.moved(partition, offset)
        tp = TopicPartition(*partition)
        if tp in self._consumer.assignment():  # else it leaves, or `assigned` will seek
            self._consumer.seek(tp, offset)
        return True

    async def commit(self, commits: Mapping[Partition, Commit]) -> None:
        """Store offsets with metadata; `RecordSource.commit`."""
        for partition, commit in commits.items():
            self._taken.committed(partition, commit.offset)
        await self._commits.write(commits)

    async def committed(
        self, partitions: Collection[Partition]
    ) -> Mapping[Partition, Commit | None]:
        """What was committed last; `RecordSource.committed`."""
        found = await self._commits.read(partitions)
        for partition, commit in found.items():
            if commit is not None:
                self._taken.begins(partition, commit.offset)
            elif partition in self._ours.coming:
                # All at once, while they are handed over: later they turn up one by one.
                self._positions.needed(partition)
        return found

    def ends(self) -> Mapping[Partition, int]:
        """One past the last record of each; `RecordSource.ends`."""
        known = {partition: self._end(partition) for partition in self._ours.all}
        return {partition: end for partition, end in known.items() if end is not None}

    def _end(self, partition: Partition) -> int | None:
        """What a fetch or an answer told last: the later of the two, as logs only grow."""
        # Both may be old: a fetch tells nothing while the partition is paused, and the watch asks
        # every two seconds.
        told = (self._internals.end(partition), self._watch.ends.readable(partition))
        end = max((end for end in told if end is not None), default=None)
        position = self._internals.position(partition)
        if end is not None and position is not None and position >= end:
            # The marks that end transactions take offsets too. Nothing but those lies behind the
            # last record that was handed out, so a partition that is all read ends there.
            return self._taken.next_offset(partition)
        return end

    def state(self) -> SourceState:
        """What is wrong with Kafka now; `RecordSource.state`."""
        ends = self._watch.ends
        return replace(
            self._troubles.worst(),
            held_back=dict(ends.held_back),
            held_since=dict(ends.held_since),
            not_begun=frozenset(self._positions.pending),
        )

    def share(self) -> float:
        """Our part of the group's work; `RecordSource.share`."""
        # Of all topics that are read: of some, other members may have everything.
        topics = self._consumer.subscription()
        total = sum(len(self._consumer.partitions_for_topic(topic) or ()) for topic in topics)
        return self._shares.produced.of(self._ours.all, total)

    async def stop(self) -> None:
        """Leave the group; `RecordSource.stop`."""
        if self._consumer is None:
            return
        self._commits.stopping = True
        left = False
        try:
            failed = await each(
                self._watch.task.stop,
                self._shares.task.stop,
                self._give_up_all,
                self._positions.end,
                self._internals.stop,
            )
            left = True
        finally:
            if not left:  # in the middle of a join, or no broker answers
                await self._internals.close_connections()
        if failed is not None:
            raise failed

    # -- rebalances (called by aiokafka's coordinator) ------------------------------------------

    # Whether we still have what we have while the group sorts itself anew:
    #
    #     the group has forgotten us       no: another may have been given it already
    #     all members use our assignor     yes: it stays, and is read and committed meanwhile
    #     the policy does not keep them    no: given up before every join, as older clients do
    async def joining(self) -> None:
        """We are about to join the group: what is ours stays ours during the rebalance.

        aiokafka takes it all for revoked. Records are handed out, sent and committed meanwhile.
        """
        if not self._internals.is_member:
            self._ours.forget()
            async with self._handing:
                await self._give_up_forgotten()
        if not self._policy.keeps_partitions:
            await self._give_up_all()
        self._internals.go_on_meanwhile()
        await self._positions.look_before_join(self._consumer.subscription())

    def _claim(self) -> tuple[frozenset[Partition], int]:
        """What we hold, and since which generation; asked for at every attempt to join."""
        claim = self._ours.claim(is_member=self._internals.is_member)
        if self._ours.forgotten:
            self._changed.set()
        return claim

    # A rebalance is over. In this order, since aiokafka hands out records all the while:
    #
    #     1. what stays goes on where it was: aiokafka has reset it to the commit
    #     2. heartbeats begin, for the rest may take as long as the longest request
    #     3. what the group has forgotten is given up, before anything is taken anew
    #     4. what is new: the listener reads the commits, and only then are records taken
    #     5. what leaves: the listener finishes with it, and only then do we join anew, so that the
    #        group can give it to another member (ADR 9)
    async def assigned(self, partitions: Collection[Partition]) -> None:
        """The rebalance is over, and these are ours from now on."""
        given, ours = frozenset(partitions), self._ours
        if not ours.forgotten:  # at once: aiokafka would begin at the commits
            for partition in ours.all & given:
                position = self._taken.position(partition)
                if position is not None:
                    self._consumer.seek(TopicPartition(*partition), position)
        self._update()  # of a new assignment nothing is paused
        is_first = ours.rebalanced(self._internals.generation)
        self._internals.start_heartbeats()
        async with self._handing:
            await self._give_up_forgotten()
            leaving = ours.all - given
            ours.leave(leaving)
            self._update()
            await self._take_over(given - ours.all)
            if self._internals.closing():
                return
            await self._give_up(leaving)
            # Now they are free. And a member with a name is given what its predecessor had: what
            # that was about to give up is nobody's until the next rebalance.
            inherits = is_first and self._policy.group_instance_id is not None
            if leaving or (inherits and self._policy.keeps_partitions):
                self._internals.rejoin()

    async def _take_over(self, partitions: frozenset[Partition]) -> None:
        if not partitions and self._ours.epoch:
            return
        epoch = self._ours.begin(partitions)
        self._taken.forget(partitions)
        self._watch.assigned(self._ours.all)
        if self._listener is not None:
            await self._listener.on_assigned(partitions, epoch)
        # Not earlier: aiokafka would hand out records while the listener is still being told.
        if self._internals.closing():
            return  # stopped meanwhile: nobody would call `_give_up` again
        self._ours.begun()
        self._positions.begin()
        self._update()

    async def _give_up(self, leaving: frozenset[Partition]) -> None:
        """Let the listener finish with these; only then are they somebody else's."""
        if not leaving:
            return
        self._ours.leave(leaving)
        await self._positions.keep(self._ours.read)
        self._update()
        try:
            if self._listener is not None:
                await self._listener.on_revoked(leaving)
        finally:
            self._topics.revoked(self._taken.uncommitted(leaving))
            self._ours.left(leaving)
            self._paused -= leaving
            self._taken.forget(leaving)
            self._watch.assigned(self._ours.all)

    async def _give_up_all(self) -> None:
        async with self._handing:
            await self._give_up(self._ours.all)

    async def _give_up_forgotten(self) -> None:
        if self._ours.forgotten:
            try:
                await self._give_up(self._ours.all)
            finally:
                self._ours.forgotten = False

    def failed(self, error: BaseException) -> None:
        """The listener failed; aiokafka would log that and go on, so `poll` raises it."""
        self._failure = error
        self._changed.set()

    async def _fetched(self, records_max: int, timeout_s: float) -> list[Record]:
        try:
            # getmany keeps its own timeout except when a rebalance begins meanwhile.
            async with asyncio.timeout(timeout_s + _POLL_GRACE_S):
                # Only partitions that are not paused: of a paused one that it is asked for,
                # getmany throws away what was fetched ahead.
                batches = await self._consumer.getmany(
                    *self._wanted, timeout_ms=round(timeout_s * 1000), max_records=records_max
                )
        # What `getmany` may end with, besides records:
        #
        #     no offset for a partition   we begin there by our own rules (`positions`)
        #     an offset the log has not   the same; what is lost is told
        #     out of time                 a rebalance began meanwhile, and it would wait for its end
        #
        # After any of them aiokafka believes that it is being read from for ever: see
        # `repair_idle_clock`.
        except NoOffsetForPartitionError as error:
            self._begin(error.args[0])
        except OffsetOutOfRangeError as error:
            for tp, offset in error.args[0].items():
                self._begin(tp, lost=offset)
        except TimeoutError:
            self._internals.repair_idle_clock()
        else:
            records = [
                Record(
                    topic=tp.topic,
                    partition=tp.partition,
                    offset=message.offset,
                    timestamp_ms=message.timestamp,
                    key=message.key,
                    value=message.value,
                    headers=message.headers,
                    epoch=epoch,
                )
                for tp, messages in batches.items()
                for epoch in (self._ours.epoch_of(Partition(*tp)),)
                for message in messages
            ]
            for tp, messages in batches.items():
                self._taken.took(Partition(*tp), messages[0].offset, messages[-1].offset)
            return records
        return []

    async def _until_changed(self, timeout_s: float) -> list[Record]:
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        return []

    def _begin(self, tp: TopicPartition, *, lost: int | None = None) -> None:
        """A partition has no usable offset: nothing is taken from it until it has."""
        self._internals.repair_idle_clock()
        self._positions.needed(Partition(*tp), lost)
        self._update()

    def _go_to(self, offsets: Mapping[Partition, int], lost: Mapping[Partition, int]) -> None:
        """Begin at these offsets."""
        for partition, offset in offsets.items():
            self._consumer.seek(TopicPartition(*partition), offset)
            self._taken.moved(partition, offset)
            if self._listener is not None:
                self._listener.on_moved(partition, offset)
        for partition, was in lost.items():
            self._emit(
                PositionLost(
                    partition=str(partition),
                    offset=was,
                    resumed_at=offsets[partition],
                    gone=max(0, offsets[partition] - was),
                )
            )
        self._update()

    def _passed(self, partition: Partition, committed: int) -> int:
        """How far nothing is left to deliver: further than the commit, where only marks follow.

        Transactions end with marks that are no records, so a commit may stay short of the end.
        """
        position = self._internals.position(partition)
        if position is None or self._taken.next_offset(partition) > committed:
            return committed
        return max(committed, position)

    def _held(self, problem: KafkaRefused) -> bool:
        """Whether access was taken away, which is told, and tried again until it is back."""
        if not (self._worked and denies_access(problem)):
            return False
        self._access.refused(problem, asyncio.get_running_loop().time())
        if denies_group(problem):
            self._internals.rejoin()
        return True

    def _tell(self, problem: KafkaError, retry_in_s: float) -> None:
        self._emit(KafkaUnavailable.of(problem, retry_in_s))

    def _update(self) -> None:
        """Make aiokafka fetch for what is wanted, and for nothing else."""
        # Wanted is what the listener knows of, nobody has paused, and has an offset to begin at.
        ready = self._ours.read - self._paused - self._positions.pending
        wanted = {TopicPartition(*partition) for partition in ready}
        self._wanted = tuple(wanted)
        for tp in self._consumer.assignment():
            # Left out, what was fetched ahead is kept; paused, nothing more is fetched.
            if tp in wanted:
                self._consumer.resume(tp)
            else:
                self._consumer.pause(tp)
        self._changed.set()
