"""A storm (data) → a run of one or more pipelines against it → what the judge has to say."""

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.errors import DrainIncomplete
from relay.stream.consuming.intake import IntakePolicy
from relay.stream.decoding import DecodingPolicy
from relay.stream.engine import Engine, EnginePolicy, OnDeadLetter
from relay.stream.interpret import InterpretPolicy, OrderBy, interpreter
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import IdentityPolicy
from relay.stream.pipeline import Pipeline, PipelinePolicy
from relay.stream.sending.coalescing import CoalescingPolicy
from relay.stream.sending.destination import DestinationPolicy
from relay.stream.sending.limit import LimitPolicy
from relay.stream.sending.retries import RetryPolicy
from relay.stream.status import Reporter, ReportPolicy
from tests.support.simulation.api import Faults, SimApi, SimDeadLetters
from tests.support.simulation.cluster import SimCluster, SimSource
from tests.support.simulation.loop import EPOCH_MS, VirtualClock, run_virtually


@dataclass
class Storm:
    """What happens, when. Times are virtual seconds from the start."""

    seed: int = 0
    partitions: int = 4
    users: int = 20
    events: int = 300
    produce_s: float = 5.0
    zipf: float = 1.1
    poison: float = 0.0
    garbage: float = 0.0
    members: int = 1
    kills: list[float] = field(default_factory=list)
    restart_after_s: float = 2.0
    joins: list[float] = field(default_factory=list)
    leaves: list[float] = field(default_factory=list)
    broker_down: list[tuple[float, float]] = field(default_factory=list)
    letters_refused: list[tuple[float, float]] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    order_by: str = "user"
    offset_map: bool = True
    coalesce: int = 1
    records_max: int = 2000
    map_bytes_max: int = 4096
    park_user: bool = False
    attempts_max: int = 8
    age_max_s: float = 600.0
    max_in_flight: int = 64
    deadline_s: float = 3600.0

    @classmethod
    def random(cls, seed: int) -> "Storm":
        """A storm drawn from a seed."""
        rng = random.Random(f"storm {seed}")
        span = rng.uniform(1, 20)
        times = lambda most: sorted(rng.uniform(0, span * 1.5) for _ in range(rng.randint(0, most)))  # noqa: E731
        window = lambda longest: (start := rng.uniform(0, span), start + rng.uniform(0, longest))  # noqa: E731
        windows = lambda chance, longest: [window(longest)] if rng.random() < chance else []  # noqa: E731
        maybe = lambda chance, most: rng.uniform(0, most) if rng.random() < chance else 0.0  # noqa: E731
        return cls(
            seed=seed,
            partitions=rng.randint(1, 6),
            users=rng.choice([1, 5, 30, 200]),
            events=rng.randint(50, 400),
            produce_s=span,
            zipf=rng.choice([0.0, 1.1, 2.0]),
            poison=maybe(0.5, 0.05),
            garbage=maybe(0.5, 0.05),
            members=rng.randint(1, 3),
            kills=times(3),
            joins=times(2),
            leaves=times(2),
            broker_down=windows(0.3, 20),
            letters_refused=windows(0.3, 60),
            faults=Faults(
                latency_s=(0.001, rng.choice([0.002, 0.05, 0.5])),
                throttled=maybe(0.5, 0.2),
                retry_after_s=rng.choice([None, 0, 1, 5]),
                failing=maybe(0.5, 0.2),
                answer_lost=maybe(0.5, 0.1),
                timing_out=maybe(0.2, 0.03),
                outages=windows(0.3, 120),
                misconfigured=windows(0.3, 120),
                per_second=rng.choice([None, None, None, 50.0]),
            ),
            offset_map=rng.random() < 0.8,
            coalesce=rng.choice([1, 1, 20]),
            records_max=rng.choice([10, 200, 2000]),
            map_bytes_max=rng.choice([40, 300, 4096]),
            park_user=rng.random() < 0.2,
            max_in_flight=rng.choice([1, 8, 64]),
        )


@dataclass
class Produced:
    """An event that was put on the topic."""

    user: str
    seq: int
    fine: bool
    position: tuple[int, int]


class World:
    """One run of one storm."""

    def __init__(self, storm: Storm):
        self.storm = storm
        self.rng = random.Random(storm.seed)
        self.cluster = SimCluster(storm.partitions, random.Random(storm.seed + 1))
        self.api = SimApi(storm.faults, random.Random(storm.seed + 2))
        self.letters = SimDeadLetters(storm.letters_refused)
        self.produced: list[Produced] = []
        self.in_flight_at_kills = 0
        self.facts: list[Any] = []
        self.fact_counts: Counter[str] = Counter()
        self.running: dict[asyncio.Task, tuple[SimSource, Pipeline, Engine]] = {}
        self.engines: list[Engine] = []
        self.settled_at: float | None = None
        self.unbalanced = 0

    # -- running ------------------------------------------------------------------------------

    def run(self):
        """Run the storm until all is settled, or the deadline passes."""
        run_virtually(self._run())
        return self

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
            for task, (_, pipeline, _) in list(self.running.items()):
                pipeline.stop("end of the storm")
                await asyncio.wait([task])
            coordinator.cancel()

    def start_member(self):
        engine = Engine(self._engine_policy(), interpreter(self.interpret_policy()), self.rng)
        source = SimSource(self.cluster)
        pipeline = Pipeline(
            engine,
            source,
            self.api,
            self.letters,
            emit=self._emit,
            clock=VirtualClock(asyncio.get_running_loop()),
            policy=PipelinePolicy(),
            reporter=Reporter(engine, self._emit, ReportPolicy()),
        )
        task = self.tasks.create_task(self._run_member(pipeline))
        self.running[task] = (source, pipeline, engine)
        self.engines.append(engine)
        task.add_done_callback(lambda done: self.running.pop(done, None))
        return pipeline

    def interpret_policy(self):
        return _INTERPRET[self.storm.order_by]

    async def _run_member(self, pipeline):
        # An orderly stop in the middle of an outage may run out of time; that loses nothing.
        with contextlib.suppress(DrainIncomplete):
            await pipeline.run()

    def _engine_policy(self):
        storm = self.storm
        return EnginePolicy(
            destination=DestinationPolicy(
                limit=LimitPolicy(maximum=storm.max_in_flight),
                retry=RetryPolicy(attempts_max=storm.attempts_max, age_max_s=storm.age_max_s),
            ),
            intake=IntakePolicy(records_max=storm.records_max, poll_records_max=100),
            coalescing=CoalescingPolicy(events_max=storm.coalesce),
            on_dead_letter=OnDeadLetter.PARK_USER if storm.park_user else OnDeadLetter.CONTINUE,
            offset_map=storm.offset_map,
            map_bytes_max=storm.map_bytes_max,
        )

    def _emit(self, fact):
        self.facts.append(fact)
        self.fact_counts[type(fact).__name__] += 1

    async def _later(self, at, act):
        await asyncio.sleep(at)
        await act()

    async def kill(self):
        """Kill -9 a member, and start another one a little later."""
        if self.running:
            task = self.rng.choice(list(self.running))
            source, _, engine = self.running.pop(task)
            self.in_flight_at_kills += sum(1 for _ in engine.lanes.flying())
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
        seqs: Counter[int] = Counter()
        for number, user in enumerate(picks):
            if storm.produce_s:
                await asyncio.sleep(storm.produce_s / storm.events)
            self.put(user, seqs, number)

    def put(self, user, seqs, number):
        storm, rng = self.storm, self.rng
        name = f"user-{user}"
        partition = user % storm.partitions
        now_ms = EPOCH_MS + number
        if rng.random() < storm.garbage:
            offset = self.cluster.produce(partition, now_ms, name.encode(), b"{not json")
            self.produced.append(Produced(name, -1, fine=False, position=(partition, offset)))
            return
        poison = rng.random() < storm.poison
        seq = seqs[user]
        seqs[user] += 1
        value = event(name, seq, number, now_ms, poison=poison)
        offset = self.cluster.produce(partition, now_ms, name.encode(), value)
        self.produced.append(Produced(name, seq, fine=not poison, position=(partition, offset)))

    async def _until_settled(self):
        loop = asyncio.get_running_loop()
        while loop.time() - 1000.0 < self.storm.deadline_s:
            await asyncio.sleep(1)
            self.unbalanced += sum(not engine.ledger.balanced for engine in self.engines)
            if all(self._is_settled(p, log) for p, log in self.cluster.logs.items()):
                self.settled_at = loop.time() - 1000.0
                return

    def _is_settled(self, partition, log):
        commit = self.cluster.commits.get(partition)
        return not log.records or (commit is not None and commit.offset > log.records[-1].offset)

    # -- judging ------------------------------------------------------------------------------

    def verdict(self) -> dict[str, Any]:
        """What was lost, broken or repeated, by what was produced, stored and dead-lettered."""
        stored: dict[tuple[str, int], int] = Counter((s.user, s.seq) for s in self.api.stored)
        dead = {(letter.record.partition, letter.record.offset) for letter in self.letters.written}
        lost = [
            p
            for p in self.produced
            if p.position not in dead and not (p.fine and stored[p.user, p.seq])
        ]
        wrongly_dead = [p for p in self.produced if p.fine and p.position in dead]
        return {
            "settled": self.settled_at is not None,
            "lost": len(lost),
            "order_breaks": order_breaks(self.api.stored),
            "duplicates": sum(count - 1 for count in stored.values()),
            "duplicates_allowed": self.in_flight_at_kills + self.api.lost_answers,
            "fine_but_dead": len(wrongly_dead),
            "unbalanced": self.unbalanced
            + sum(not engine.ledger.balanced for engine in self.engines),
        }


def order_breaks(stored) -> int:
    """How often an event was first stored after a later one of its user."""
    highest: dict[str, int] = {}
    seen: set[tuple[str, int]] = set()
    breaks = 0
    for entry in stored:
        if (entry.user, entry.seq) in seen:
            continue
        seen.add((entry.user, entry.seq))
        if entry.seq < highest.get(entry.user, -1):
            breaks += 1
        highest[entry.user] = max(highest.get(entry.user, -1), entry.seq)
    return breaks


def event(user, seq, number, ts_ms, *, poison=False):
    """An app event of the native format, as bytes."""
    properties = {"seq": seq, "poison": True} if poison else {"seq": seq}
    return orjson.dumps(
        {
            "type": "track",
            "id": f"{user}-{number}",
            "ts": ts_ms,
            "user": {"accounts": [{"id": user}]},
            "session_status": "IN_SESSION",
            "event": "storm",
            "properties": properties,
        }
    )


_INTERPRET = {
    order: InterpretPolicy(
        DecodingPolicy(),
        MappingPolicy(identity=IdentityPolicy(default_compartment_id="1")),
        OrderBy(order),
    )
    for order in OrderBy
}
