"""A storm (data) → a run of one or more pipelines against it. What came of it: `judge`."""

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import orjson

from relay.errors import CommitIncomplete, DrainIncomplete, KafkaError
from relay.model import DEFAULT_DESTINATION
from relay.road.custody import CustodyPolicy
from relay.road.loop import Road, RoadPolicy
from relay.road.status import ReportPolicy
from relay.stream.decoding import DecodingPolicy
from relay.stream.interpret import InterpretPolicy, OrderBy, Routes, interpreter
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import IdentityPolicy
from relay.stream.pipeline import stream_road
from relay.stream.policy import EnginePolicy, OnDeadLetter, UserPolicy
from relay.stream.routing import RoutingPolicy, chooser
from relay.stream.sending.coalescing import CoalescingPolicy
from relay.stream.sending.destination import DestinationPolicy
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.pacing import RatePolicy
from relay.stream.sending.retries import RetryPolicy
from relay.stream.status import Reporter
from tests.support.policies import tuned
from tests.support.simulation.api import SimApi, SimApis, SimDeadLetters
from tests.support.simulation.cluster import SimCluster, SimSource
from tests.support.simulation.judge import figures
from tests.support.simulation.loop import EPOCH_MS, VirtualClock, run_virtually
from tests.support.simulation.sabotage import Sabotage
from tests.support.simulation.storm import Storm
from tests.support.simulation.watched import WatchedEngine


@dataclass
class Produced:
    """An event that was put on the topic, at a virtual time of the loop."""

    user: str
    seq: int
    fine: bool
    position: tuple[int, int]
    at: float
    put: bool = False
    """Whether it goes to the user point by a route of its own."""


class World:
    """One run of one storm."""

    def __init__(self, storm: Storm):
        self.storm = storm
        self.names = [DEFAULT_DESTINATION, *(f"d{at}" for at in range(1, len(storm.others) + 1))]
        self.rng = random.Random(storm.seed)
        self.points = random.Random(storm.seed + 4)
        self.sabotage = Sabotage(*storm.fail)
        self.cluster = SimCluster(
            storm.partitions, random.Random(storm.seed + 1), sabotage=self.sabotage
        )
        weathers = zip(self.names, [storm.faults, *storm.others], strict=True)
        self.apis = {
            name: SimApi(faults, random.Random(storm.seed + 2 + 1000 * at), self.sabotage)
            for at, (name, faults) in enumerate(weathers)
        }
        self.api = SimApis(self.apis) if storm.others else self.apis[DEFAULT_DESTINATION]
        self.letters = SimDeadLetters(storm.letters_refused, self.sabotage)
        self.produced: list[Produced] = []
        self.fact_counts: Counter[str] = Counter()
        self.running: dict[asyncio.Task, tuple[SimSource, Road, WatchedEngine]] = {}
        self.engines: list[WatchedEngine] = []
        self.sources: list[SimSource] = []
        self.crashes = 0
        self.at_risk = 0
        self.settled_at: float | None = None
        self.wakeups = 0
        self.unbalanced = 0

    def run(self):
        """Run the storm until all is settled, or the deadline passes."""
        run_virtually(self._run())
        return self

    def verdict(self) -> dict[str, Any]:
        """What was lost, broken or repeated, and every other figure."""
        return figures(self)

    async def _run(self):
        async with asyncio.TaskGroup() as tasks:
            self.tasks = tasks
            coordinator = tasks.create_task(self.cluster.coordinate())
            for _ in range(self.storm.members):
                self.start_member()
            script = [
                tasks.create_task(self.produce()),
                *(tasks.create_task(self._later(at, self.kill)) for at in self.storm.kills),
                *(tasks.create_task(self._later(at, self.join)) for at in self.storm.joins),
                *(tasks.create_task(self._later(at, self.leave)) for at in self.storm.leaves),
                *(tasks.create_task(self._broker(*window)) for window in self.storm.broker_down),
            ]
            await asyncio.wait(script)
            await self._until_settled()
            self.wakeups = asyncio.get_running_loop().wakeups
            self.restarting = False
            for task, (_, pipeline, _) in list(self.running.items()):
                pipeline.stop("end of the storm")
                await asyncio.wait([task])
            coordinator.cancel()

    # -- members ------------------------------------------------------------------------------

    restarting = True

    def start_member(self):
        policy = self._engine_policy()
        others = dict.fromkeys(self.names[1:], policy)
        engine = WatchedEngine(policy, self.interpret(), self.rng, others=others)
        engine.watch(self.cluster)
        source = SimSource(self.cluster, shares_rate=self.storm.rate_shared)
        pipeline = stream_road(
            engine,
            source,
            self.apis,
            self.letters,
            emit=self._emit,
            clock=VirtualClock(asyncio.get_running_loop()),
            policy=RoadPolicy(),
            reporter=Reporter(engine, self._emit, ReportPolicy()),
        )
        task = self.tasks.create_task(self._run_member(pipeline, source))
        self.running[task] = (source, pipeline, engine)
        self.engines.append(engine)
        self.sources.append(source)
        task.add_done_callback(lambda done: self.running.pop(done, None))
        return pipeline

    def interpret(self):
        return interpreter(self.interpret_policy())

    def interpret_policy(self):
        policy = _INTERPRET[self.storm.order_by]
        if len(self.names) == 1:
            return policy
        routing = RoutingPolicy(field="site_id")
        mappings = dict.fromkeys(self.names, policy.mapping)
        return replace(policy, routes=Routes(chooser(routing, self.names), mappings))

    def bound_for(self, seq):
        """The destination of an event: each of them in turn."""
        return self.names[seq % len(self.names)]

    async def _run_member(self, pipeline, source):
        try:
            # An orderly stop in the middle of an outage may run out of time; that loses nothing.
            with contextlib.suppress(DrainIncomplete, CommitIncomplete):
                await pipeline.run()
        except KafkaError:
            # The documented end of a process that cannot go on. Its supervisor starts another.
            self.crashes += 1
            await asyncio.sleep(self.storm.restart_after_s)
            if self.restarting:
                self.start_member()

    def _engine_policy(self):
        storm = self.storm
        return EnginePolicy(
            destination=DestinationPolicy(
                limit=LimitPolicy(max_in_flight=storm.max_in_flight),
                rate=RatePolicy(
                    rate_per_second=storm.rate_per_second, rate_shared=storm.rate_shared
                ),
                retry=RetryPolicy(attempts_max=storm.attempts_max, age_max_s=storm.age_max_s),
            ),
            custody=tuned(
                CustodyPolicy,
                memory_records_max=storm.records_max,
                memory_bytes_max=storm.bytes_max,
                user_records_max=storm.lane_records_max,
                poll_records_max=storm.poll_records_max,
                offset_map=storm.offset_map,
                map_bytes_max=storm.map_bytes_max,
            ),
            coalescing=CoalescingPolicy(events_max=storm.coalesce),
            users=UserPolicy(
                on_dead_letter=OnDeadLetter.PARK_USER if storm.park_user else OnDeadLetter.CONTINUE,
                duplicates_window=storm.duplicates_window,
            ),
        )

    def _emit(self, fact):
        self.fact_counts[type(fact).__name__] += 1

    async def _later(self, at, act):
        await asyncio.sleep(at)
        await act()

    async def kill(self):
        """Kill -9 a member, and start another one a little later."""
        if self.running:
            task = self.rng.choice(list(self.running))
            source, _, engine = self.running.pop(task)
            self.at_risk += engine.unfinished(list(engine.custody.assigned))
            source.die()
            task.cancel()
            await asyncio.wait([task])
        await asyncio.sleep(self.storm.restart_after_s)
        self.start_member()

    async def join(self):
        self.start_member()

    async def leave(self):
        """Stop a member in an orderly way, unless it is the last."""
        if len(self.running) > 1:
            task = self.rng.choice(list(self.running))
            self.running[task][1].stop("asked to leave")
            await asyncio.wait([task])

    async def _broker(self, start, stop):
        await asyncio.sleep(start)
        self.cluster.down_until = asyncio.get_running_loop().time() + (stop - start)

    # -- producing ----------------------------------------------------------------------------

    async def produce(self):
        storm, rng = self.storm, self.rng
        weights = [1 / (rank + 1) ** storm.zipf for rank in range(storm.users)]
        picks = rng.choices(range(storm.users), weights, k=storm.events)
        # Drawn apart: without the hot user, all others do exactly the same.
        hot = random.Random(storm.seed + 3)
        seqs: Counter[str] = Counter()
        for number, user in enumerate(picks):
            if storm.produce_s:
                await asyncio.sleep(storm.produce_s / storm.events)
            self.put(f"user-{user}", user, seqs, number)
            while hot.random() < storm.hot_share:
                self.put("hot", 0, seqs, number)

    def put(self, name, user, seqs, number):
        storm, rng = self.storm, self.rng
        at = asyncio.get_running_loop().time()
        partition = user % storm.partitions
        now_ms = EPOCH_MS + number
        if rng.random() < storm.garbage:
            offset = self.cluster.produce(partition, now_ms, name.encode(), b"{not json")
            self.produced.append(Produced(name, -1, False, (partition, offset), at))
            return
        poison = rng.random() < storm.poison
        seq = seqs[name]
        seqs[name] += 1
        to = self.bound_for(seq) if storm.others else None
        put = user % 2 > 0 if storm.points_apart else self.points.random() < storm.points
        value = event(name, seq, now_ms, poison=poison, padding=storm.padding, to=to, put=put)
        offset = self.cluster.produce(partition, now_ms, name.encode(), value)
        self.produced.append(Produced(name, seq, not poison, (partition, offset), at, put))

    async def _until_settled(self):
        loop = asyncio.get_running_loop()
        while loop.time() - 1000.0 < self.storm.deadline_s:
            await asyncio.sleep(1)
            for custody in (engine.custody for engine in self.engines):
                self.unbalanced += not (custody.ledger.balanced and custody.by_event.balanced)
            if all(self._is_settled(p, log) for p, log in self.cluster.logs.items()):
                self.settled_at = loop.time() - 1000.0
                return

    def _is_settled(self, partition, log):
        commit = self.cluster.commits.get(partition)
        return not log.records or (commit is not None and commit.offset > log.records[-1].offset)


def event(user, seq, ts_ms, *, poison=False, padding=0, to=None, put=False):
    """An app event of the native format, as bytes; `put`: a profile for the user point."""
    properties: dict[str, Any] = {"seq": seq}
    if poison:
        properties["poison"] = True
    if padding:
        properties["padding"] = "x" * padding
    return orjson.dumps(
        {
            **({"type": "profile", "route": "user_profiles"} if put else _TRACK),
            "id": f"{user}-{seq}",
            "ts": ts_ms,
            "user": {"accounts": [{"id": user}]},
            "properties": properties,
            **({} if to is None else {"site_id": to}),
        }
    )


_TRACK = {"type": "track", "event": "storm", "session_status": "IN_SESSION"}
_INTERPRET = {
    order: InterpretPolicy(
        DecodingPolicy(),
        MappingPolicy(identity=IdentityPolicy(default_compartment_id="1")),
        OrderBy(order),
    )
    for order in OrderBy
}
