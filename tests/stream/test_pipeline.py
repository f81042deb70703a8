"""The loop under virtual time: starting, stopping, failing, and what it does in between."""

import asyncio
import contextlib
import itertools
import random
from collections import Counter

import pytest

from relay.errors import DrainIncomplete, KafkaRefused, KafkaUnreachable
from relay.model import DEFAULT_DESTINATION, Answer, NoAnswer, Partition
from relay.road.facts import CommitFailed, DrainEnded, DrainStarted, Lifecycle, LifecycleChanged
from relay.road.loop import RoadPolicy
from relay.road.settling.facts import DeadLetterTopicRestored, DeadLetterTopicUnavailable
from relay.road.status import ReportPolicy
from relay.stream.engine import Engine
from relay.stream.pipeline import stream_road
from relay.stream.policy import EnginePolicy
from relay.stream.sending.destination import DestinationPolicy
from relay.stream.sending.gate import GatePolicy
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.retries import RetryPolicy
from relay.stream.status import Reporter
from tests.support.engine_kit import OK, interpret
from tests.support.simulation.cluster import SimCluster, SimSource
from tests.support.simulation.loop import VirtualClock, VirtualLoop
from tests.support.simulation.sabotage import Sabotage


class Wire:
    """Answers after a time; what it is to do with a body can be said."""

    def __init__(self, latency_s=0.01):
        self.latency_s = latency_s
        self.sent = []
        self.answers = {}
        self.open = 0
        self.open_most = 0

    async def send(self, request):
        body = request.body.decode()
        self.sent.append(body)
        self.open += 1
        self.open_most = max(self.open, self.open_most)
        try:
            await asyncio.sleep(self.latency_s)
            for part, answer in self.answers.items():
                if part in body:
                    return await answer() if callable(answer) else answer
            return OK
        finally:
            self.open -= 1

    async def close(self):
        pass


class Letters:
    """A dead-letter topic that takes its time and may refuse."""

    def __init__(self):
        self.written = []
        self.tries = []
        self.takes_s = 0.01
        self.refuses = False

    async def start(self):
        pass

    async def stop(self):
        pass

    async def write(self, letters):
        self.tries.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes_s)
        if self.refuses:
            raise KafkaRefused("not authorised")
        self.written += letters


class Bench:
    """One pipeline, and everything it touches."""

    def __init__(self, *, policy=None, gate=None, limit=None, loop=None):
        self.loop = loop or asyncio.get_running_loop()
        self.cluster = SimCluster(2, random.Random(1), sabotage=Sabotage())
        self.wire, self.letters = Wire(), Letters()
        self.wires = {DEFAULT_DESTINATION: self.wire}
        self.facts = []
        destination = DestinationPolicy(
            gate=gate or GatePolicy(),
            limit=limit or LimitPolicy(fixed_limit=True, max_in_flight=8),
            retry=RetryPolicy(base_s=0.1),
        )
        self.engine = Engine(EnginePolicy(destination=destination), interpret, random.Random(2))
        self.source = SimSource(self.cluster)
        self.pipeline = stream_road(
            self.engine,
            self.source,
            self.wires,
            self.letters,
            emit=self.facts.append,
            clock=VirtualClock(self.loop),
            policy=policy or RoadPolicy(commit_every_s=0.5),
            reporter=Reporter(self.engine, self.facts.append, ReportPolicy()),
        )

    def produce(self, *values, partition=0):
        for value in values:
            self.cluster.produce(partition, 0, None, value.encode())

    def told(self, kind):
        return [fact for fact in self.facts if isinstance(fact, kind)]

    @contextlib.asynccontextmanager
    async def running(self):
        async with asyncio.TaskGroup() as tasks:
            coordinator = tasks.create_task(self.cluster.coordinate())
            self.run = tasks.create_task(self.ended())
            yield self
            self.pipeline.stop("the test is over")
            await self.run
            coordinator.cancel()

    async def ended(self):
        """What the run ended with; None when it ended well."""
        try:
            await self.pipeline.run()
        except Exception as error:  # noqa: BLE001 - what it is, is what is asked
            return error


def workers():
    return [task for task in asyncio.all_tasks() if task.get_name() == "worker"]


def virtually(test):
    """Run a test on a loop whose clock jumps."""

    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    run.__name__ = test.__name__
    return run


# -- starting and stopping --------------------------------------------------------------------


@virtually
async def test_a_life_goes_from_starting_to_stopped():
    bench = Bench()
    async with bench.running():
        bench.produce("a 1", "b 1")
        await asyncio.sleep(2)
    states = [fact.new for fact in bench.told(LifecycleChanged)]
    assert states == [Lifecycle.RUNNING, Lifecycle.DRAINING, Lifecycle.STOPPED]
    assert bench.run.result() is None
    assert bench.engine.custody.ledger.delivered == 2
    assert bench.cluster.commits[Partition("events", 0)].offset == 2


@virtually
async def test_stopping_twice_is_stopping_once():
    bench = Bench()
    async with bench.running():
        await asyncio.sleep(1)
        bench.pipeline.stop("once")
        bench.pipeline.stop("twice")
    assert [fact.reason for fact in bench.told(DrainStarted)] == ["once"]


@virtually
async def test_a_stop_lets_land_what_flies_and_starts_nothing():
    bench = Bench(limit=LimitPolicy(fixed_limit=True, max_in_flight=2))
    bench.wire.latency_s = 3.0
    async with bench.running():
        bench.produce("a 1", "b 1", "c 1", "d 1")
        await asyncio.sleep(1)
        bench.pipeline.stop("enough")
    assert len(bench.wire.sent) == 2
    assert bench.engine.custody.ledger.delivered == 2
    assert bench.run.result() is None
    assert bench.cluster.commits[Partition("events", 0)].offset == 2
    assert bench.engine.custody.ledger.balanced


@virtually
async def test_a_stop_waits_for_dead_letters_on_their_way():
    bench = Bench()
    bench.letters.takes_s = 4.0
    async with bench.running():
        bench.produce("? x")
        await asyncio.sleep(1)
        bench.pipeline.stop("enough")
    assert len(bench.letters.written) == 1
    assert bench.cluster.commits[Partition("events", 0)].offset == 1


@pytest.mark.parametrize("what_hangs", ["wire", "letters"])
def test_a_stop_has_a_deadline_and_says_so(what_hangs):
    @virtually
    async def test():
        bench = Bench(policy=RoadPolicy(stop_deadline_s=5.0, revoke_budget_s=20.0))
        if what_hangs == "wire":
            bench.wire.latency_s = 1e6
        bench.letters.refuses = True
        async with bench.running():
            bench.produce("? x" if what_hangs == "letters" else "a 1")
            await asyncio.sleep(1)
            bench.pipeline.stop("enough")
            began = bench.loop.time()
            await bench.run
            assert bench.loop.time() - began < 6.0, "the budget of a rebalance came on top of it"
        assert isinstance(bench.run.result(), DrainIncomplete)
        assert bench.told(DrainEnded)[0].unsettled == 1
        assert bench.cluster.commits[Partition("events", 0)].offset == 0

    test()


@virtually
async def test_after_the_end_nothing_is_left_behind():
    bench = Bench()
    async with bench.running():
        bench.produce(*(f"user{n} 1" for n in range(50)))
        await asyncio.sleep(3)
    assert bench.pipeline._carrier._tasks is None
    assert bench.pipeline._watchers == []
    assert len(asyncio.all_tasks()) == 1


# -- what ends it -----------------------------------------------------------------------------


@virtually
async def test_a_source_that_cannot_go_on_ends_it_with_its_own_error():
    bench = Bench()
    bench.wire.latency_s = 5.0
    async with bench.running():
        bench.produce("a 1")
        await asyncio.sleep(1)
        bench.cluster.sabotage.__init__("poll", 1)
        await bench.run
    assert isinstance(bench.run.result(), KafkaUnreachable)
    assert bench.told(LifecycleChanged)[-1].new is Lifecycle.STOPPED


@virtually
async def test_commits_that_cannot_be_read_end_it_and_lose_nothing():
    bench = Bench()
    bench.cluster.sabotage.__init__("committed", 1)
    bench.produce("a 1")
    async with bench.running():
        await bench.run
    assert isinstance(bench.run.result(), KafkaUnreachable)
    assert bench.cluster.commits == {}


@pytest.mark.parametrize(
    "failure", [ValueError("not as promised"), asyncio.CancelledError("by nobody")]
)
def test_a_wire_that_breaks_its_word_costs_an_attempt_and_nothing_more(failure):
    @virtually
    async def test():
        bench = Bench()
        times = Counter()

        async def breaks():
            times["all"] += 1
            if times["all"] < 3:
                raise failure
            return OK

        bench.wire.answers["bad"] = breaks
        async with bench.running():
            bench.produce("bad 1", "a 1")
            await asyncio.sleep(30)
        assert bench.run.result() is None
        assert bench.engine.custody.ledger.delivered == 2
        assert bench.engine.sender.verdicts["unavailable", "broken"] == 2

    test()


# -- destinations -----------------------------------------------------------------------------


@virtually
async def test_a_destination_that_is_added_is_sent_to_and_holds_up_nobody():
    bench = Bench()
    bench.wire.latency_s = 5.0
    async with bench.running():
        bench.produce("a 1", "a 2")
        await asyncio.sleep(1)
        bench.wires["more"] = more = Wire()
        bench.engine.add({"more": bench.engine.policy})
        bench.engine.interpret = lambda record, now_ms: interpret(record, now_ms)._replace(
            destination="more"
        )
        bench.produce("a 3", "b 1")
        await asyncio.sleep(1)
        assert (len(bench.wire.sent), len(more.sent)) == (1, 2)
        assert bench.engine.senders["more"].lanes.in_flight == 0
        await asyncio.sleep(15)
    assert bench.run.result() is None
    assert bench.engine.custody.ledger.delivered == 4
    assert len(bench.wire.sent) == 2
    assert len(asyncio.all_tasks()) == 1


# -- requests ---------------------------------------------------------------------------------


@virtually
async def test_no_more_workers_than_the_limit_and_they_are_used_again():
    bench = Bench(limit=LimitPolicy(fixed_limit=True, max_in_flight=4))
    async with bench.running():
        bench.produce(*(f"user{n} 1" for n in range(200)))
        await asyncio.sleep(5)
        assert bench.engine.custody.ledger.delivered == 200
        assert len(workers()) == 4
        assert len(bench.pipeline._carrier._carriers[DEFAULT_DESTINATION]._idle) == 4
    assert bench.wire.open_most == 4


@virtually
async def test_a_rest_ends_without_anything_else_happening():
    bench = Bench()
    bench.wire.answers["a"] = Answer(500)
    async with bench.running():
        bench.produce("a 1")
        await asyncio.sleep(5)
        first = len(bench.wire.sent)
        assert first >= 2
        bench.wire.answers.clear()
        await asyncio.sleep(60)
        assert bench.engine.custody.ledger.delivered == 1


@virtually
async def test_an_outage_wakes_nobody_more_often_than_its_probes_and_the_polls():
    bench = Bench()
    no_answer = Answer(0, no_answer=NoAnswer.CONNECT)
    bench.wire.answers["a"] = bench.wire.answers["b"] = no_answer
    async with bench.running():
        bench.produce(*(f"a{n} 1" for n in range(50)), *(f"b{n} 1" for n in range(50)))
        await asyncio.sleep(60)
        woken, sent = bench.loop.wakeups, len(bench.wire.sent)
        await asyncio.sleep(600)
        # Five polls and two commits a second, and a probe every 7.5 to 15 s.
        assert (bench.loop.wakeups - woken) / 600 < 10
        assert 600 / 15 <= len(bench.wire.sent) - sent <= 600 / 7.5
        bench.pipeline.stop("still away")
    assert bench.run.result() is None


# -- dead letters and commits -----------------------------------------------------------------


@virtually
async def test_a_dead_letter_is_tried_again_further_and_further_apart():
    bench = Bench()
    bench.letters.refuses = True
    async with bench.running():
        bench.produce("? x", "a 1")
        await asyncio.sleep(100)
        waits = [round(b - a, 1) for a, b in itertools.pairwise(bench.letters.tries)]
        assert waits[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0]
        assert len(bench.told(DeadLetterTopicUnavailable)) == len(bench.letters.tries)
        bench.letters.refuses = False
        assert bench.told(DeadLetterTopicRestored) == []
        await asyncio.sleep(16)
        assert bench.engine.custody.ledger.delivered == 1
        (over,) = bench.told(DeadLetterTopicRestored)
        assert 100 < over.after_s < 116
        bench.letters.refuses = True
        bench.produce("? y")
        before = len(bench.letters.tries)
        await asyncio.sleep(2)
        assert len(bench.letters.tries) >= before + 2, "it begins anew after a success"
        bench.letters.refuses = False
        await asyncio.sleep(2)


@virtually
async def test_a_partition_that_leaves_while_its_dead_letter_is_refused_holds_nobody():
    bench = Bench(policy=RoadPolicy(revoke_budget_s=1.0))
    bench.letters.refuses = True
    bench.letters.takes_s = 30.0
    async with bench.running():
        bench.produce("? x", partition=0)
        await asyncio.sleep(1)
        bench.engine.custody.drop([Partition("events", 0)])
        bench.produce("b 1", partition=1)
        await asyncio.sleep(60)
        assert bench.engine.custody.ledger.delivered == 1
        assert bench.engine.custody.letters_blocked is None


@virtually
async def test_a_commit_that_fails_is_told_and_made_again():
    bench = Bench()
    async with bench.running():
        bench.cluster.sabotage.__init__("commit", 1)
        bench.produce("a 1")
        await asyncio.sleep(3)
        assert bench.cluster.commits[Partition("events", 0)].offset == 1
    assert len(bench.told(CommitFailed)) == 1


@virtually
async def test_commits_never_overlap():
    bench = Bench(policy=RoadPolicy(commit_every_s=0.1))
    under_way, most = 0, 0
    commit = bench.source.commit

    async def slow_commit(commits):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.5)
        await commit(commits)
        under_way -= 1

    bench.source.commit = slow_commit
    async with bench.running():
        for number in range(20):
            bench.produce(f"a {number}")
            await asyncio.sleep(0.2)
        bench.cluster.member_changed()
        await asyncio.sleep(3)
    assert most == 1


# -- partitions -------------------------------------------------------------------------------


@virtually
async def test_a_revocation_waits_for_what_flies_within_its_budget():
    bench = Bench(policy=RoadPolicy(revoke_budget_s=10.0))
    bench.wire.latency_s = 4.0
    async with bench.running():
        bench.produce("a 1", "a 2")
        await asyncio.sleep(1)
        began = bench.loop.time()
        await bench.pipeline.on_revoked({Partition("events", 0), Partition("events", 1)})
        assert 2.0 < bench.loop.time() - began < 4.0
        assert bench.cluster.commits[Partition("events", 0)].offset == 1
        assert bench.wire.sent == [bench.wire.sent[0]], "nothing new left meanwhile"


@virtually
async def test_a_revocation_does_not_wait_longer_than_its_budget():
    bench = Bench(policy=RoadPolicy(revoke_budget_s=10.0))
    bench.wire.latency_s = 1e6
    async with bench.running():
        bench.produce("a 1")
        await asyncio.sleep(1)
        began = bench.loop.time()
        await bench.pipeline.on_revoked({Partition("events", 0), Partition("events", 1)})
        assert bench.loop.time() - began < 10.1
        bench.wire.latency_s = 0.01
        bench.cluster.keeps = False
        bench.cluster.member_changed()
        await asyncio.sleep(1)
        assert bench.engine.custody.assigned
        bench.pipeline.stop("enough")
    assert isinstance(bench.run.result(), DrainIncomplete)


# -- its own work -----------------------------------------------------------------------------


class TickingLoop(VirtualLoop):
    """Every look at the clock costs a tenth of a millisecond."""

    def time(self):
        self._virtual += 0.0001
        return super().time()


def test_work_is_cut_in_slices_so_that_heartbeats_live():
    """Heartbeats run on the same loop: a batch of 2,000 records must not keep them waiting."""
    longest = 0.0

    async def test():
        nonlocal longest
        bench = Bench()
        engine_policy = bench.engine.policy.custody
        assert engine_policy.poll_records_max >= 500
        bench.produce(*(f"user{n} 1" for n in range(2_000)))
        beats = []

        async def heartbeat():
            while True:
                beats.append(bench.loop.time())
                await asyncio.sleep(0)

        async with bench.running():
            beating = asyncio.get_running_loop().create_task(heartbeat())
            await asyncio.sleep(1)
            beating.cancel()
        longest = max(b - a for a, b in itertools.pairwise(beats))

    with asyncio.Runner(loop_factory=TickingLoop) as runner:
        runner.run(test())
    assert longest < 0.02
