"""The consumer edge against a real Apache Kafka."""

import asyncio
import contextlib
import gc
import os
import sys
from dataclasses import dataclass, field, replace

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import errors as theirs
from aiokafka.protocol.commit import OffsetCommitRequest

from relay.errors import KafkaRefused, KafkaUnreachable, TopicMissing
from relay.model import Commit, Partition
from relay.road.consuming.facts import PositionLost, TopicsAwaited
from relay.road.consuming.kafka import KafkaSource
from relay.road.consuming.source import CommitRefused
from relay.settings.kafka import KafkaSettings
from tests.support.kafka_security import USERS
from tests.support.road import committed

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@dataclass
class Listener:
    """Writes down what it is told."""

    told: list = field(default_factory=list)
    on: dict = field(default_factory=dict)

    async def on_assigned(self, partitions, epoch):
        self.told.append(("assigned", frozenset(partitions), epoch))
        if "assigned" in self.on:
            await self.on["assigned"](partitions)

    async def on_revoked(self, partitions):
        self.told.append(("revoked", frozenset(partitions)))
        if "revoked" in self.on:
            await self.on["revoked"](partitions)

    def on_moved(self, partition, offset):
        pass

    def count(self, what):
        return sum(1 for told in self.told if told[0] == what)


class Told(list):
    """Facts, and an event for the first."""

    def __init__(self):
        super().__init__()
        self.something = asyncio.Event()

    def append(self, fact):
        super().append(fact)
        self.something.set()


@contextlib.asynccontextmanager
async def member(kafka, listener=None, facts=None, **given):
    given.setdefault("group_id", "group-of-a-test")
    given.setdefault("bootstrap_servers", kafka.bootstrap_servers)
    given.setdefault("session_timeout_s", 6)
    given.setdefault("metadata_age_max_s", 1)
    policy = KafkaSettings(**given).consumer("{topic}.dlq")
    source = KafkaSource(policy, (facts if facts is not None else []).append)
    await source.start(listener or Listener())
    try:
        yield source
    finally:
        await source.stop()


async def read(source, count, seconds=60.0):
    """Poll until `count` records have come."""
    records = []
    async with asyncio.timeout(seconds):
        while len(records) < count:
            records += await source.poll(500, 0.1)
    return records


async def polled_until(source, condition, seconds=60.0):
    records = []
    async with asyncio.timeout(seconds):
        while not condition():
            records += await source.poll(500, 0.05)
    return records


async def begun(source, *partitions):
    """Poll until reading of these has begun, which is committed."""
    async with asyncio.timeout(20):
        while None in (await source.committed(partitions)).values():
            assert await source.poll(10, 0.05) == []


async def produce(kafka, topic, values, partition=0, **options):
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True, **options
    ) as producer:
        for value in values:
            await producer.send(topic, value, partition=partition)
        await producer.flush()


def numbers(count, start=0):
    return [b"%d" % i for i in range(start, start + count)]


async def test_records_come_raw_in_order_and_with_the_epoch(kafka, topic):
    listener = Listener()
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        await producer.send_and_wait(
            topic, b"\xff\x00", key=b"k", headers=[("h", b"1"), ("h", b"2")], timestamp_ms=1234
        )
        await producer.send_and_wait(topic, None, key=b"only-key")

    async with member(kafka, listener, topics=[topic], group_id=topic) as source:
        first, second = await read(source, 2)

    assert (first.key, first.value) == (b"k", b"\xff\x00")
    assert first.headers == (("h", b"1"), ("h", b"2"))
    assert (first.timestamp_ms, first.offset, first.epoch) == (1234, 0, 1)
    assert (second.key, second.value, second.offset) == (b"only-key", None, 1)
    assert listener.told == [
        ("assigned", frozenset({Partition(topic, 0)}), 1),
        ("revoked", frozenset({Partition(topic, 0)})),
    ]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_every_compression_codec_is_read(kafka, topic, codec):
    await produce(kafka, topic, [b"x" * 1000] * 50, compression_type=codec)

    async with member(kafka, topics=[topic], group_id=topic) as source:
        assert {r.value for r in await read(source, 50)} == {b"x" * 1000}


async def test_a_record_larger_than_the_fetch_limit_still_comes(kafka):
    topic = kafka.create_topic(config={"max.message.bytes": "8000000"})
    await produce(kafka, topic, [b"x" * 5_000_000, b"after"], max_request_size=8_000_000)

    async with member(
        kafka, topics=[topic], group_id=topic, partition_fetch_bytes_max=10_000
    ) as source:
        assert [len(r.value) for r in await read(source, 2)] == [5_000_000, 5]


async def test_a_commit_with_4_kb_of_metadata_is_read_back(kafka, topic):
    here = Partition(topic, 0)
    commit = Commit(3, "r1" + "ü~" * 1300)
    assert 3900 < len(commit.metadata.encode()) < 4096
    await produce(kafka, topic, numbers(5))

    async with member(kafka, topics=[topic], group_id=topic) as source:
        await read(source, 5)
        assert await source.committed([here]) == {here: Commit(0, "")}
        await source.commit({here: commit})
        assert await source.committed([here]) == {here: commit}

    async with member(kafka, topics=[topic], group_id=topic) as source:
        assert [r.offset for r in await read(source, 2)] == [3, 4]
        assert await source.committed([here]) == {here: commit}


async def test_metadata_above_the_brokers_limit_is_refused_and_the_offset_stays(kafka, topic):
    here = Partition(topic, 0)
    async with member(kafka, topics=[topic], group_id=topic) as source:
        await begun(source, here)
        await source.commit({here: Commit(0, "small")})

        with pytest.raises(KafkaRefused, match="metadata"):
            await source.commit({here: Commit(1, "x" * 5000)})

        assert await source.committed([here]) == {here: Commit(0, "small")}


async def test_the_end_is_known_whatever_was_handed_out(kafka, topic):
    here = Partition(topic, 0)
    await produce(kafka, topic, numbers(10))

    async with member(kafka, topics=[topic], group_id=topic) as source:
        first = await polled_until(source, lambda: source.ends().get(here) == 10 or True)
        records = []
        async with asyncio.timeout(20):
            while not records:
                records = await source.poll(4, 0.1)
        assert first == []
        assert source.ends() == {here: 10}
        await read(source, 6)
        assert source.ends() == {here: 10}


async def test_the_end_moves_on_while_everything_is_paused(kafka, topic):
    """Else the lag stands still just when it grows: while nothing can be delivered."""
    here = Partition(topic, 0)
    await produce(kafka, topic, numbers(10))

    async with member(kafka, topics=[topic], group_id=topic) as source:
        await read(source, 10)
        source.pause([here])
        await produce(kafka, topic, numbers(20))
        more = await polled_until(source, lambda: source.ends() == {here: 30})
        assert more == []


async def test_ends_are_asked_for_while_a_broker_holds_a_fetch_back(kafka, topic):
    """As it does for a quota: else that looks like a broker that has fallen silent."""
    await produce(kafka, topic, numbers(3))
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=[topic],
        group_id=topic,
        request_timeout_s=60,
    )
    policy = replace(settings.consumer("{topic}.dlq"), fetch_wait_ms=40_000)
    source = KafkaSource(policy, lambda _fact: None)
    await source.start(Listener())
    try:
        await read(source, 3)
        since = asyncio.get_running_loop().time()
        await polled_until(source, lambda: watched_again(source, since), seconds=25)
    finally:
        await source.stop()


async def test_the_end_is_known_before_anything_is_fetched(kafka, topic):
    """A member that begins with a full memory must know how far behind it is."""
    here = Partition(topic, 0)
    listener = Listener()

    async def hold(partitions):
        source.pause(partitions)

    listener.on["assigned"] = hold
    await produce(kafka, topic, numbers(10))
    async with member(kafka, listener, topics=[topic], group_id=topic) as source:
        assert await polled_until(source, lambda: source.ends() == {here: 10}) == []


async def test_the_end_of_a_partition_whose_leader_is_gone_is_the_last_known(kafka_cluster):
    topic = kafka_cluster.create_topic(replication=1)
    here = Partition(topic, 0)
    await produce(kafka_cluster, topic, numbers(10))

    async with member(kafka_cluster, topics=[topic], group_id=topic) as source:
        await polled_until(source, lambda: source.ends() == {here: 10})
        leader = kafka_cluster.leader(topic)
        kafka_cluster.kill_broker(leader)
        try:
            for _ in range(20):
                await source.poll(500, 0.05)
                assert source.ends() == {here: 10}
        finally:
            kafka_cluster.start_broker(leader)


async def test_what_an_open_transaction_holds_back_is_no_lag_and_is_shown(kafka, topic):
    here = Partition(topic, 0)
    async with (
        AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, transactional_id=topic
        ) as producer,
        member(kafka, topics=[topic], group_id=topic) as source,
    ):
        await produce(kafka, topic, [b"before"])
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"open", partition=0)
        await produce(kafka, topic, [b"behind it"])

        assert [r.value for r in await read(source, 1)] == [b"before"]
        await polled_until(source, lambda: source.state().held_back == {here: 2})
        assert source.ends() == {here: 1}
        since = source.state().held_since[here]
        await polled_until(source, lambda: watched_again(source, since))
        assert source.state().held_since == {here: since}

        await producer.abort_transaction()
        assert [r.value for r in await read(source, 1)] == [b"behind it"]
        await polled_until(source, lambda: not source.state().held_back)


def watched_again(source, since):
    """Whether the brokers have been asked once more after `since`."""
    return source._watch._answers.missing(since + 0.001) == ()


@pytest.mark.parametrize("ending", ["commit", "abort"])
async def test_the_marks_of_transactions_are_no_lag(kafka, topic, ending):
    """They take offsets. A partition that is all read would lag behind for ever by one."""
    here = Partition(topic, 0)
    options = {"bootstrap_servers": kafka.bootstrap_servers, "transactional_id": topic}
    async with AIOKafkaProducer(**options) as producer:
        await produce(kafka, topic, [b"first"])
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"second", partition=0)
        await (
            producer.commit_transaction() if ending == "commit" else producer.abort_transaction()
        )
    last = 1 if ending == "commit" else 0

    async with member(kafka, topics=[topic], group_id=topic) as source:
        records = await read(source, last + 1)
        assert records[-1].offset == last
        await polled_until(source, lambda: source.ends() == {here: last + 1})
        await source.commit({here: Commit(last + 1, "")})

    listener = Listener()

    async def look_up(partitions):
        await source.committed(partitions)

    listener.on["assigned"] = look_up
    async with member(kafka, listener, topics=[topic], group_id=topic) as source:
        await polled_until(source, lambda: source.ends() == {here: last + 1})


async def test_nothing_comes_from_a_paused_partition_and_nothing_is_lost_by_pausing(kafka):
    topic = kafka.create_topic(partitions=2)
    one, two = Partition(topic, 0), Partition(topic, 1)
    await produce(kafka, topic, numbers(100), partition=0)
    await produce(kafka, topic, numbers(100), partition=1)

    async with member(kafka, topics=[topic], group_id=topic) as source:
        records = []
        async with asyncio.timeout(20):
            while not records:
                records = await source.poll(10, 0.1)
        held = records[0].tp
        other = two if held == one else one
        source.pause([held])
        during = []
        async with asyncio.timeout(20):
            while len(during) < 100:
                during += await source.poll(7, 0.05)
        assert {r.tp for r in during} == {other}
        assert await source.poll(500, 0.05) == []

        source.resume([held])
        rest = await read(source, 100 - len(records))
    assert [r.offset for r in records + rest] == list(range(100))
    assert [r.offset for r in during] == list(range(100))


async def test_pausing_keeps_what_was_fetched_ahead(kafka, topic):
    """Fact 7 of aiokafka: asked for a paused partition, getmany throws its buffer away."""
    here = Partition(topic, 0)
    await produce(kafka, topic, numbers(100))

    async with member(kafka, topics=[topic], group_id=topic) as source:
        await read_at_least_one(source)
        ahead = source._consumer._fetcher._records
        source.pause([here])
        kept = next(iter(ahead.values()))
        for _ in range(3):
            assert await source.poll(500, 0.02) == []
        assert next(iter(ahead.values())) is kept
        source.resume([here])
        assert await source.poll(500, 0.1)


async def read_at_least_one(source):
    async with asyncio.timeout(20):
        while not await source.poll(1, 0.1):
            pass


async def test_a_resume_ends_a_poll_that_waits_with_everything_paused(kafka, topic):
    here = Partition(topic, 0)
    listener = Listener()
    await produce(kafka, topic, numbers(3))

    async with member(kafka, listener, topics=[topic], group_id=topic) as source:
        await polled_until(source, lambda: listener.count("assigned"))
        source.pause([here])
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            waiting = group.create_task(source.poll(10, 60.0))
            await asyncio.sleep(0)
            source.resume([here])
            assert await waiting is not None


def owned(listener):
    """What a listener has after all it was told."""
    now = frozenset()
    for what, partitions, *_ in listener.told:
        now = now | partitions if what == "assigned" else now - partitions
    return now


@contextlib.asynccontextmanager
async def polling(source, records):
    """Take whatever comes, beside the test."""

    async def take():
        while True:
            records.extend(await source.poll(500, 0.05))

    async with asyncio.TaskGroup() as group:
        taking = group.create_task(take())
        try:
            yield
        finally:
            taking.cancel()


async def until(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what other members do raises no event here
            await asyncio.sleep(0.02)


def waits_for_the_group(source):
    """Whether it has asked to join, and no answer has come."""
    return source._consumer._coordinator._heartbeat_task is None


async def test_a_second_member_takes_over_half_and_commits_of_the_drain_count(kafka):
    topic = kafka.create_topic(partitions=4)
    everything = {Partition(topic, n) for n in range(4)}
    for n in range(4):
        await produce(kafka, topic, numbers(10), partition=n)
    first, second, ours, again = Listener(), Listener(), [], []

    async with member(kafka, first, topics=[topic], group_id=topic) as one, polling(one, ours):
        await until(lambda: len(ours) == 40)

        async def drain(partitions):
            await one.commit({p: Commit(7, "drained") for p in partitions})

        first.on["revoked"] = drain
        async with (
            member(kafka, second, topics=[topic], group_id=topic) as two,
            polling(two, again),
        ):
            await until(lambda: len(owned(second)) == 2)
            mine, theirs = owned(first), owned(second)
            assert mine | theirs == everything
            assert first.told[1:] == [("revoked", theirs)]
            await until(lambda: len(again) == 6)
            assert sorted(r.offset for r in again) == [7, 7, 8, 8, 9, 9]
            assert {r.tp for r in again} == theirs

            for partition in everything:
                await produce(kafka, topic, [b"more"], partition=partition.number)
            await until(lambda: len(ours) == 42 and len(again) == 8)
            kept = [r for r in ours if r.offset == 10]
            assert {r.tp for r in kept} == mine, "what stayed went on where it was"
            assert {r.epoch for r in ours} == {1}
            assert len({r.epoch for r in again}) == 1

            with pytest.raises(CommitRefused):
                await one.commit({p: Commit(8, "") for p in theirs})
            first.on.clear()


async def test_what_stays_goes_on_while_the_rest_is_handed_over_however_long_that_takes(kafka):
    topic = kafka.create_topic(partitions=2)
    first, second, ours, theirs = Listener(), Listener(), [], []
    finished = asyncio.Event()

    async def slow(_):
        await finished.wait()

    first.on["revoked"] = slow
    async with (
        member(kafka, first, topics=[topic], group_id=topic) as one,
        polling(one, ours),
    ):
        await until(lambda: len(owned(first)) == 2)
        async with (
            member(kafka, second, topics=[topic], group_id=topic) as two,
            polling(two, theirs),
        ):
            await until(lambda: first.count("revoked"))
            (leaving,) = first.told[-1][1]
            for number in range(2):
                await produce(kafka, topic, [b"x"], partition=number)
            await until(lambda: len(ours) == 1)
            assert ours[0].tp != leaving
            await one.commit({ours[0].tp: Commit(1, "")})
            await one.commit({leaving: Commit(0, "still ours")})
            assert owned(second) == frozenset()
            assert theirs == []

            finished.set()
            await until(lambda: len(theirs) == 1)
            assert (theirs[0].tp, owned(second)) == (leaving, {leaving})
            first.on.clear()


async def test_what_is_ours_goes_on_while_the_group_waits_for_a_member_that_is_dead(kafka):
    """Kafka answers nobody's request to join until the dead one's session has ended."""
    topic = kafka.create_topic(partitions=2)
    group = {"topics": [topic], "group_id": topic, "session_timeout_s": 20}
    first, dead, ours, theirs = Listener(), Listener(), [], []
    async with member(kafka, first, **group) as one, polling(one, ours):
        async with that_dies(kafka, dead, **group) as killed, polling(killed, theirs):
            await until(lambda: len(owned(dead)) == 1)
        (kept,) = owned(first)
        async with member(kafka, Listener(), **group):
            await until(lambda: waits_for_the_group(one))
            await produce(kafka, topic, numbers(3), partition=kept.number)
            await until(lambda: len(ours) == 3)
            await one.commit({kept: Commit(2, "")})
            assert await one.committed([kept]) == {kept: Commit(2, "")}
            assert waits_for_the_group(one)
            found = await asyncio.to_thread(committed, kafka, topic, topic)
            assert found[kept.number] == 2


async def test_a_session_that_was_lost_gives_everything_up_and_claims_nothing(kafka, topic):
    here = Partition(topic, 0)
    listener, records = Listener(), []
    async with (
        member(kafka, listener, topics=[topic], group_id=topic) as source,
        polling(source, records),
    ):
        await until(lambda: owned(listener) == {here})
        await produce(kafka, topic, numbers(3))
        await until(lambda: len(records) == 3)
        assert source._claim() == ({here}, source._internals.generation)

        source._consumer._coordinator.reset_generation()
        assert source._claim() == (frozenset(), -1)
        await until(lambda: listener.count("assigned") == 2)
        assert [told[:2] for told in listener.told] == [
            ("assigned", {here}),
            ("revoked", {here}),
            ("assigned", {here}),
        ]
        await until(lambda: len(records) == 6)
        assert {r.epoch for r in records[3:]} == {2}, "from the commit, as of somebody else"


async def test_a_member_that_was_thrown_out_cannot_commit(kafka, topic):
    here = Partition(topic, 0)
    async with member(kafka, topics=[topic], group_id=topic, session_timeout_s=1) as source:
        await polled_until(source, source.ends)
        # What the broker answers to a member of an older generation.
        source._consumer._coordinator.generation -= 1

        with pytest.raises(CommitRefused):
            await source.commit({here: Commit(1, "")})


async def test_a_commit_ends_when_its_partition_is_not_ours_by_the_same_assignment(kafka, topic):
    """Tried again, it would come after what the next owner has committed, and pass for newer."""
    here = Partition(topic, 0)
    listener = Listener()
    async with member(kafka, listener, topics=[topic], group_id=topic) as source:
        await polled_until(source, source.ends)
        await source.commit({here: Commit(5, "ours")})
        tried = asyncio.Event()
        write = source._commits._offsets.write

        async def too_late(commits):
            source._commits._offsets.write = write
            source._consumer._coordinator.reset_generation()
            await polled_until(source, lambda: listener.count("assigned") == 2)
            await source.commit({here: Commit(7, "of the next owner")})
            tried.set()
            raise theirs.RebalanceInProgressError

        source._commits._offsets.write = too_late
        with pytest.raises(CommitRefused):
            await source.commit({here: Commit(6, "late")})
        assert tried.is_set()
        assert await source.committed([here]) == {here: Commit(7, "of the next owner")}


async def test_a_commit_that_meets_a_rebalance_is_stored_after_it(kafka, topic):
    """Between its answers to joining and to the assignment, Kafka takes no commit."""
    here = Partition(topic, 0)
    await produce(kafka, topic, numbers(5))
    async with member(kafka, topics=[topic], group_id=topic) as source:
        await read(source, 5)  # the commit of where reading begins is through
        write, answers = source._commits._offsets.write, []

        async def refused_at_first(commits):
            if len(answers) < 2:
                answers.append(None)
                raise (theirs.RebalanceInProgressError, theirs.IllegalGenerationError)[
                    len(answers) - 1
                ]
            await write(commits)

        source._commits._offsets.write = refused_at_first
        await source.commit({here: Commit(5, "kept")})
        assert await source.committed([here]) == {here: Commit(5, "kept")}


async def test_a_member_that_the_group_does_not_know_commits_nothing(kafka, topic):
    """Kafka takes a commit without a member from anybody while the group has no members."""
    here = Partition(topic, 0)
    async with member(kafka, topics=[topic], group_id=topic) as source:
        await polled_until(source, source.ends)
        coordinator = source._consumer._coordinator
        known = coordinator.generation, coordinator.member_id
        coordinator.generation, coordinator.member_id = -1, ""
        try:
            with pytest.raises(CommitRefused):
                await source.commit({here: Commit(5, "")})
        finally:
            coordinator.generation, coordinator.member_id = known


async def test_a_commit_whose_time_is_over_leaves_nothing_behind(kafka, topic):
    """Aiokafka's own would leave a task whose error nobody asks for."""
    here, said = Partition(topic, 0), []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: said.append(what))
    async with member(kafka, topics=[topic], group_id=topic) as source:
        await polled_until(source, source.ends)
        source._commits._request_s = 0.05
        send = source._consumer._client.send
        asked, over = asyncio.Event(), asyncio.Event()

        async def silent(node, request, **options):
            if not isinstance(request, OffsetCommitRequest):
                return await send(node, request, **options)
            asked.set()
            await over.wait()
            raise theirs.RequestTimedOutError

        source._consumer._client.send = silent
        with pytest.raises(KafkaUnreachable):
            await source.commit({here: Commit(1, "")})
        assert asked.is_set()
        over.set()
        source._consumer._client.send = send
        await source.commit({here: Commit(2, "")})
    gc.collect()
    assert said == []


async def test_what_ended_a_task_of_the_client_closes_it_all_the_same(kafka, topic):
    listener = Listener()
    async with contextlib.AsyncExitStack() as stack:
        source = await stack.enter_async_context(
            member(kafka, listener, topics=[topic], group_id=topic)
        )
        await polled_until(source, source.ends)
        client = source._consumer._client

        def broken():
            ended = asyncio.get_running_loop().create_future()
            ended.set_exception(ZeroDivisionError())
            return ended

        source._consumer._fetcher._fetch_task.cancel()
        source._consumer._fetcher._fetch_task = broken()
        client._sync_task.cancel()
        client._sync_task = broken()
        with pytest.raises(ZeroDivisionError):
            await polled_until(source, lambda: False)
        with pytest.raises(ZeroDivisionError):
            await stack.aclose()
    assert listener.told[-1] == ("revoked", {Partition(topic, 0)})
    assert not any(connection.connected() for connection in client._conns.values())


async def test_polling_ends_in_time_while_partitions_are_handed_over(kafka):
    topic = kafka.create_topic(partitions=2)
    listener = Listener()
    released = asyncio.Event()

    async def slow(_):
        await released.wait()

    async with member(kafka, listener, topics=[topic], group_id=topic) as one:
        await polled_until(one, lambda: listener.count("assigned"))
        listener.on["revoked"] = slow
        async with member(kafka, topics=[topic], group_id=topic):
            await polled_until(one, lambda: listener.count("revoked"))
            await produce(kafka, topic, [b"x"], partition=min(listener.told[-1][1]).number)
            loop = asyncio.get_running_loop()
            before = loop.time()
            assert await one.poll(10, 0.2) == []
            assert loop.time() - before < 5.0
            released.set()
            listener.on.clear()
            await polled_until(one, lambda: len(one._ours.all) == 1)


async def test_no_record_comes_before_the_listener_knows_of_its_partition(kafka, topic):
    listener = Listener()
    released = asyncio.Event()

    async def slow(_):
        await released.wait()

    listener.on["assigned"] = slow
    await produce(kafka, topic, numbers(3))
    async with member(kafka, listener, topics=[topic], group_id=topic) as source:
        await polled_until(source, lambda: listener.count("assigned"))
        for _ in range(5):
            assert await source.poll(10, 0.05) == []
        released.set()
        assert len(await read(source, 3)) == 3


@pytest.mark.parametrize("call", ["assigned", "revoked"])
async def test_a_listener_that_fails_ends_the_next_poll(kafka, topic, call):
    """What a listener raises, aiokafka logs and forgets."""
    listener = Listener()

    async def fail(_):
        raise ZeroDivisionError

    async with member(kafka, listener, topics=[topic], group_id=topic) as source:
        listener.on[call] = fail
        if call == "revoked":
            await polled_until(source, lambda: listener.count("assigned"))
            source._consumer._coordinator.reset_generation()
        with pytest.raises(ZeroDivisionError):
            await polled_until(source, lambda: False)
        listener.on.clear()


@contextlib.asynccontextmanager
async def that_dies(kafka, listener, **given):
    """A member that is gone at the end, without a word to the group."""
    given = {"bootstrap_servers": kafka.bootstrap_servers, "metadata_age_max_s": 1, **given}
    source = KafkaSource(KafkaSettings(**given).consumer("{topic}.dlq"), lambda _: None)
    await source.start(listener)
    try:
        yield source
    finally:
        coordinator = source._consumer._coordinator
        await coordinator._stop_heartbeat_task()
        coordinator._coordination_task.cancel()
        await source._watch.task.stop()
        await source._positions.end()
        await source._consumer._client.close()
        source._consumer._closed = True
        source._consumer._fetcher._fetch_task.cancel()


async def test_what_a_member_with_a_name_was_giving_up_when_it_died_is_assigned_after_its_restart(
    kafka,
):
    """Kafka gives its successor what it had been assigned, and tells nobody else of it."""
    topic = kafka.create_topic(partitions=2)
    given = {"topics": [topic], "group_id": topic, "session_timeout_s": 60}
    first, other, again = Listener(), Listener(), Listener()
    others = []

    async def for_ever(_):
        await asyncio.Event().wait()

    first.on["revoked"] = for_ever
    async with contextlib.AsyncExitStack() as stack:
        async with that_dies(kafka, first, group_instance_id="a", **given) as dying:
            async with polling(dying, []):
                await until(lambda: len(owned(first)) == 2)
                two = await stack.enter_async_context(
                    member(kafka, other, group_instance_id="b", **given)
                )
                await stack.enter_async_context(polling(two, others))
                await until(lambda: first.count("revoked"))
            assert owned(other) == frozenset()
        records = []
        async with (
            member(kafka, again, group_instance_id="a", **given) as one,
            polling(one, records),
        ):
            await until(lambda: len(owned(other) | owned(again)) == 2)
            for number in range(2):
                await produce(kafka, topic, [b"x"], partition=number)
            await until(lambda: len(records) + len(others) == 2)


async def test_members_with_a_name_keep_their_partitions_over_a_restart(kafka):
    topic = kafka.create_topic(partitions=2)
    stays, first, again = Listener(), Listener(), Listener()
    given = {"topics": [topic], "group_id": topic, "session_timeout_s": 20}

    async with member(kafka, stays, group_instance_id="a", **given) as one:
        await polled_until(one, lambda: stays.count("assigned"))
        async with member(kafka, first, group_instance_id="b", **given), polling(one, []):
            await until(lambda: owned(first))
            before = owned(first)
        async with member(kafka, again, group_instance_id="b", **given) as two:
            await polled_until(two, lambda: again.count("assigned"))
            await one.poll(1, 0.1)

        assert again.told[0][1] == before
        assert stays.count("revoked") == 1


async def test_a_pattern_reads_new_topics_and_never_dead_letters(kafka, topic):
    listener = Listener()
    kafka.create_topic(f"{topic}-a")
    kafka.create_topic(f"{topic}-a.dlq")
    await produce(kafka, f"{topic}-a", [b"a"])
    await produce(kafka, f"{topic}-a.dlq", [b"dead"])

    async with member(kafka, listener, topic_pattern=f"{topic}-.*", group_id=topic) as source:
        assert [r.value for r in await read(source, 1)] == [b"a"]

        kafka.create_topic(f"{topic}-b")
        await produce(kafka, f"{topic}-b", [b"b"])
        more = await polled_until(source, lambda: listener.count("assigned") > 1)
        while b"b" not in {r.value for r in more}:
            more += await read(source, 1)

    topics = {p.topic for told in listener.told for p in told[1]}
    assert topics == {f"{topic}-a", f"{topic}-b"}


async def test_a_missing_topic_ends_the_start(kafka, topic):
    with pytest.raises(TopicMissing, match="no-such-topic not found"):
        async with member(kafka, topics=[topic, "no-such-topic"]):
            pass


async def test_a_missing_topic_is_waited_for_when_asked(kafka, topic, monkeypatch):
    monkeypatch.setattr("relay.road.consuming.topics._LOOK_AGAIN_S", 0.05)
    facts = Told()
    name = f"{topic}-later"

    async def create_it():
        await facts.something.wait()
        await asyncio.to_thread(kafka.create_topic, name)
        await produce(kafka, name, [b"x"])

    async with asyncio.TaskGroup() as group:
        group.create_task(create_it())
        async with member(
            kafka, facts=facts, topics=[name], missing_topics="wait", group_id=topic
        ) as source:
            assert await read(source, 1)
    assert facts[0] == TopicsAwaited(topics=(name,), retry_in_s=0.05)


async def test_a_refused_group_ends_the_poll(secured_kafka):
    topic = secured_kafka.create_topic()
    secured_kafka.security.deny_group(secured_kafka.admin, "guest", "forbidden-group")
    async with member(
        secured_kafka,
        bootstrap_servers=secured_kafka.address("SASL_PLAIN"),
        topics=[topic],
        group_id="forbidden-group",
        security={
            "protocol": "SASL_PLAINTEXT",
            "mechanism": "SCRAM-SHA-256",
            "username": "guest",
            "password": USERS["guest"],
        },
    ) as source:
        with pytest.raises(KafkaRefused, match="group"):
            await polled_until(source, lambda: False)


async def test_reading_over_sasl_scram_and_tls(secured_kafka):
    topic = secured_kafka.create_topic()
    await produce(secured_kafka, topic, numbers(5))

    async with member(
        secured_kafka,
        bootstrap_servers=secured_kafka.address("SASL_TLS"),
        topics=[topic],
        group_id=topic,
        security={
            "protocol": "SASL_SSL",
            "mechanism": "SCRAM-SHA-512",
            "username": "relay",
            "password": USERS["relay"],
            "ca_file": secured_kafka.security.authority.cert,
        },
    ) as source:
        assert len(await read(source, 5)) == 5
        await source.commit({Partition(topic, 0): Commit(5, "")})


@pytest.mark.parametrize(("reset", "resumed"), [("earliest", 6), ("latest", 10)])
async def test_an_offset_that_was_deleted_is_reported_with_the_number_gone(
    kafka, topic, reset, resumed
):
    from confluent_kafka import TopicPartition  # noqa: PLC0415

    here = Partition(topic, 0)
    facts = []
    await produce(kafka, topic, numbers(10))
    given = {"topics": [topic], "group_id": topic, "auto_offset_reset": reset}
    async with member(kafka, **given) as source:
        await polled_until(source, lambda: source._internals.position(here) is not None)
        await source.commit({here: Commit(2, "")})
    for result in kafka.admin.delete_records([TopicPartition(topic, 0, 6)]).values():
        result.result(timeout=20)

    async with member(kafka, facts=facts, **given) as source:
        await polled_until(source, lambda: facts)
        await produce(kafka, topic, [b"new"])
        records = await read(source, 11 - resumed)

    assert facts == [
        PositionLost(partition=str(here), offset=2, resumed_at=resumed, gone=resumed - 2)
    ]
    assert [r.offset for r in records] == list(range(resumed, 11))


async def test_without_a_commit_reading_begins_where_the_settings_say(kafka, topic):
    await produce(kafka, topic, numbers(3))
    facts = []

    async with member(
        kafka, facts=facts, topics=[topic], group_id=topic, auto_offset_reset="latest"
    ) as source:
        await polled_until(source, source.ends)
        await produce(kafka, topic, [b"new"])
        assert [r.offset for r in await read(source, 1)] == [3]
    assert facts == []


# aiokafka's compiled builder encodes names itself; the one in Python asks the name.
LATIN_1_PRODUCER = """
import asyncio, sys
from aiokafka import AIOKafkaProducer
from aiokafka import errors as theirs
from aiokafka.protocol.commit import OffsetCommitRequest
class Name(str):
    def encode(self, *_): return b"caf\\xe9"
async def main(address, topic, codec):
    async with AIOKafkaProducer(
        bootstrap_servers=address, compression_type=codec or None, linger_ms=1000
    ) as producer:
        for number in range(200):
            names = [("plain", b"0"), (Name("h"), b"1")] if number % 50 == 7 else []
            await producer.send(topic, b"%d" % number, key=b"k" * 100, headers=names)
        await producer.flush()
asyncio.run(main(*sys.argv[1:]))
"""


async def produce_latin_1(kafka, topic, codec=""):
    """200 records in few batches; in every fiftieth, from the seventh on, a header named café."""
    producer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LATIN_1_PRODUCER, kafka.bootstrap_servers, topic, codec),
        env={**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"},  # noqa: TID251 - another process
    )
    assert await producer.wait() == 0


@pytest.mark.parametrize("codec", ["", "gzip", "snappy", "lz4", "zstd"])
async def test_a_header_name_that_is_not_utf_8_stops_nothing(kafka, topic, codec):
    await produce_latin_1(kafka, topic, codec)
    await produce(kafka, topic, [b"200"])

    async with member(kafka, topics=[topic], group_id=topic) as source:
        records = []
        async with asyncio.timeout(20):
            while len(records) < 201:
                records += await source.poll(17, 0.1)  # batches are taken in several polls

    assert [int(r.value) for r in records] == list(range(201))
    assert [r.offset for r in records] == list(range(201))
    named = (("plain", b"0"), ("caf\udce9", b"1"))
    assert [r.offset for r in records if r.headers] == [7, 57, 107, 157]
    assert {r.headers for r in records} == {(), named}


async def test_a_header_name_that_is_not_utf_8_is_read_by_the_parser_in_python_too(
    kafka, topic, monkeypatch
):
    from aiokafka.record.memory_records import _MemoryRecordsPy  # noqa: PLC0415

    monkeypatch.setattr("relay.kafka_client.header_names.MemoryRecords", _MemoryRecordsPy)
    await produce_latin_1(kafka, topic, "zstd")

    async with member(kafka, topics=[topic], group_id=topic) as source:
        assert [r.offset for r in await read(source, 200)] == list(range(200))
