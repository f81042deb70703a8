"""What every road from Kafka keeps to, whatever it moves: one suite for all of them."""

import asyncio
import inspect
import itertools

import pytest

from relay.errors import CommitIncomplete, DrainIncomplete, KafkaRefused, KafkaUnreachable
from relay.model import DeadLetterClass
from relay.road.consuming.source import SourceState, SourceTrouble
from relay.road.custody import CustodyPolicy
from relay.road.facts import (
    CommitFailed,
    CommitsRestored,
    DrainEnded,
    Lifecycle,
    LifecycleChanged,
    PartitionRewound,
    PartitionsAssigned,
    PartitionsRevoked,
    RecordDefective,
)
from relay.road.settling.facts import MetadataIgnored
from tests.support.simulation.roads import FOR_EVER_S, P0, ROADS, RoadBench, virtually


@pytest.fixture(params=ROADS)
def kind(request):
    return request.param


def on_any_road(test):
    """Run a coroutine in virtual time; it asks for the kind of road."""
    inner = virtually(test)

    def run(kind):
        inner(kind)

    run.__name__, run.__doc__ = test.__name__, inspect.getdoc(test)
    return run


@on_any_road
async def test_what_is_settled_is_committed_and_a_clean_stop_leaves_nothing(kind):
    bench = RoadBench(kind)
    async with bench.running():
        bench.produce("alice", "bob", "! carol", "alice")
        await bench.until(lambda: bench.committed() == bench.end())
    assert bench.run.result() is None
    (ended,) = bench.told(DrainEnded)
    assert (ended.unsettled, ended.uncommitted) == (0, 0)
    ledger = bench.custody.ledger
    assert ledger.balanced
    assert (ledger.delivered, ledger.dead_lettered.total()) == (3, 1)
    states = [fact.new for fact in bench.told(LifecycleChanged)]
    assert states == [Lifecycle.RUNNING, Lifecycle.DRAINING, Lifecycle.STOPPED]
    assert all(fact.road == kind for fact in bench.facts if hasattr(fact, "road"))


@on_any_road
async def test_commits_are_counted_as_often_as_the_broker_took_one(kind):
    bench = RoadBench(kind)
    taken = []
    commit = bench.source.commit

    async def refusing_the_first(commits):
        if not taken:
            taken.append(None)
            raise KafkaUnreachable("no answer")
        await commit(commits)
        taken.append(commits)

    bench.source.commit = refusing_the_first
    async with bench.running():
        for user in ("alice", "bob", "carol"):
            bench.produce(user)
            await bench.until(lambda: bench.committed() == bench.end())
    prefix = bench.road.reporter.prefix
    (counted,) = [m for m in bench.road.reporter.metrics() if m.name == f"{prefix}_commits"]
    assert counted.samples[0].value == len(taken) - 1 >= 3


@on_any_road
async def test_no_commit_passes_a_dead_letter_that_is_not_confirmed(kind):
    bench = RoadBench(kind)
    bench.sink.refuses = True
    async with bench.running():
        bench.produce("! carol", "alice", "bob")
        await bench.until(lambda: bench.custody.letters_blocked is not None)
        await asyncio.sleep(30)
        assert bench.committed() == 0
        assert not bench.road.reporter.readiness().ok
        bench.sink.refuses = False
        await bench.until(lambda: bench.committed() == bench.end())
        await asyncio.sleep(1)
        assert bench.road.reporter.readiness().ok
    assert [letter.code for letter in bench.sink.written] == ["no_identifier"]


@on_any_road
async def test_a_defect_is_one_dead_letter_and_everything_else_goes_on(kind):
    bench = RoadBench(kind)
    async with bench.running():
        bench.produce("alice", "odd", "bob")
        await bench.until(lambda: bench.committed() == bench.end())
    (letter,) = bench.sink.written
    assert (letter.cls, letter.code) == (DeadLetterClass.UNMAPPABLE, "defect")
    (told,) = bench.told(RecordDefective)
    assert told.error == "Odd"
    assert told.trace
    assert "example.com" not in f"{bench.facts}{letter.reason}"


@on_any_road
async def test_a_stop_ends_by_its_deadline_when_what_is_under_way_never_ends(kind):
    bench = RoadBench(kind, takes_s=FOR_EVER_S, stop_deadline_s=10.0, revoke_budget_s=60.0)
    async with bench.running():
        bench.produce("alice")
        await bench.until(lambda: bench.engine.under_way)
        began = asyncio.get_running_loop().time()
        bench.road.stop("enough")
        await bench.run
        took_s = asyncio.get_running_loop().time() - began
    assert isinstance(bench.run.result(), DrainIncomplete)
    assert took_s <= 10.0 + 1.0
    assert bench.committed() == 0


@on_any_road
async def test_a_stop_in_the_middle_of_a_rebalance_ends_by_its_deadline(kind):
    bench = RoadBench(kind, takes_s=FOR_EVER_S, stop_deadline_s=10.0, revoke_budget_s=600.0)
    async with bench.running():
        bench.produce("alice")
        await bench.until(lambda: bench.engine.under_way)
        revoking = asyncio.ensure_future(bench.road.on_revoked({P0}))  # noqa: TID251
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        bench.road.stop("enough")
        await bench.run
        assert asyncio.get_running_loop().time() - began <= 10.0 + 1.0
        await revoking


@on_any_road
async def test_a_stop_while_the_broker_is_away_says_what_was_not_committed(kind):
    bench = RoadBench(kind, stop_deadline_s=10.0, commit_every_s=3.0)
    async with bench.running():
        bench.produce("alice", "bob")
        await bench.until(lambda: bench.custody.ledger.delivered == 2)
        loop = asyncio.get_running_loop()
        bench.cluster.down_until = loop.time() + 1e6
        began = loop.time()
        bench.road.stop("enough")
        await bench.run
        assert loop.time() - began <= 10.0 + 1.0
    assert isinstance(bench.run.result(), CommitIncomplete)
    assert bench.told(DrainEnded)[0].uncommitted == 2
    assert bench.told(CommitFailed)


@on_any_road
async def test_while_kafka_takes_no_commit_it_is_asked_less_often_and_the_end_is_told(kind):
    bench = RoadBench(kind, commit_every_s=0.5)
    commit, refuses, tries = bench.source.commit, True, []

    async def refused(commits):
        tries.append(asyncio.get_running_loop().time())
        if refuses:
            raise KafkaRefused("committing offsets: group authorization failed")
        await commit(commits)

    async with bench.running():
        bench.produce("alice")
        await bench.until(lambda: bench.committed() == bench.end())
        bench.source.commit = refused
        bench.produce("bob")
        await bench.until(lambda: tries)
        await asyncio.sleep(120)
        waits = [round(b - a, 1) for a, b in itertools.pairwise(tries)]
        assert waits[:6] == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
        blocked = bench.road.reporter.status()["commits"]
        assert blocked["blocked"] == "committing offsets: group authorization failed"
        assert blocked["for_s"] > 100
        refuses = False
        await bench.until(lambda: bench.committed() == bench.end(), within_s=16)
        assert bench.road.reporter.status()["commits"] == {"blocked": None, "for_s": None}
        (over,) = bench.told(CommitsRestored)
        assert 120 < over.after_s < 140
        assert len(bench.told(CommitFailed)) == len(tries) - 1
        bench.produce("alice")
        await bench.until(lambda: bench.committed() == bench.end(), within_s=2)


@on_any_road
async def test_what_is_wrong_is_told_while_a_commit_waits_for_its_answer(kind):
    bench = RoadBench(kind)
    waiting, answered = asyncio.Event(), asyncio.Event()

    async def hanging(_commits):
        waiting.set()
        await answered.wait()

    async with bench.running():
        bench.produce("alice")
        await bench.until(lambda: bench.committed() == bench.end())
        bench.source.commit = hanging
        bench.produce("bob")
        await waiting.wait()
        wrong = SourceState(trouble=SourceTrouble.SILENT, reason="nobody answers")
        bench.source.state = lambda: wrong
        await bench.until(lambda: not bench.road.reporter.readiness().ok, within_s=2)
        answered.set()


@on_any_road
async def test_a_stop_before_it_has_joined_is_an_orderly_end(kind):
    bench = RoadBench(kind)
    never = asyncio.Event()

    async def start(_listener):
        await never.wait()

    bench.source.start = start
    async with bench.running():
        await asyncio.sleep(5)
        assert not bench.road.has_run
    assert bench.run.result() is None
    assert bench.told(DrainEnded) == []


@on_any_road
async def test_the_error_that_ends_a_road_is_not_hidden_by_those_of_closing_it(kind):
    bench = RoadBench(kind)
    closed = []

    async def failing():
        closed.append(None)
        raise ZeroDivisionError

    bench.source.stop = bench.sink.stop = failing
    async with bench.running():
        await bench.until(lambda: bench.custody.assigned)
        bench.source.failure = KafkaUnreachable("gone")
        await bench.until(bench.run.done)
    assert isinstance(bench.run.result(), KafkaUnreachable)
    assert len(closed) == 2


@on_any_road
async def test_an_error_of_closing_alone_is_raised(kind):
    bench = RoadBench(kind)

    async def failing():
        raise ZeroDivisionError

    bench.sink.stop = failing
    async with bench.running():
        await bench.until(lambda: bench.custody.assigned)
    assert isinstance(bench.run.result(), ZeroDivisionError)


@on_any_road
async def test_an_error_of_the_source_ends_it_and_closes_everything(kind):
    bench = RoadBench(kind)
    async with bench.running():
        await bench.until(lambda: bench.road.has_run)
        await asyncio.sleep(1)
        bench.source.failure = KafkaUnreachable("gone")
        await bench.run
    assert isinstance(bench.run.result(), KafkaUnreachable)
    assert bench.source.left
    assert bench.road.lifecycle is Lifecycle.STOPPED


@on_any_road
async def test_a_partition_that_leaves_gives_back_what_was_not_settled(kind):
    bench = RoadBench(kind, takes_s=FOR_EVER_S, revoke_budget_s=5.0, stop_deadline_s=3.0)
    async with bench.running():
        bench.produce("alice")
        await bench.until(lambda: bench.engine.under_way)
        bench.produce("bob", "carol")
        await asyncio.sleep(1)
        await bench.road.on_revoked({P0})
        ledger = bench.custody.ledger
        assert ledger.balanced
        assert ledger.delivered == 0
        (told,) = bench.told(PartitionsRevoked)
        assert told.partitions == (str(P0),)
        assert told.unsettled >= 2
        assert bench.committed() == 0
    assert bench.told(PartitionsAssigned)[0].road == kind


@on_any_road
async def test_metadata_that_cannot_be_read_is_told_and_ignored(kind):
    bench = RoadBench(kind)
    bench.produce("alice", "bob")
    first = bench.cluster.logs[P0].records[0].offset
    bench.cluster.commits[P0] = bench.cluster_commit(first, "not a map")
    async with bench.running():
        await bench.until(lambda: bench.committed() == bench.end())
    (ignored,) = bench.told(MetadataIgnored)
    assert ignored.partition == str(P0)
    assert bench.custody.ledger.delivered == 2


@on_any_road
async def test_a_log_that_was_cut_and_grew_again_is_read_anew(kind):
    bench = RoadBench(kind)
    async with bench.running():
        bench.produce("alice", "bob", "carol")
        await bench.until(lambda: bench.committed() == bench.end())
        custody = bench.custody
        record = bench.record(offset=0)
        bench.engine.admit(record, bench.moment())
        assert custody.assigned[P0].frontier.next_offset == 1
        bench.road.changed()
        assert len(bench.told(PartitionRewound)) == 1


@on_any_road
async def test_where_reading_goes_on_without_a_record_is_committed_and_no_lag(kind):
    bench = RoadBench(kind)
    async with bench.running():
        bench.produce("alice", "bob")
        await bench.until(lambda: bench.committed() == bench.end())
        ends = bench.end() + 10
        bench.source.ends = lambda: {P0: ends}
        await bench.until(lambda: bench.road.reporter.status()["lag"] > 0)
        bench.road.on_moved(P0, ends)
        await bench.until(lambda: bench.road.reporter.status()["lag"] == 0)
        await bench.until(lambda: bench.committed() == ends)
        assert bench.told(PartitionRewound) == []

        bench.road.on_moved(P0, 3)  # the log was cut
        (told,) = bench.told(PartitionRewound)
        assert (told.expected, told.offset) == (ends, 3)
        assert bench.custody.assigned[P0].frontier.next_offset == 3
        bench.cluster.commits.clear()  # one that goes back is right here only


@on_any_road
async def test_the_budget_pauses_reading_and_goes_on_when_there_is_room(kind):
    custody = CustodyPolicy(memory_records_max=5, user_records_max=5)
    bench = RoadBench(kind, custody=custody, takes_s=20.0)
    async with bench.running():
        bench.produce(*(f"user{number}" for number in range(40)))
        await bench.until(lambda: bench.custody.is_full)
        assert bench.custody.ledger.open <= 5
        await bench.until(lambda: bench.committed() == bench.end(), within_s=5000)
    assert bench.custody.ledger.delivered == 40


@on_any_road
async def test_a_trouble_of_the_source_makes_it_not_ready(kind):
    bench = RoadBench(kind)
    trouble = SourceState(SourceTrouble.SILENT, "no answer", 1.0)
    async with bench.running():
        await bench.until(lambda: bench.road.has_run)
        await asyncio.sleep(1)
        assert bench.road.reporter.readiness().ok
        bench.source.state = lambda: trouble
        await asyncio.sleep(1)
        assert "silent" in bench.road.reporter.readiness().reason
        names = {family.name for family in bench.road.reporter.metrics()}
        prefix = bench.road.reporter.prefix
        for metric in ("records_taken", "records_settled", "lag", "ledger_balanced"):
            assert f"{prefix}_{metric}" in names
        del bench.source.state
        await asyncio.sleep(1)
        assert bench.road.reporter.readiness().ok
