"""Any road on a bench, in virtual time: a simulated broker, and an end that takes its time.

A record is the shorthand "alice" for something good of alice, "! alice" for something that cannot
be mapped, and "odd" for something that meets a defect. "#7 alice" can be read only when schema 7 is
there.
"""

import asyncio
import contextlib
import random
from typing import ClassVar

from relay.errors import KafkaRefused
from relay.membership.engine import MembershipEngine
from relay.membership.importer import Importer
from relay.membership.loop import FileCarrier
from relay.membership.policy import (
    ImporterPolicy,
    MembershipPolicy,
)
from relay.membership.status import MembershipReporter
from relay.model import DEFAULT_DESTINATION, Commit, Moment, NeedsSchema, Partition, Record
from relay.road.custody import CustodyPolicy
from relay.road.loop import Road, RoadPolicy
from relay.road.status import ReportPolicy
from relay.segments.driver import Platform
from relay.segments.policy import UploadPolicy
from relay.stream.engine import Engine
from relay.stream.pipeline import stream_road
from relay.stream.policy import EnginePolicy
from relay.stream.status import Reporter
from tests.support.engine_kit import OK, interpret
from tests.support.membership_bench import changes
from tests.support.simulation.cluster import SimCluster, SimSource
from tests.support.simulation.loop import VirtualClock, VirtualLoop
from tests.support.simulation.membership import SimImports, SimPlatform
from tests.support.simulation.sabotage import Sabotage

FOR_EVER_S = 1e7
ROADS = ("stream", "segments")
P0 = Partition("events", 0)


class Odd(Exception):
    """A defect. Its text holds what nobody may see."""


class Sink:
    """A dead-letter topic that may refuse."""

    def __init__(self):
        self.written = []
        self.refuses = False

    async def start(self):
        pass

    async def stop(self):
        pass

    async def write(self, letters):
        await asyncio.sleep(0.01)
        if self.refuses:
            raise KafkaRefused("not authorised to write")
        self.written += letters


class SimSchemas:
    """A registry: `known` is in the cache; what is asked for waits until it is let go."""

    def __init__(self):
        self.known = set()
        self.asked = []
        self.problem = None
        self._waiting = {}

    async def resolve(self, key):
        self.asked.append(key)
        await self._waiting.setdefault(key, asyncio.Event()).wait()
        self.known.add(key)

    def let_go(self, key):
        self._waiting.setdefault(key, asyncio.Event()).set()


class _Wire:
    def __init__(self, bench):
        self._bench = bench

    async def send(self, request):
        self._bench.sent.append(request.body.decode())
        await asyncio.sleep(self._bench.takes_s)
        return OK

    async def close(self):
        pass


class _Steady(random.Random):
    """Chance, except for how long an execution takes."""

    def __init__(self, bench):
        super().__init__(3)
        self._bench = bench

    def uniform(self, low, high):
        return self._bench.takes_s if high > 1 else super().uniform(low, high)


class _EachAlone(RoadPolicy):
    slice_s: ClassVar[float] = 0.0


class RoadBench:
    """One road of either kind, and everything it touches."""

    def __init__(self, kind, *, custody=None, takes_s=0.05, each_alone=False, **times):
        """`each_alone`: the loop looks at its other tasks between any two records of a batch."""
        self.kind = kind
        self.takes_s = takes_s
        self.facts = []
        self.sent = []
        self.schemas = SimSchemas()
        self.cluster = SimCluster(2, random.Random(1), sabotage=Sabotage())
        self.source, self.sink = SimSource(self.cluster), Sink()
        loop = asyncio.get_running_loop()
        clock = VirtualClock(loop)
        policy = (_EachAlone if each_alone else RoadPolicy)(**{"commit_every_s": 0.5, **times})
        rng = random.Random(2)
        shared = {"emit": self.facts.append, "clock": clock, "policy": policy}
        if kind == "stream":
            self.engine = Engine(
                EnginePolicy(custody=custody or CustodyPolicy()), self._interpret, rng
            )
            reporter = Reporter(
                self.engine,
                self.facts.append,
                ReportPolicy(),
                registry_problem=lambda: self.schemas.problem,
            )
            self.road = stream_road(
                self.engine,
                self.source,
                {DEFAULT_DESTINATION: _Wire(self)},
                self.sink,
                reporter=reporter,
                schemas=self.schemas,
                **shared,
            )
            return
        policy = MembershipPolicy(
            commands_max=100,
            gather_s=0.1,
            wait_s=1,
            wait_s_max=5,
            **({} if custody is None else {"custody": custody}),
        )
        self.engine = MembershipEngine(policy, self._changing, rng)
        self.platform = SimPlatform(_Steady(self), failing=0.0, away=(), tells=True)
        upload = UploadPolicy(attempts_max=1, poll_s=0.1, poll_s_max=0.1, adoption_s=1)
        importer = Importer(
            Platform(SimImports(self.platform), clock), ImporterPolicy("sim", upload=upload), rng
        )
        reporter = MembershipReporter(
            self.engine, self.facts.append, registry_problem=lambda: self.schemas.problem
        )
        self.road = Road(
            reporter.road,
            self.engine,
            FileCarrier(self.engine, importer, self.facts.append, clock),
            self.source,
            self.sink,
            reporter=reporter,
            schemas=self.schemas,
            **shared,
        )

    def _interpret(self, record, now_ms):
        if record.value == b"odd":
            raise Odd("somebody@example.com")
        value = self._readable(record.value)
        if isinstance(value, NeedsSchema):
            return value
        return interpret(record._replace(value=value + b" %d" % record.offset), now_ms)

    def _changing(self, record, now_ms):
        if record.value == b"odd":
            raise Odd("somebody@example.com")
        value = self._readable(record.value)
        if isinstance(value, NeedsSchema):
            return value
        return changes(record._replace(value=value + b" 88 in"), now_ms)

    def _readable(self, value):
        if not value.startswith(b"#"):
            return value
        schema, _, value = value[1:].partition(b" ")
        return value if int(schema) in self.schemas.known else NeedsSchema(int(schema))

    @property
    def custody(self):
        return self.engine.custody

    def produce(self, *values, partition=0):
        for value in values:
            self.cluster.produce(partition, 0, None, value.encode())

    @staticmethod
    def cluster_commit(offset, metadata):
        return Commit(offset, metadata)

    def record(self, *, offset):
        return Record(*P0, offset, 0, None, b"alice", epoch=self.custody.assigned[P0].epoch)

    def moment(self):
        loop = asyncio.get_running_loop()
        return Moment(loop.time(), VirtualClock(loop).now_ms())

    def committed(self, partition=P0):
        commit = self.cluster.commits.get(partition)
        return 0 if commit is None else commit.offset

    def end(self, partition=P0):
        return self.cluster.logs[partition].next

    def told(self, kind):
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def until(self, condition, within_s=600.0):
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def running(self):
        async with asyncio.TaskGroup() as tasks:
            coordinator = tasks.create_task(self.cluster.coordinate())
            self.run = tasks.create_task(self._ended())
            yield self
            self.road.stop("the test is over")
            await self.run
            coordinator.cancel()

    async def _ended(self):
        try:
            await self.road.run()
        except Exception as error:  # noqa: BLE001 - what it is, is what is asked
            return error


def virtually(test):
    """Run a test on a loop whose clock jumps."""

    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    run.__name__ = test.__name__
    return run
