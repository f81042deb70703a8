"""Dead letters as a source of records."""

import asyncio

import pytest

from relay.dead_letters.direct import ReplaySink, ReplaySource
from relay.dead_letters.stored import StoredLetter, letter
from relay.model import DeadLetter, DeadLetterClass, Partition, Position, Record
from relay.road.settling.dead_letter import envelope
from tests.support.simulation.loop import run_virtually

ZERO, ONE = Partition("events.dlq", 0), Partition("events.dlq", 1)


class Listener:
    def __init__(self):
        self.told = []

    async def on_assigned(self, partitions, epoch):
        self.told.append(("assigned", frozenset(partitions), epoch))

    async def on_revoked(self, partitions):
        self.told.append(("revoked", frozenset(partitions)))

    def on_moved(self, partition, offset):
        pass


def dead(number, partition=0):
    record = Record("events", 7, 1000 + number, 12345, b"k", b"v%d" % number, (("h", b"1"),))
    headers = envelope(DeadLetter(record, DeadLetterClass.REFUSED, "http_400", "why"), "1")
    return letter(StoredLetter(Position("events.dlq", partition, number), 99, b"k", b"v", headers))


async def letters(*given):
    for one in given:
        yield one


async def started(*given, **options):
    source = ReplaySource([ZERO, ONE], letters(*given), **options)
    await source.start(Listener())
    return source


async def test_records_stand_where_the_letters_lie_and_keep_their_time_and_headers():
    source = await started(dead(4))

    (record,) = await source.poll(1, 0.0)

    assert record.position == Position("events.dlq", 0, 4)
    assert (record.timestamp_ms, record.epoch) == (12345, 1)
    assert record.headers[0] == ("h", b"1")
    assert not source.exhausted
    assert await source.poll(10, 0.0) == []
    assert source.exhausted


async def test_all_partitions_are_ours_from_start_to_stop_and_nothing_is_committed():
    listener = Listener()
    source = ReplaySource([ZERO, ONE], letters(dead(1)))

    await source.start(listener)
    await source.commit({})
    assert await source.committed([ZERO]) == {ZERO: None}
    assert (source.ends(), source.share()) == ({}, 1.0)
    await source.stop()

    both = frozenset({ZERO, ONE})
    assert listener.told == [("assigned", both, 1), ("revoked", both)]


async def test_what_is_put_back_comes_again_and_nothing_is_exhausted_before():
    source = await started(dead(1), dead(2, partition=1), dead(3), dead(4, partition=1))

    assert len(await source.poll(10, 0.0)) == 4
    assert not source.exhausted
    assert not source.put_back(ZERO, 1, epoch=2)
    assert source.put_back(ZERO, 3, epoch=1)
    assert source.put_back(ONE, 2, epoch=1)
    source.pause([ZERO, ONE])
    assert await source.poll(10, 0.0) == []
    assert not source.exhausted
    source.resume([ZERO, ONE])
    again = [(r.partition, r.offset) for r in await source.poll(10, 0.0)]
    assert sorted(again) == [(0, 3), (1, 2), (1, 4)]
    assert again.index((1, 2)) < again.index((1, 4))
    assert await source.poll(10, 0.0) == []
    assert source.exhausted


async def test_a_paused_partition_holds_its_letter_until_it_is_resumed():
    source = await started(dead(1), dead(2, partition=1), dead(2))

    source.pause([ONE])
    assert [r.partition for r in await source.poll(10, 0.0)] == [0]
    assert await source.poll(10, 0.0) == []
    source.resume([ONE])
    assert [r.partition for r in await source.poll(10, 0.0)] == [1, 0]


async def test_no_more_come_than_were_asked_for():
    source = await started(*(dead(n) for n in range(5)))

    assert [len(await source.poll(2, 0.0)) for _ in range(4)] == [2, 2, 1, 0]


def test_a_rate_is_kept():
    async def main():
        loop = asyncio.get_running_loop()
        source = await started(*(dead(n) for n in range(100)), per_second=10)
        began, count = loop.time(), 0
        while not source.exhausted:
            count += len(await source.poll(50, 0.05))
            assert count <= (loop.time() - began) * 10 + 1
        return loop.time() - began

    assert run_virtually(main()) == pytest.approx(9.9, abs=0.3)


async def test_what_dies_again_is_written_under_the_name_that_it_came_with():
    written = []

    class Graves:
        async def start(self):
            written.append("started")

        async def write(self, letters):
            written.extend(letters)

        async def stop(self):
            written.append("stopped")

    source = await started(dead(4))
    (record,) = await source.poll(1, 0.0)
    again = DeadLetter(record, DeadLetterClass.EXHAUSTED, "timeout", "still")

    graves = ReplaySink(Graves(), source.names)
    await graves.start()
    await graves.write([again])
    await graves.stop()

    assert (written[0], written[2]) == ("started", "stopped")
    assert written[1].record.position == Position("events", 7, 1004)
    assert (written[1].code, written[1].record.headers) == ("timeout", record.headers)
