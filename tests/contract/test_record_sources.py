"""One contract for every source of records: a real Kafka, the embedded one, and the simulated one.

The simulation proves promises on its broker only as far as that broker behaves like the real one;
so both are held to the words of `relay.road.consuming.source` here.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaProducer

from relay.model import Commit, Partition
from relay.road.consuming.kafka import KafkaSource
from relay.road.consuming.source import CommitRefused
from relay.sandbox.embedded_broker import embedded_broker
from relay.settings.kafka import KafkaSettings
from tests.support.simulation.cluster import SimCluster, SimSource

pytestmark = pytest.mark.slow

PARTITIONS = 4


@dataclass
class Listener:
    """Writes down what it is told, and may be made to wait or to act."""

    told: list = field(default_factory=list)
    on_assign: list = field(default_factory=list)
    on_revoke: list = field(default_factory=list)

    async def on_assigned(self, partitions, epoch):
        self.told.append(("assigned", frozenset(partitions), epoch))
        for act in self.on_assign:
            await act(partitions)

    async def on_revoked(self, partitions):
        self.told.append(("revoked", frozenset(partitions), None))
        for act in self.on_revoke:
            await act(partitions)

    def on_moved(self, partition, offset):
        pass

    def count(self, what):
        return sum(told[0] == what for told in self.told)

    @property
    def owned(self):
        now = frozenset()
        for what, partitions, _ in self.told:
            now = now | partitions if what == "assigned" else now - partitions
        return now


class OnKafka:
    """A topic of four partitions on something that speaks Kafka's protocol."""

    def __init__(self, address, topic):
        self.address = address
        self.topic = topic

    def source(self):
        settings = KafkaSettings(
            bootstrap_servers=self.address,
            topics=[self.topic],
            group_id=self.topic,
            session_timeout_s=6,
        )
        return KafkaSource(settings.consumer("{topic}.dlq"), lambda _: None)

    async def produce(self, partition, count):
        async with AIOKafkaProducer(bootstrap_servers=self.address) as producer:
            for number in range(count):
                await producer.send(self.topic, b"%d" % number, partition=partition)
            await producer.flush()


class Simulated:
    """The same on the simulation's broker, with the gaps that it makes between offsets."""

    def __init__(self):
        self.topic = "events"
        self.cluster = SimCluster(PARTITIONS, random.Random(7), self.topic)

    def source(self):
        return SimSource(self.cluster)

    async def produce(self, partition, count):
        for number in range(count):
            self.cluster.produce(partition, 0, None, b"%d" % number)


# The embedded broker needs no Kafka, but three seconds for every join of a group.
slow = pytest.mark.broker


@pytest.fixture(
    params=[
        pytest.param("kafka", marks=pytest.mark.broker),
        pytest.param("embedded", marks=slow),
        "simulated",
    ]
)
async def world(request):
    match request.param:
        case "kafka":
            kafka = request.getfixturevalue("kafka")
            topic = kafka.create_topic(partitions=PARTITIONS)
            yield OnKafka(kafka.bootstrap_servers, topic)
        case "embedded":
            with embedded_broker("events") as address:
                yield OnKafka(address, "events")
        case "simulated":
            simulated = Simulated()
            async with asyncio.TaskGroup() as group:
                running = group.create_task(simulated.cluster.coordinate())
                yield simulated
                running.cancel()


@contextlib.asynccontextmanager
async def member(world, listener=None):
    source = world.source()
    await source.start(listener or Listener())
    try:
        yield source
    finally:
        await source.stop()


async def polled_until(source, condition):
    records = []
    async with asyncio.timeout(30):
        while not condition():
            records += await source.poll(500, 0.05)
    return records


async def read(source, count):
    records = []
    async with asyncio.timeout(30):
        while len(records) < count:
            records += await source.poll(500, 0.05)
    return records


async def test_each_partition_comes_in_its_order_with_the_epoch_of_its_assignment(world):
    listener = Listener()
    for partition in range(PARTITIONS):
        await world.produce(partition, 50)

    async with member(world, listener) as source:
        records = await read(source, 50 * PARTITIONS)

    for number in range(PARTITIONS):
        own = [r for r in records if r.partition == number]
        assert [r.value for r in own] == [b"%d" % n for n in range(50)]
        assert [r.offset for r in own] == sorted({r.offset for r in own})
    (_, partitions, epoch), *_ = listener.told
    assert partitions == {Partition(world.topic, n) for n in range(PARTITIONS)}
    assert {r.epoch for r in records} == {epoch}


async def test_nothing_comes_before_the_listener_has_been_told(world):
    released = asyncio.Event()

    async def hold(_):
        await released.wait()

    listener = Listener(on_assign=[hold])
    await world.produce(0, 5)

    async with member(world, listener) as source:
        assert await polled_until(source, lambda: listener.count("assigned")) == []
        assert await source.poll(500, 0.05) == []
        released.set()
        assert len(await read(source, 5)) == 5


async def test_from_a_paused_partition_nothing_comes_and_nothing_is_lost(world):
    await world.produce(0, 100)
    await world.produce(1, 100)
    zero, one = Partition(world.topic, 0), Partition(world.topic, 1)
    listener = Listener()

    async with member(world, listener) as source:
        early = await polled_until(source, lambda: listener.count("assigned"))
        while not early:
            early = await source.poll(7, 0.05)
        source.pause([zero])
        async with asyncio.timeout(30):
            while sum(r.tp == one for r in early) < 100:
                new = await source.poll(7, 0.05)
                assert {r.tp for r in new} <= {one}
                early += new
        source.resume([zero])
        rest = await read(source, 200 - len(early))

    values = [r.value for r in early + rest if r.tp == zero]
    assert values == [b"%d" % n for n in range(100)]


async def test_what_is_put_back_comes_again_in_its_order_and_other_partitions_go_on(world):
    await world.produce(0, 40)
    await world.produce(1, 40)
    zero, one = Partition(world.topic, 0), Partition(world.topic, 1)
    listener = Listener()

    async with member(world, listener) as source:
        records = []
        async with asyncio.timeout(30):
            while not any(r.tp == zero for r in records):
                records += await source.poll(7, 0.05)
        first = next(r for r in records if r.tp == zero)
        assert not source.put_back(zero, first.offset, first.epoch - 1)
        assert source.put_back(zero, first.offset, first.epoch)
        source.pause([zero])
        others = [r for r in records if r.tp == one]
        async with asyncio.timeout(30):
            while len(others) < 40:
                others += await source.poll(7, 0.05)
        source.resume([zero])
        again = await read(source, 40)

    assert [r.value for r in again] == [b"%d" % n for n in range(40)]
    assert {r.tp for r in again} == {zero}
    assert [r.value for r in others if r.tp == one] == [b"%d" % n for n in range(40)]


async def test_with_everything_paused_polling_goes_on(world):
    listener = Listener()

    async with member(world, listener) as source:
        await polled_until(source, lambda: listener.count("assigned"))
        source.pause(listener.owned)
        await world.produce(0, 5)
        for _ in range(3):
            assert await source.poll(500, 0.02) == []
        source.resume(listener.owned)
        assert len(await read(source, 5)) == 5


async def test_a_commit_is_read_back_with_its_metadata_and_reading_goes_on_there(world):
    here, other = Partition(world.topic, 0), Partition(world.topic, 1)
    commit = Commit(3, "r1" + "x" * 4000)
    await world.produce(0, 6)
    listener = Listener()

    async with member(world, listener) as source:
        first = await read(source, 6)
        # A source may commit where it begins, and nothing else by itself.
        before = await source.committed([here, other])
        assert set(before) == {here, other}
        assert set(before.values()) <= {None, Commit(0, "")}
        commit = Commit(first[3].offset, commit.metadata)
        await source.commit({here: commit})
        assert await source.committed([here, other]) == before | {here: commit}

    async with member(world) as source:
        again = await read(source, 3)
        assert [r.offset for r in again] == [r.offset for r in first[3:]]
        assert await source.committed([here]) == {here: commit}


async def test_the_end_of_a_partition_is_one_past_its_last_record(world):
    await world.produce(0, 20)
    here = Partition(world.topic, 0)
    listener = Listener()

    async with member(world, listener) as source:
        records = await polled_until(source, lambda: listener.count("assigned"))
        while len(records) < 20:
            records += await source.poll(6, 0.05)
            if records:
                assert source.ends()[here] > records[-1].offset
        assert source.ends()[here] == records[-1].offset + 1
        assert set(source.ends()) <= listener.owned


async def test_a_commit_for_what_is_not_ours_is_refused(world):
    listener = Listener()

    async with member(world, listener) as source:
        await polled_until(source, lambda: listener.count("assigned"))
        with pytest.raises(CommitRefused):
            await source.commit({Partition(world.topic, 99): Commit(1)})


async def test_stopping_revokes_first_and_what_is_committed_then_counts(world):
    await world.produce(0, 10)
    here = Partition(world.topic, 0)
    listener = Listener()
    source = world.source()
    await source.start(listener)
    records = await read(source, 10)

    async def commit(_):
        await source.commit({here: Commit(records[7].offset, "last")})

    listener.on_revoke.append(commit)
    owned = listener.owned
    await source.stop()
    assert listener.told[-1] == ("revoked", owned, None)

    async with member(world) as after:
        assert [r.offset for r in await read(after, 3)] == [r.offset for r in records[7:]]


async def test_a_second_member_gets_its_share_after_the_first_has_finished_with_it(world):
    if isinstance(world, OnKafka) and world.topic == "events":
        pytest.skip("the embedded broker takes one member a group")
    everything = {Partition(world.topic, n) for n in range(PARTITIONS)}
    for number in range(PARTITIONS):
        await world.produce(number, 10)
    first, second = Listener(), Listener()

    async with member(world, first) as one:
        records = await read(one, 10 * PARTITIONS)
        sevenths = {p: sorted(r.offset for r in records if r.tp == p)[7] for p in everything}

        async def commit(partitions):
            await one.commit({p: Commit(sevenths[p]) for p in partitions})

        first.on_revoke.append(commit)
        async with member(world, second) as two:
            async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                more = group.create_task(polled_until(one, lambda: second.owned))
                taken = await polled_until(two, lambda: second.owned)
            assert more.result() == [], "what stays is not read again"
            assert first.told[1:] == [("revoked", second.owned, None)]
            assert first.owned | second.owned == everything
            assert len(first.owned) == len(second.owned)

            for partition in everything:
                await world.produce(partition.number, 1)
            kept = await read(one, len(first.owned))
            taken += await read(two, 4 * len(second.owned) - len(taken))
            for records, owned in ((kept, first.owned), (taken, second.owned)):
                assert {r.tp for r in records} == owned
                assert all(r.offset >= sevenths[r.tp] for r in records)
            assert {r.epoch for r in kept} == {first.told[0][2]}

            first.on_revoke.clear()
            with pytest.raises(CommitRefused):
                await one.commit({p: Commit(sevenths[p] + 1) for p in second.owned})
