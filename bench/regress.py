"""A commit against an earlier one: what an event costs in the engine and its parts, one process.

    python -m bench.regress [--base HEAD~1] [--commit HEAD] [--callgrind]

Both commits are checked out beside each other and drive the same events through decoding, mapping,
the engine and the loop of the pipeline, with no Kafka and no HTTP. Each runs in a process of its
own, and the two take turns in rounds of some 50 ms: what else the machine does meets both. Told
are the medians of the rounds in CPU time, and the median of their ratios with its quartiles. With
`--callgrind` instructions are counted instead, by valgrind, the making of the events included:
exact to a tenth of a percent, and fifty times slower.

The clock of the loop stands still but for a microsecond at each look, so that slices of the intake
end where their records do. By the clock, how many events travel together would be chance, and it is
what an event of `together` costs most by. The collector of garbage is off: it costs the more the
more is imported, and `relay run` keeps it from looking at that, and from looking often. Exit status
1 when the newer one costs more than the tolerance, in percent.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.instructions import counted
from bench.machine import ROOT, BenchError
from bench.workload import COMPARTMENT, Workload

_BATCH = 200
STAGES = ("decode", "interpret", "engine", "pipeline", "together")
"""Each with everything before it; `together` is the pipeline with coalescing on, 16 in flight."""


def drive(events: int, stage: str = "engine", users: int = 20_000) -> float:
    """Moves events through a stage and everything before it; CPU seconds."""
    # Imported here: of the commit that this process runs in.
    from relay.model import Record  # noqa: PLC0415
    from relay.section import bound  # noqa: PLC0415
    from relay.stream.decoding import DecodingPolicy, decode  # noqa: PLC0415
    from relay.stream.interpret import InterpretPolicy, interpreter  # noqa: PLC0415
    from relay.stream.mapping.policy import IdentityPolicy, MappingPolicy  # noqa: PLC0415

    identity = IdentityPolicy(default_compartment_id=COMPARTMENT)
    policy = InterpretPolicy(DecodingPolicy(), MappingPolicy(identity=identity))
    interpret, decoding = interpreter(policy), bound(policy.decoding)
    records = [
        Record("t", index % 12, index // 12, 1_767_261_600_000, event.key, event.value, (), 1)
        for index, event in enumerate(Workload(events, users).make())
    ]
    if stage in ("pipeline", "together"):
        import uvloop  # noqa: PLC0415

        from bench.growth import cost_us  # noqa: PLC0415

        work = Workload(events, users)
        cost = cost_us(work) if stage == "pipeline" else cost_us(work, concurrency=16, together=50)
        return uvloop.run(cost) * events / 1e6
    began = time.process_time()
    if stage == "decode":
        for record in records:
            decode(record.value, decoding)
    elif stage == "interpret":
        for record in records:
            interpret(record, 1_767_261_700_000)
    else:
        _engine(records, interpret)
    return time.process_time() - began


def _engine(records: list, interpret: Callable) -> None:
    """64 flights under way, each answered with success, oldest first."""
    from collections import deque  # noqa: PLC0415

    from relay.model import Answer, Moment, Partition  # noqa: PLC0415
    from relay.stream.engine import Engine  # noqa: PLC0415
    from relay.stream.policy import EnginePolicy  # noqa: PLC0415

    engine = Engine(EnginePolicy(), interpret, random.Random(1))
    engine.custody.assign({Partition("t", number): None for number in range(12)}, 1, 0.0)
    accepted = Answer(200, {"content-type": "application/json"}, b'{"status":"ok","data":{}}')
    flying: deque = deque()
    tick = 0
    for start in range(0, len(records), _BATCH):
        now = Moment(tick / 1000, 1_767_261_700_000 + tick)
        for record in records[start : start + _BATCH]:
            engine.admit(record, now)
        while True:
            tick += 1
            now = Moment(tick / 1000, 1_767_261_700_000 + tick)
            while (flight := engine.sender.next_flight(now)) is not None:
                flying.append(flight)
            if not flying:
                break
            engine.sender.take_answer(flying.popleft(), accepted, now)
        commits = engine.custody.commits(now.steady)
        engine.custody.committed(commits)
    if engine.custody.ledger.delivered != len(records):
        raise BenchError(f"{engine.custody.ledger.delivered} of {len(records)} were delivered")


# Each commit is driven by its own bench: the parts move from one commit to the next. And an
# editable installation would lend an old commit the modules that only the new one has.
_DRIVER = """
import contextlib, gc, importlib.util, sys
import uvloop

tree, instructions, counts = sys.argv[1:]
sys.path.insert(0, tree)
sys.meta_path = [found for found in sys.meta_path if "editable" not in repr(found).lower()]
gc.disable()

class Steady(uvloop.Loop):
    looks = 0
    def time(self):
        Steady.looks += 1
        return Steady.looks * 1e-6

uvloop.Loop = Steady
from bench.regress import drive

section = lambda name, events: contextlib.nullcontext()
if counts == "counts":
    spec = importlib.util.spec_from_file_location("instructions", instructions)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    section = module.section
for line in sys.stdin:
    stage, events = line.split()
    with section(f"{stage} {events}", 1):
        spent = drive(int(events), stage)
    print(spent / int(events) * 1e6, flush=True)
    gc.collect()
"""


def _arguments(tree: Path, *, counts: bool) -> list[str]:
    instructions = str(ROOT / "bench" / "instructions.py")
    return ["-c", _DRIVER, str(tree), instructions, "counts" if counts else ""]


class Driven:
    """A tree in a process of its own, which drives events when asked to."""

    def __init__(self, tree: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *_arguments(tree, counts=False)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tree,
            env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"},
        )  # fmt: skip

    def cost_us(self, stage: str, events: int) -> float:
        """CPU µs for each event."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{stage} {events}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("the driver has ended; what it said stands above")
        return float(line)

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def in_turns(old: Path, new: Path, stages: list[str], events: int, rounds: int) -> dict[str, float]:
    """Percent by which the newer costs more, for each stage; told as they are found."""
    both = Driven(old), Driven(new)
    changes: dict[str, float] = {}
    try:
        for stage in stages:
            costs: tuple[list[float], list[float]] = [], []
            for number in range(rounds + 1):
                turns = list(zip(both, costs, strict=True))
                for driven, found in reversed(turns) if number % 2 else turns:
                    found.append(driven.cost_us(stage, events))
            before, after = (found[1:] for found in costs)  # the first round warms up
            ratios = [(new / old - 1) * 100 for old, new in zip(before, after, strict=True)]
            low, change, high = statistics.quantiles(ratios, n=4)
            print(
                f"{stage:10} {statistics.median(before):7.1f} → {statistics.median(after):7.1f} "
                f"µs CPU per event ({change:+.1f} %, half of the rounds {low:+.1f} to {high:+.1f})",
                flush=True,
            )
            changes[stage] = change
    finally:
        for driven in both:
            driven.close()
    return changes


def in_instructions(old: Path, new: Path, stages: list[str], events: int) -> dict[str, float]:
    """The same in instructions: what `events` more take, so that what comes once is in neither."""
    wanted = "".join(
        f"{stage} {count}\n" for stage in stages for count in (100, events, 2 * events)
    )
    costs = [counted(_arguments(tree, counts=True), wanted, tree) for tree in (old, new)]
    changes: dict[str, float] = {}
    for stage in stages:
        before, after = (
            (cost[f"{stage} {2 * events}"] - cost[f"{stage} {events}"]) / events for cost in costs
        )
        changes[stage] = (after / before - 1) * 100
        print(
            f"{stage:10} {before / 1e3:7.1f} → {after / 1e3:7.1f} thousand instructions per event "
            f"({changes[stage]:+.1f} %)"
        )
    return changes


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.regress", description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="HEAD~1", help="the commit to compare with")
    parser.add_argument("--commit", help="the commit to look at; the working tree without")
    parser.add_argument("--events", type=int, default=1_000, help="of a round")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--stage", choices=STAGES, nargs="+", default=list(STAGES))
    parser.add_argument("--tolerance", type=float, default=5.0, help="percent")
    parser.add_argument("--callgrind", action="store_true", help="instructions, by valgrind")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        old = checkout(given.base, Path(home) / "old")
        new = checkout(given.commit, Path(home) / "new") if given.commit else ROOT
        if given.callgrind:
            changes = in_instructions(old, new, given.stage, given.events)
        else:
            changes = in_turns(old, new, given.stage, given.events, given.rounds)
    sys.exit(1 if max(changes.values()) > given.tolerance else 0)


def checkout(commit: str, where: Path) -> Path:
    """The files of a commit, without touching the work tree or its list of work trees."""
    where.mkdir()
    archive = subprocess.run(
        ["git", "archive", commit, "relay", "bench"], cwd=ROOT, check=False, capture_output=True
    )
    if archive.returncode != 0:
        raise BenchError(archive.stderr.decode().strip())
    subprocess.run(["tar", "-x", "-C", str(where)], input=archive.stdout, check=True)
    # Else the first process of each stage would compile what the others find compiled.
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(where)], check=True)
    return where


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench.regress: {error}")
