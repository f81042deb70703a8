"""Where reading begins, and when, on a real broker."""

import asyncio
import contextlib

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import NewPartitions

from relay.model import Commit, Partition
from relay.road.consuming.facts import NewPartitionsRead, NewPartitionsWait
from relay.road.facts import KafkaUnavailable
from tests.road.consuming.test_kafka_source import (
    Listener,
    begun,
    member,
    numbers,
    polled_until,
    produce,
    read,
)

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def add_partitions(kafka, topic, total):
    done = kafka.admin.create_partitions([NewPartitions(topic, total)])
    done[topic].result(timeout=30)
    from tests.support.kafka_admin import wait_for  # noqa: PLC0415

    wait_for(lambda: kafka._has_leaders(topic, total), 30, "the new partitions have no leaders")


async def committed_everywhere(source, topic, count):
    await begun(source, *(Partition(topic, n) for n in range(count)))


async def test_latest_loses_nothing_that_comes_after_the_first_assignment(kafka):
    topic = kafka.create_topic(partitions=3)
    given = {"topics": [topic], "group_id": topic, "auto_offset_reset": "latest"}
    await produce(kafka, topic, numbers(5), partition=0)
    async with member(kafka, **given) as source:
        await committed_everywhere(source, topic, 3)

    await produce(kafka, topic, [b"between"], partition=0)
    await produce(kafka, topic, [b"between"], partition=2)
    async with member(kafka, **given) as source:
        assert [r.value for r in await read(source, 2)] == [b"between"] * 2


async def test_latest_reads_partitions_that_are_found_later_from_their_beginning(kafka, topic):
    given = {"topics": [topic], "group_id": topic, "auto_offset_reset": "latest"}
    await produce(kafka, topic, numbers(5))
    async with member(kafka, **given) as source:
        await committed_everywhere(source, topic, 1)
        await asyncio.to_thread(add_partitions, kafka, topic, 2)
        await produce(kafka, topic, [b"new"], partition=1)
        assert [r.value for r in await read(source, 1, 40)] == [b"new"]
        await source.commit({Partition(topic, 1): Commit(1, "")})

    await asyncio.to_thread(add_partitions, kafka, topic, 3)
    await produce(kafka, topic, [b"newer"], partition=2)
    async with member(kafka, **given) as source:
        assert [r.value for r in await read(source, 1, 40)] == [b"newer"]


async def test_a_first_start_of_two_members_by_latest_passes_over_what_is_there(kafka):
    topic = kafka.create_topic(partitions=2)
    given = {"topics": [topic], "group_id": topic, "auto_offset_reset": "latest"}
    for number in range(2):
        await produce(kafka, topic, numbers(5), partition=number)
    async with member(kafka, **given) as one, member(kafka, **given) as two:

        async def take(source):
            records = []
            async with asyncio.timeout(30):
                while not done.is_set():
                    records += await source.poll(10, 0.05)
            return records

        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(take(source)) for source in (one, two)]
            here = [Partition(topic, n) for n in range(2)]
            async with asyncio.timeout(20):
                while None in (await one.committed(here)).values():  # noqa: ASYNC110 - a broker's
                    await asyncio.sleep(0.05)
            assert await one.committed(here) == {tp: Commit(5, "") for tp in here}
            done.set()
    assert [r.value for reader in readers for r in reader.result()] == []


async def test_new_partitions_wait_until_the_group_has_passed_the_old_ones(kafka):
    """A backlog of 3,000 and 50 newer events, keys spread by Kafka's own partitioner."""
    topic = kafka.create_topic(partitions=2)
    users = [b"user-%d" % n for n in range(25)]
    facts = []
    async with member(kafka, facts=facts, topics=[topic], group_id=topic) as source:
        await committed_everywhere(source, topic, 2)
        await send(kafka, topic, users, range(3_000))
        await asyncio.to_thread(add_partitions, kafka, topic, 8)
        await send(kafka, topic, users, range(3_000, 3_050))

        def waits():
            return [fact for fact in facts if isinstance(fact, NewPartitionsWait)]

        taken = await polled_until(source, waits, 40)
        taken += await read(source, 3_000 - len(taken))
        for _ in range(20):
            taken += await source.poll(500, 0.05)
        assert {r.partition for r in taken} == {0, 1}, "nothing comes from the new ones yet"
        assert waits()[0].records >= 3_000
        assert source.state().not_begun == {Partition(topic, n) for n in range(2, 8)}

        # The engine settles, and commits, until the group has passed what lay there.
        ends = {r.tp: r.offset + 1 for r in sorted(taken, key=lambda r: r.offset)}
        await source.commit({tp: Commit(end, "") for tp, end in ends.items()})
        taken += await read(source, 3_050 - len(taken))
    assert breaks(taken) == 0
    assert {r.partition for r in taken} > {0, 1}
    done = [f for f in facts if isinstance(f, NewPartitionsRead)]
    assert done, "told at least once; again after a rebalance meanwhile"
    assert all(fact.missing == 0 for fact in done)


async def test_new_partitions_wait_no_longer_than_the_settings_say(kafka, topic):
    facts = []
    given = {"topics": [topic], "group_id": topic, "new_partition_wait_s": 0.2}
    async with member(kafka, facts=facts, **given) as source:
        await committed_everywhere(source, topic, 1)
        await produce(kafka, topic, numbers(3))
        await asyncio.to_thread(add_partitions, kafka, topic, 2)
        await produce(kafka, topic, [b"new"], partition=1)
        records = []
        async with asyncio.timeout(40):
            while b"new" not in {r.value for r in records}:
                records += await source.poll(10, 0.05)
    (done,) = [f for f in facts if isinstance(f, NewPartitionsRead)]
    assert (done.missing, done.partitions) == (3, (f"{topic}-1",))


async def test_the_mark_of_a_transaction_at_the_end_holds_no_new_partition(kafka, topic):
    facts = []
    async with member(kafka, facts=facts, topics=[topic], group_id=topic) as source:
        await committed_everywhere(source, topic, 1)
        async with (
            AIOKafkaProducer(
                bootstrap_servers=kafka.bootstrap_servers, transactional_id=topic
            ) as producer,
            producer.transaction(),
        ):
            await producer.send_and_wait(topic, b"0", partition=0)
        await read(source, 1)
        await source.commit({Partition(topic, 0): Commit(1, "")})  # the mark is at 1
        await asyncio.to_thread(add_partitions, kafka, topic, 2)
        await produce(kafka, topic, [b"new"], partition=1)
        assert [r.value for r in await read(source, 1, 40)] == [b"new"]


async def send(kafka, topic, users, values):
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True
    ) as producer:
        for value in values:
            await producer.send(topic, b"%d" % value, key=users[value % len(users)])
        await producer.flush()


def breaks(records):
    newest, count = {}, 0
    for record in records:
        value = int(record.value)
        count += value < newest.get(record.key, -1)
        newest[record.key] = value
    return count


def coordinator(cluster, group):
    """The broker that leads the partition of the group's commits."""
    hashed = 0
    for char in group:
        hashed = (31 * hashed + ord(char)) & 0xFFFFFFFF
    return cluster.leader("__consumer_offsets", (hashed & 0x7FFFFFFF) % 4)


@contextlib.contextmanager
def frozen(cluster, index):
    cluster.freeze_broker(index)
    try:
        yield
    finally:
        cluster.thaw_broker(index)


async def test_a_frozen_broker_holds_up_its_own_partitions_only(kafka_cluster):
    topic = kafka_cluster.create_topic(partitions=6, replication=1)
    async with member(kafka_cluster, topics=[topic], group_id=topic) as source:
        await polled_until(source, source.ends)
    for number in range(6):
        await produce(kafka_cluster, topic, numbers(10), partition=number)
    # A group of another name has no commits; its coordinator must be able to answer.
    names = (f"{topic}-{n}" for n in range(50))
    group, index = next(
        (name, index)
        for name in names
        for index in (1, 2, 3)
        if index != coordinator(kafka_cluster, name)
        and any(kafka_cluster.leader(topic, n) == index for n in range(6))
    )
    theirs = {n for n in range(6) if kafka_cluster.leader(topic, n) == index}
    with frozen(kafka_cluster, index):
        async with member(kafka_cluster, topics=[topic], group_id=group) as source:
            healthy = await read(source, 10 * (6 - len(theirs)), 45)
            assert {r.partition for r in healthy} == set(range(6)) - theirs
            kafka_cluster.thaw_broker(index)
            rest = await read(source, 10 * len(theirs), 60)
            assert {r.partition for r in rest} == theirs


async def test_commits_that_cannot_be_looked_up_at_once_end_nothing(kafka_cluster, monkeypatch):
    """The coordinator hangs while partitions are assigned."""
    monkeypatch.setattr("relay.road.consuming.group_commits.LOOK_UP_S", 0.2)
    topic = kafka_cluster.create_topic()
    await produce(kafka_cluster, topic, numbers(3))
    facts, listener = [], Listener()
    async with member(kafka_cluster, facts=facts, topics=[topic], group_id=topic) as source:
        await polled_until(source, source.ends)
        index = source._consumer._coordinator.coordinator_id
        asked = asyncio.Event()

        async def look(partitions):
            kafka_cluster.freeze_broker(index)
            asked.set()
            return await source.committed(partitions)

        listener.on["assigned"] = look
        source._listener = listener
        source._consumer._coordinator.reset_generation()
        try:
            await polled_until(source, asked.is_set)
            await polled_until(source, lambda: any(type(f) is KafkaUnavailable for f in facts))
        finally:
            kafka_cluster.thaw_broker(index)
        listener.on.clear()
        await polled_until(source, lambda: source._ours.read, 60)


async def test_a_stop_while_a_broker_is_away_is_no_cancellation(kafka_cluster):
    """A fetch that rests before its next attempt must not look like a cancelled stop."""
    topic = kafka_cluster.create_topic(replication=1)
    async with member(kafka_cluster, topics=[topic], group_id=topic) as source:
        await begun(source, Partition(topic, 0))
        leader = kafka_cluster.leader(topic)
        kafka_cluster.kill_broker(leader)
        try:
            fetches = source._consumer._fetcher._pending_tasks
            await polled_until(source, lambda: any(rests(task) for task in fetches), 40)
            await source.stop()
        finally:
            kafka_cluster.start_broker(leader)


def rests(task):
    innermost = task.get_coro()
    while getattr(innermost, "cr_await", None) is not None:
        if innermost.__name__ == "sleep":
            return True
        innermost = innermost.cr_await
    return False
