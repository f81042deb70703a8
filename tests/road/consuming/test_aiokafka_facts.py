"""What aiokafka does behind one's back, shown on a real broker: why the consumer edge is as it is.

These are facts about aiokafka, not about us. When one of them fails, a new version has changed and
what answers it in `relay.road.consuming` may no longer be needed.
"""

import asyncio
import contextlib

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

pytestmark = pytest.mark.broker


async def produce(kafka, topic, count, partition=0):
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        for number in range(count):
            await producer.send(topic, b"%d" % number, partition=partition)
        await producer.flush()


@contextlib.asynccontextmanager
async def consumer(kafka, topic, partitions=1, **options):
    made = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", **options
    )
    await made.start()
    try:
        made.assign([TopicPartition(topic, n) for n in range(partitions)])
        yield made
    finally:
        await made.stop()


async def first_batch(made, **options):
    async with asyncio.timeout(20):
        while not (batch := await made.getmany(timeout_ms=100, **options)):
            pass
    return batch


async def test_asked_for_a_paused_partition_it_throws_away_what_was_fetched_ahead(kafka, topic):
    await produce(kafka, topic, 10)
    here = TopicPartition(topic, 0)

    async with consumer(kafka, topic) as made:
        await first_batch(made, max_records=1)
        ahead = made._fetcher._records[here]
        made.pause(here)
        assert await made.getmany(timeout_ms=0) == {}
        assert not ahead.has_more()
        assert here not in made._fetcher._records


async def test_while_a_partition_is_not_taken_from_its_broker_is_busy_with_idle_ones(kafka):
    """Then a long poll for the idle partition is under way, and the busy one has to wait for it."""
    topic = kafka.create_topic(partitions=2)
    busy = TopicPartition(topic, 0)
    await produce(kafka, topic, 10)
    asked, alone = [], asyncio.Event()

    async with consumer(kafka, topic, 2, fetch_max_wait_ms=2000) as made:
        send = made._client.send

        async def noted(node, request, **options):
            fetch = [p for _, ps in getattr(request, "topics", []) or [] for p, *_ in ps]
            asked.append(("asked", sorted(fetch)))
            if fetch == [1]:
                alone.set()
            answer = await send(node, request, **options)
            asked.append(("answered", sorted(fetch)))
            return answer

        await first_batch(made, max_records=1)
        made._client.send = noted
        async with asyncio.timeout(20):
            await alone.wait()  # nothing is taken for longer than aiokafka's patience
            await made.getmany(busy, timeout_ms=0)
            await produce(kafka, topic, 1)
            while not any(what == "asked" and 0 in partitions for what, partitions in asked):
                await made.getmany(busy, timeout_ms=10)

    again = next(i for i, (what, ps) in enumerate(asked) if what == "asked" and 0 in ps)
    assert ("answered", [1]) in asked[:again], "the busy partition waited for the idle one"


async def test_a_deserialiser_that_raises_meets_the_same_record_for_ever(kafka, topic):
    await produce(kafka, topic, 3)
    seen = []

    def poisoned(value):
        seen.append(value)
        if value == b"1":
            raise ValueError(value)
        return value

    async with consumer(kafka, topic, value_deserializer=poisoned) as made:
        for _ in range(3):
            with pytest.raises(ValueError, match="1"):
                await first_batch(made)

    assert seen.count(b"1") == 3
    assert b"2" not in seen


async def test_a_failed_getmany_counts_as_fetching_ever_since(kafka, topic):
    """Its idle clock then stands still, and it would stay in the group although we hang."""
    async with consumer(kafka, topic) as made:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await made.getmany(timeout_ms=60_000)
        assert made._subscription._fetch_count == 1
        assert made._subscription.fetcher_idle_time == 0


async def test_it_does_not_send_a_record_without_key_and_value(kafka, topic):
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers) as producer:
        with pytest.raises(AssertionError, match="Need at least one"):
            await producer.send(topic, None)
