"""A broker with one consumer group: logs, commits with metadata, rebalances, fencing.

Speaks the words of `relay.road.consuming.source` as the Kafka edge does: partitions are assigned by
`relay.road.consuming.assigning`, what moves is given up before it is given to another; commits of
an old generation are refused; a member that dies is noticed after the session timeout.
"""

import asyncio
import math
import random
from dataclasses import dataclass, field

from relay.errors import KafkaError, KafkaUnreachable
from relay.model import Commit, Partition, Record
from relay.road.consuming.assigning import Member, assign
from relay.road.consuming.produced_share import ProducedShare
from relay.road.consuming.source import CommitRefused, SourceState
from tests.support.simulation.sabotage import Sabotage

METADATA_BYTES_MAX = 4096


@dataclass
class Stored:
    """A record in a log."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass
class Log:
    """One partition. `next` may run ahead of the last record: offsets have gaps."""

    records: list[Stored] = field(default_factory=list)
    next: int = 0

    def append(self, timestamp_ms, key, value, headers=()):
        stored = Stored(self.next, timestamp_ms, key, value, headers)
        self.records.append(stored)
        self.next += 1
        return stored.offset


class SimCluster:
    """Holds the logs and runs the group."""

    SESSION_TIMEOUT_S = 10.0
    REBALANCE_TIMEOUT_S = 60.0

    def __init__(
        self, partitions, rng: random.Random, topic="events", sabotage=None, *, keeps=True
    ):
        self.topic = topic
        self.sabotage = sabotage or Sabotage()
        self.keeps = keeps
        """Whether members keep their partitions during a rebalance."""
        self.logs = {Partition(topic, n): Log() for n in range(partitions)}
        self.commits: dict[Partition, Commit] = {}
        self.members: list[SimSource] = []
        self.written: list[tuple[float, int, int]] = []
        """Of each request to commit: when, of how many partitions, bytes of metadata."""
        self.moved: list[tuple[float, int]] = []
        """When partitions were handed over, and how many."""
        self.generation = 0
        self.down_until = 0.0
        self.rng = rng
        self._changed = asyncio.Event()
        self._arrived = asyncio.Event()

    def produce(self, number, timestamp_ms, key, value, headers=()):
        """Append a record; now and then an offset is skipped, as after a transaction marker."""
        log = self.logs[Partition(self.topic, number)]
        if self.rng.random() < 0.02:
            log.next += 1
        offset = log.append(timestamp_ms, key, value, headers)
        self._arrived.set()
        self._arrived = asyncio.Event()
        return offset

    async def coordinate(self):
        """Run the group until cancelled: each time members come or go, all is assigned anew."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._rebalance()

    def member_changed(self):
        self._changed.set()

    async def _rebalance(self):
        alive = [m for m in self.members if not m.dead and not m.left]
        for member in self.members:
            if member not in alive:
                member.owned = {}
        if not self.keeps:
            async with asyncio.TaskGroup() as giving_up:
                for member in alive:
                    giving_up.create_task(self._give_up(member, set(member.owned)))
            alive = [m for m in alive if not m.dead and not m.left]
        topics = frozenset({self.topic})
        claims = {
            f"{number:03}": Member(topics, frozenset(member.owned), member.generation)
            for number, member in enumerate(alive)
        }
        assignment = assign(claims, list(self.logs))
        self.generation += 1
        for member in alive:
            member.generation = self.generation
        async with asyncio.TaskGroup() as handing:
            for member, given in zip(alive, assignment.values(), strict=True):
                handing.create_task(self._hand_over(member, given))

    async def _hand_over(self, member, given):
        leaving = member.owned.keys() - given
        await member.take_over(given - member.owned.keys())
        if leaving:
            await self._give_up(member, set(leaving))
            self._changed.set()  # now they are free

    async def _give_up(self, member, leaving):
        if not leaving or member.dead or member.left:
            return
        try:
            async with asyncio.timeout(self.REBALANCE_TIMEOUT_S):
                await member.listener.on_revoked(sorted(leaving))
        except TimeoutError:
            pass
        for partition in leaving:
            member.owned.pop(partition, None)

    async def arrival(self, timeout_s):
        """Wait for something new, at most so long."""
        arrived = self._arrived
        try:
            async with asyncio.timeout(timeout_s):
                await arrived.wait()
        except TimeoutError:
            pass


class SimSource:
    """One member of the group; what a pipeline sees of the broker."""

    def __init__(self, cluster: SimCluster, *, shares_rate=False):
        self.cluster = cluster
        self.listener = None
        self.owned: dict[Partition, int | None] = {}
        self.paused: set[Partition] = set()
        self.epochs: dict[Partition, int] = {}
        self.generation = -1
        self.epoch = 0
        self.dead = False
        self.left = False
        self.failure = None
        self.last_poll = None
        self.produced = ProducedShare()
        self.asks_at = 0.0 if shares_rate else math.inf
        self.longest_silence_s = 0.0

    async def start(self, listener):
        self.listener = listener
        self.cluster.members.append(self)
        self.cluster.member_changed()

    async def take_over(self, gained):
        if not gained and self.epoch:
            return
        self.epoch += 1
        self.cluster.moved.append((asyncio.get_running_loop().time(), len(gained)))
        self.paused.difference_update(gained)
        gained = sorted(gained)  # whatever the hashes of this process are
        self.owned.update(dict.fromkeys(gained))  # no position yet: nothing is handed out
        self.epochs.update(dict.fromkeys(gained, self.epoch))
        try:
            await self.listener.on_assigned(gained, self.epoch)
        except KafkaError as error:  # the next poll raises it, as with the Kafka edge
            self.failure = error
        for partition in filter(self.owned.__contains__, gained):
            commit = self.cluster.commits.get(partition)
            self.owned[partition] = commit.offset if commit else 0

    async def poll(self, records_max, timeout_s):
        now = asyncio.get_running_loop().time()
        if self.last_poll is not None:
            self.longest_silence_s = max(self.longest_silence_s, now - self.last_poll)
        self.last_poll = now
        if now >= self.asks_at:
            self.asks_at = now + self.produced.look_again_s()
            self.produced.told({p: log.next for p, log in self.cluster.logs.items()}, now)
        if self.failure is not None:
            raise self.failure
        self.cluster.sabotage.strike("poll")
        found = self._take(records_max)
        if not found:
            await self.cluster.arrival(timeout_s)
            found = self._take(records_max)
        return found

    def _take(self, records_max):
        found = []
        loop = asyncio.get_running_loop()
        if loop.time() < self.cluster.down_until:
            return found
        for partition, position in self.owned.items():
            if position is None or partition in self.paused:
                continue
            log = self.cluster.logs[partition]
            if position >= log.next:
                continue  # as nearly always where there are many
            for stored in log.records[_first_at(log.records, position) :]:
                if len(found) >= records_max:
                    return found
                found.append(
                    Record(
                        partition.topic,
                        partition.number,
                        stored.offset,
                        stored.timestamp_ms,
                        stored.key,
                        stored.value,
                        stored.headers,
                        epoch=self.epochs[partition],
                    )
                )
                self.owned[partition] = stored.offset + 1
        return found

    def pause(self, partitions):
        self.paused |= set(partitions)

    def resume(self, partitions):
        self.paused -= set(partitions)

    def put_back(self, partition, offset, epoch):
        if epoch != self.epochs.get(partition) or self.owned.get(partition) is None:
            return False
        self.owned[partition] = offset
        return True

    async def commit(self, commits):
        await asyncio.sleep(0.002)
        if self.dead or self.generation != self.cluster.generation:
            raise CommitRefused("stale generation")
        if asyncio.get_running_loop().time() < self.cluster.down_until:
            raise KafkaUnreachable("the broker does not answer")
        self.cluster.sabotage.strike("commit")
        self.cluster.sabotage.strike("commit_refused")
        if not commits.keys() <= self.owned.keys():
            raise CommitRefused("not the owner")
        size = sum(len(commit.metadata) for commit in commits.values())
        loop = asyncio.get_running_loop()
        self.cluster.written.append((loop.time(), len(commits), size))
        for partition, commit in commits.items():
            assert len(commit.metadata.encode()) <= METADATA_BYTES_MAX
            before = self.cluster.commits.get(partition)
            assert before is None or before.offset <= commit.offset, "a commit went back"
            self.cluster.commits[partition] = commit
        self.cluster.sabotage.strike("commit_done")

    async def committed(self, partitions):
        await asyncio.sleep(0.001)
        self.cluster.sabotage.strike("committed")
        return {p: self.cluster.commits.get(p) for p in partitions}

    def ends(self):
        return {p: self.cluster.logs[p].next for p in self.owned}

    def state(self):
        return SourceState()

    def share(self):
        return self.produced.of(self.owned, len(self.cluster.logs))

    async def stop(self):
        if self.dead or self.left:
            return
        if self.owned:  # as the Kafka edge does; a broker only hears of it
            await self.listener.on_revoked(set(self.owned))
        self.left = True
        self.owned = {}
        self.cluster.member_changed()

    def die(self):
        """The process is gone; the group notices after the session timeout."""
        self.dead = True
        loop = asyncio.get_running_loop()
        loop.call_later(self.cluster.SESSION_TIMEOUT_S, self.cluster.member_changed)


def _first_at(records, offset):
    low, high = 0, len(records)
    while low < high:
        middle = (low + high) // 2
        if records[middle].offset < offset:
            low = middle + 1
        else:
            high = middle
    return low
