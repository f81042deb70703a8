"""Several lives of the membership road in virtual time: rebalances, kills, a platform with faults.

The loop, the engine and the importer are those of `relay run`; the broker and the platform are
simulated. The platform applies the lines of an execution when it ends, in any order, in its own
time, whoever has died meanwhile.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass

import orjson

from relay.apis.errors import AnswerLost, Refused, Unreachable
from relay.apis.mediarithmics_document_imports import DocumentImport, Execution
from relay.errors import CommitIncomplete, DrainIncomplete
from relay.membership.engine import MembershipEngine
from relay.membership.importer import Importer
from relay.membership.loop import FileCarrier
from relay.membership.mapping import changing
from relay.membership.policy import (
    ChangePolicy,
    ImporterPolicy,
    MembershipPolicy,
)
from relay.membership.status import MembershipReporter
from relay.road.loop import Road, RoadPolicy
from relay.segments.driver import Platform
from relay.segments.policy import UploadPolicy
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import IdentityPolicy
from tests.support.simulation.api import SimDeadLetters
from tests.support.simulation.cluster import SimCluster, SimSource
from tests.support.simulation.loop import EPOCH_MS, VirtualClock, run_virtually
from tests.support.simulation.sabotage import Sabotage

DEADLINE_S = 6 * 3600.0


@dataclass
class Running:
    """An execution of the platform's, until it ends."""

    execution: Execution
    shows_at: float
    ends_at: float
    lines: list[dict]
    fails: bool


class SimPlatform:
    """Document imports in virtual time. `away` are windows in which nothing answers."""

    def __init__(self, rng, *, failing, away, tells):
        self.rng = rng
        self.failing = failing
        self.away = away
        self.tells = tells
        self.imports: dict[str, str] = {}
        self.executions: dict[str, list[Running]] = {}
        self.members: set[tuple[str, str]] = set()
        self.files = 0

    def now(self):
        return asyncio.get_running_loop().time()

    async def _answering(self):
        await asyncio.sleep(self.rng.uniform(0.01, 0.2))
        if any(start <= self.now() - 1000.0 < stop for start, stop in self.away):
            raise Unreachable("no answer")

    async def find(self, name):
        await self._answering()
        return [
            DocumentImport(number, found)
            for number, found in self.imports.items()
            if found.startswith(name)
        ]

    async def create(self, name, mime_type):
        await self._answering()
        number = str(len(self.imports) + 1)
        self.imports[number] = name
        self.executions[number] = []
        if self.rng.random() < self.failing:
            raise AnswerLost("no answer")
        return DocumentImport(number, name)

    async def start(self, import_id, file, content_type, on_bytes=None):
        raw = file.read_bytes()
        await self._answering()
        lines = [orjson.loads(line) for line in raw.splitlines()]
        draw = self.rng.random()
        if any(line.get("data_bag") == '{"bad":"refused"}' for line in lines):
            raise Refused("400: refused")
        if draw < self.failing / 2:
            raise AnswerLost("never arrived")
        self.files += 1
        begun = self.now()
        shows = begun + (self.rng.uniform(0, 25) if draw < self.failing else 0)
        running = Running(
            Execution(f"{import_id}-{self.files}", "PENDING"),
            shows,
            max(shows, begun + self.rng.uniform(0.5, 120)),
            lines,
            self.rng.random() < self.failing,
        )
        self.executions[import_id].append(running)
        asyncio.get_running_loop().call_at(running.ends_at, self._end, running)
        if draw < self.failing:
            raise AnswerLost("the answer was lost")
        return running.execution

    async def executions_of(self, import_id, until=None):
        await self._answering()
        return [r.execution for r in self.executions[import_id] if r.shows_at <= self.now()]

    async def error_file(self, uri, to):
        await self._answering()
        (running,) = [
            r for found in self.executions.values() for r in found if r.execution.id == uri
        ]
        bad = [line for line in running.lines if _is_bad(line)]
        told = bad if self.tells else []
        to.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in told))

    def _end(self, running):
        lines = list(running.lines)
        self.rng.shuffle(lines)
        for line in lines[: len(lines) // 2] if running.fails else lines:
            if not _is_bad(line):
                member = (line["user_account_id"], line["segment_id"])
                enters = line["operation"] == "UPDATE"
                (self.members.add if enters else self.members.discard)(member)
        bad = sum(map(_is_bad, lines))
        known = running.execution
        running.execution = (
            Execution(known.id, "FAILED", error="the executor stopped")
            if running.fails
            else Execution(known.id, "SUCCEEDED", len(lines) - bad, bad, known.id if bad else None)
        )


class SimImports:
    """What the importer calls."""

    def __init__(self, platform):
        self.find = platform.find
        self.create = platform.create
        self.start = platform.start
        self.executions = platform.executions_of
        self.error_file = platform.error_file


class SimSink(SimDeadLetters):
    """The dead-letter topic, which here is opened and closed as well."""

    async def start(self):
        pass

    async def stop(self):
        pass


@dataclass(frozen=True)
class MembershipStorm:
    """What happens in one run. Times in seconds from its beginning."""

    seed: int
    events: int = 400
    users: int = 25
    partitions: int = 4
    members: int = 1
    kills: tuple[float, ...] = ()
    joins: tuple[float, ...] = ()
    leaves: tuple[float, ...] = ()
    failing: float = 0.0
    away: tuple[tuple[float, float], ...] = ()
    letters_refused: tuple[tuple[float, float], ...] = ()
    bad: float = 0.0
    tells: bool = True
    commands_max: int = 40
    produce_s: float = 600.0

    @classmethod
    def random(cls, seed):
        rng = random.Random(seed)

        def moments(most):
            return tuple(sorted(rng.uniform(1, 900) for _ in range(rng.randrange(most))))

        def window():
            start = rng.uniform(0, 600)
            return (start, start + rng.choice((5, 60, 600)))

        return cls(
            seed,
            users=rng.choice((3, 25, 200)),
            members=rng.choice((1, 1, 2, 3)),
            kills=moments(4),
            joins=moments(2),
            leaves=moments(2),
            failing=rng.choice((0, 0.1, 0.4)),
            away=tuple(window() for _ in range(rng.randrange(3))),
            letters_refused=tuple(window() for _ in range(rng.randrange(2))),
            bad=rng.choice((0, 0.02, 0.1)),
            tells=rng.random() < 0.7,
            commands_max=rng.choice((5, 40, 1000)),
            produce_s=rng.choice((0, 60, 600)),
        )


class MembershipWorld:
    """One run of a storm; afterwards `platform.members` against `wanted`."""

    def __init__(self, storm):
        self.storm = storm
        self.rng = random.Random(storm.seed)
        self.cluster = SimCluster(storm.partitions, random.Random(storm.seed + 1), keeps=False)
        self.platform = SimPlatform(
            random.Random(storm.seed + 2),
            failing=storm.failing,
            away=storm.away,
            tells=storm.tells,
        )
        self.sink = SimSink(list(storm.letters_refused), Sabotage())
        self.wanted: dict[tuple[str, str], bool] = {}
        self.bad: set[tuple[int, int]] = set()
        self.running: dict[asyncio.Task, tuple[SimSource, Road]] = {}
        self.engines: list[MembershipEngine] = []
        self.settled = False

    def run(self):
        run_virtually(self._run())
        return self

    async def _run(self):
        storm = self.storm
        async with asyncio.TaskGroup() as tasks:
            self.tasks = tasks
            coordinator = tasks.create_task(self.cluster.coordinate())
            for _ in range(storm.members):
                self.start_member()
            script = [
                tasks.create_task(self._produce()),
                *(tasks.create_task(self._later(at, self._kill)) for at in storm.kills),
                *(tasks.create_task(self._later(at, self._join)) for at in storm.joins),
                *(tasks.create_task(self._later(at, self._leave)) for at in storm.leaves),
            ]
            await asyncio.wait(script)
            await self._until_settled()
            for task, (_, loop) in list(self.running.items()):
                loop.stop("end of the storm")
                await asyncio.wait([task])
            coordinator.cancel()

    def start_member(self):
        changes = ChangePolicy(
            mapping=MappingPolicy(identity=IdentityPolicy(default_compartment_id="1"))
        )
        policy = MembershipPolicy(
            changes=changes,
            commands_max=self.storm.commands_max,
            gather_s=10,
            attempts_max=3,
            wait_s=2,
            wait_s_max=30,
            give_up_s=86_400,
        )
        rng = random.Random(self.rng.random())
        engine = MembershipEngine(policy, changing(changes), rng)
        source = SimSource(self.cluster)
        clock = VirtualClock(asyncio.get_running_loop())
        importer = Importer(
            Platform(SimImports(self.platform), clock),
            ImporterPolicy(
                "relay-membership-sim",
                upload=UploadPolicy(attempts_max=1, poll_s=1, poll_s_max=5, adoption_s=30),
            ),
            rng,
        )
        loop = Road(
            MembershipReporter.road,
            engine,
            FileCarrier(engine, importer, _nobody_hears, clock),
            source,
            self.sink,
            emit=_nobody_hears,
            clock=clock,
            policy=RoadPolicy(revoke_budget_s=5, stop_deadline_s=10),
            reporter=MembershipReporter(engine, _nobody_hears),
        )
        task = self.tasks.create_task(self._run_member(loop))
        self.running[task] = (source, loop)
        self.engines.append(engine)
        task.add_done_callback(lambda done: self.running.pop(done, None))

    async def _run_member(self, road):
        # Stopped while an import is under way, it may run out of time; that loses nothing.
        with contextlib.suppress(DrainIncomplete, CommitIncomplete):
            await road.run()

    async def _kill(self):
        if self.running:
            task = self.rng.choice(list(self.running))
            source, _ = self.running.pop(task)
            source.die()
            task.cancel()
            await asyncio.wait([task])
        await asyncio.sleep(3)
        self.start_member()

    async def _join(self):
        self.start_member()

    async def _leave(self):
        if len(self.running) > 1:
            task = self.rng.choice(list(self.running))
            self.running[task][1].stop("asked to leave")
            await asyncio.wait([task])

    async def _later(self, at, act):
        await asyncio.sleep(at)
        await act()

    async def _produce(self):
        storm, rng = self.storm, self.rng
        for number in range(storm.events):
            if storm.produce_s:
                await asyncio.sleep(storm.produce_s / storm.events)
            user, segment = rng.randrange(storm.users), rng.choice("AB")
            enters = rng.random() < 0.6
            kind = rng.choice(("rejected", "refused")) if rng.random() < storm.bad else None
            value = orjson.dumps(
                {
                    "type": "segment",
                    "id": f"e-{number}",
                    "ts": EPOCH_MS,
                    "user": {"accounts": [{"id": f"user-{user}"}]},
                    "action": "add" if enters or kind else "remove",
                    "segment_ids": [segment],
                    "properties": {"bad": kind} if kind else {},
                }
            )
            partition = user % storm.partitions
            offset = self.cluster.produce(partition, EPOCH_MS, b"key", value)
            if kind:
                self.bad.add((partition, offset))
            else:
                self.wanted[f"user-{user}", segment] = enters

    async def _until_settled(self):
        loop = asyncio.get_running_loop()
        while loop.time() - 1000.0 < DEADLINE_S and not self.settled:
            await asyncio.sleep(5)
            if not self.running:
                self.start_member()
            self.settled = all(
                not log.records
                or (
                    (commit := self.cluster.commits.get(partition)) is not None
                    and commit.offset > log.records[-1].offset
                )
                for partition, log in self.cluster.logs.items()
            )


def _is_bad(line):
    return line.get("data_bag") == '{"bad":"rejected"}'


def _nobody_hears(fact):
    pass
