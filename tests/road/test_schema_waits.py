"""A record whose schema is not known yet holds its own partition, in order, and nothing else."""

import asyncio
import random

from relay.model import Partition
from relay.road.facts import PartitionRewound, StillHeld
from tests.support.simulation.roads import P0, RoadBench, virtually

P1 = Partition("events", 1)


def sent(bench, user):
    """The offsets of what was sent of a user, in the order of sending."""
    own = [body for body in bench.sent if f'"$user":"{user}"' in body]
    return [int(body.partition('"n":"')[2].partition('"')[0]) for body in own]


def stored(bench, number):
    return [record.offset for record in bench.cluster.logs[Partition("events", number)].records]


@virtually
async def test_its_partition_waits_in_order_and_the_others_go_on():
    bench = RoadBench("stream")
    async with bench.running():
        bench.produce("alice", "#7 alice", "alice", "#7 alice", "alice")
        bench.produce(*["bob"] * 20, partition=1)
        await bench.until(lambda: bench.schemas.asked)
        bench.produce(*["bob"] * 20, partition=1)
        await bench.until(lambda: bench.committed(P1) == bench.end(P1))
        assert sent(bench, "alice") == stored(bench, 0)[:1]
        assert bench.committed() == stored(bench, 0)[1]
        assert bench.custody.ledger.open == 0
        bench.schemas.let_go(7)
        await bench.until(lambda: bench.committed() == bench.end())
    assert sent(bench, "alice") == stored(bench, 0)
    assert bench.schemas.asked == [7]
    assert bench.custody.ledger.balanced
    assert bench.custody.ledger.fenced == 0
    assert not bench.told(PartitionRewound)


@virtually
async def test_membership_events_wait_for_their_schema_as_well():
    bench = RoadBench("segments")
    async with bench.running():
        bench.produce("alice", "#7 alice", "alice")
        bench.produce("bob", partition=1)
        await bench.until(lambda: bench.committed(P1) == bench.end(P1))
        await bench.until(lambda: bench.committed() == stored(bench, 0)[1])
        bench.schemas.problem = "it answered 503"
        assert "1 of 2 partitions wait" in bench.road.reporter.readiness().reason
        bench.schemas.problem = None
        bench.schemas.let_go(7)
        await bench.until(lambda: bench.committed() == bench.end())
    assert bench.schemas.asked == [7]
    assert bench.custody.ledger.delivered == 4
    assert bench.custody.ledger.balanced


@virtually
async def test_what_came_after_it_in_one_batch_does_not_pass_it_when_the_schema_comes_meanwhile():
    """Another partition asked for the schema; it comes while the batch is being handed over."""
    bench = RoadBench("stream", each_alone=True)

    class Known(set):
        def __contains__(self, key):
            if bench.schemas.asked:
                asyncio.get_running_loop().call_soon(bench.schemas.let_go, key)
            return super().__contains__(key)

    bench.schemas.known = Known()
    async with bench.running():
        bench.produce("#7 alice")
        await bench.until(lambda: bench.schemas.asked)
        bench.produce("#7 bob", *["bob"] * 100, partition=1)
        await bench.until(lambda: bench.committed(P1) == bench.end(P1))
    assert sent(bench, "bob") == stored(bench, 1)
    assert not bench.told(PartitionRewound)


@virtually
async def test_partitions_that_wait_for_one_schema_ask_for_it_once_and_each_for_its_own():
    bench = RoadBench("stream")
    async with bench.running():
        bench.produce("#7 alice", "#8 alice")
        bench.produce("#7 bob", "#9 bob", partition=1)
        await bench.until(lambda: len(set(bench.custody.schemas.waits)) == 2)
        bench.schemas.let_go(7)
        await bench.until(lambda: sorted(bench.schemas.asked) == [7, 8, 9])
        bench.schemas.let_go(9)
        await bench.until(lambda: bench.committed(P1) == bench.end(P1))
        assert set(bench.custody.schemas.waits) == {P0}
        bench.schemas.let_go(8)
        await bench.until(lambda: bench.committed() == bench.end())
    assert sorted(bench.schemas.asked) == [7, 8, 9]


@virtually
async def test_a_stop_does_not_wait_for_a_schema_and_the_next_start_begins_with_the_record():
    bench = RoadBench("stream")
    async with bench.running():
        bench.produce("alice", "#7 alice", "alice")
        await bench.until(lambda: bench.committed() == stored(bench, 0)[1])
    assert bench.run.result() is None
    assert bench.committed() == stored(bench, 0)[1]


@virtually
async def test_a_partition_that_leaves_while_it_waits_goes_on_with_its_next_owner():
    bench = RoadBench("stream")
    async with bench.running():
        bench.produce("alice", "#7 alice", "alice")
        await bench.until(lambda: bench.custody.schemas.waits)
        bench.cluster.keeps = False
        await bench.cluster._give_up(bench.source, {P0})
        assert not bench.custody.schemas.waits
        await bench.source.take_over({P0})
        await bench.until(lambda: bench.custody.schemas.waits)
        bench.schemas.let_go(7)
        await bench.until(lambda: bench.committed() == bench.end())
    assert sent(bench, "alice") == stored(bench, 0)


@virtually
async def test_a_partition_that_stays_while_others_come_is_put_back_under_its_own_epoch():
    bench = RoadBench("stream")
    async with bench.running():
        await bench.until(lambda: bench.custody.assigned)
        await bench.cluster._give_up(bench.source, {P1})
        await bench.source.take_over({P1})  # the source's epoch is another one now
        bench.produce("alice", "#7 alice", "alice")
        await bench.until(lambda: bench.schemas.asked)
        bench.schemas.let_go(7)
        await bench.until(lambda: bench.committed() == bench.end())
    assert sent(bench, "alice") == stored(bench, 0)


@virtually
async def test_while_the_registry_cannot_be_asked_it_is_not_ready_and_says_which_wait():
    bench = RoadBench("stream")
    reporter = bench.road.reporter
    async with bench.running():
        bench.produce("#7 alice")
        bench.produce("bob", partition=1)
        await bench.until(lambda: bench.custody.schemas.waits)
        await asyncio.sleep(2)
        assert reporter.readiness().ok  # it is asked for, and may come at any moment
        bench.schemas.problem = "it answered 503"
        assert reporter.readiness().reason == (
            "stream: schema_registry: 1 of 2 partitions wait: it answered 503"
        )
        await asyncio.sleep(400)
        assert reporter.liveness().ok
        told = reporter.status()["schema_registry"]
        assert told["problem"] == "it answered 503"
        (waiting,) = told["waiting"].items()
        assert waiting[0] == "events-0"
        assert (waiting[1]["offset"], waiting[1]["schema"]) == (stored(bench, 0)[0], 7)
        assert waiting[1]["for_s"] > 400
        pinned = reporter.status()["partitions"]["events-0"]["pinned_by"]
        assert pinned == waiting[1]
        held_s = next(m for m in reporter.metrics() if m.name == "relay_schema_wait_seconds")
        assert [sample.labels for sample in held_s.samples] == [
            {"topic": "events", "partition": "0"}
        ]
        assert {fact.code for fact in bench.told(StillHeld)} == {"schema_registry"}
        bench.schemas.problem = None
        bench.schemas.let_go(7)
        await bench.until(lambda: bench.committed() == bench.end())
        await asyncio.sleep(1)
        assert reporter.readiness().ok
        assert reporter.liveness().ok


@virtually
async def test_any_mixture_of_schemas_is_delivered_in_order_whenever_they_come():
    for seed in range(20):
        await _mixture(random.Random(seed))


async def _mixture(rng):
    bench = RoadBench("stream", each_alone=rng.random() < 0.5)
    users = [f"u{number}" for number in range(6)]
    async with bench.running():
        for _ in range(10):
            for _ in range(30):
                user = rng.choice(users)
                schema = rng.choice(["", "", "#1 ", "#2 ", "#3 ", "#4 "])
                bench.produce(schema + user, partition=users.index(user) % 2)
            if rng.random() < 0.3:
                bench.cluster.member_changed()
            if rng.random() < 0.5:
                bench.schemas.let_go(rng.randint(1, 4))
            await asyncio.sleep(rng.uniform(0, 0.5))
        for schema in range(1, 5):
            bench.schemas.let_go(schema)
        await bench.until(lambda: all(bench.committed(p) == bench.end(p) for p in (P0, P1)))
    for number, user in enumerate(users):
        offsets = sent(bench, user)
        wanted = [
            r.offset
            for r in bench.cluster.logs[Partition("events", number % 2)].records
            if r.value.endswith(user.encode())
        ]
        assert list(dict.fromkeys(offsets)) == wanted, user
    assert bench.custody.ledger.balanced
