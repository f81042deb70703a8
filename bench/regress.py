"""A commit against the one before: what an event costs in the engine and its parts, one process.

    python -m bench.regress [--base HEAD~1] [--events 20000] [--tolerance 5]

Both commits are checked out beside each other and drive the same events through decoding, mapping,
the engine and the loop of the pipeline, with no Kafka and no HTTP. What is compared are
instructions retired (`perf stat`) where the machine counts them, executed under valgrind's counter
when asked for with `--callgrind`, else CPU time: the least of some interleaved runs. What a process
costs once (imports, the models of the settings) is not of an event, and is left out. So is the
collector of garbage, which costs the more the more is imported: `relay run` keeps it from looking
at that, and from looking often. Exit status 1 when the newer one costs more than the tolerance, in
percent.
"""

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
    interpret = interpreter(policy)
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
        decoding = bound(policy.decoding)
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


def counter(*, callgrind: bool) -> str:
    """What can be counted here."""
    if callgrind:
        if shutil.which("valgrind") is None:
            raise BenchError("there is no `valgrind` on the path")
        return "callgrind"
    if shutil.which("perf"):
        command = ["perf", "stat", "-x,", "-e", "instructions:u", "true"]
        said = subprocess.run(command, check=False, capture_output=True, text=True)
        if said.returncode == 0 and re.match(r"\d+,", said.stderr):
            return "perf"
    return "cpu"


def cost(tree: Path, events: int, stage: str, how: str) -> float:
    """One process in a tree: instructions or CPU seconds of everything it does."""
    program = f"from bench.regress import drive; print(drive({events}, {stage!r}))"
    # Each commit is driven by its own bench: the parts move from one commit to the next. And an
    # editable installation would lend an old commit the modules that only the new one has.
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.path.append(sys.argv[2]); "
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]; "
        "import gc; gc.disable(); "
    ) + program
    command = [sys.executable, "-c", script, str(tree), str(ROOT)]
    if how == "perf":
        command = ["perf", "stat", "-x,", "-e", "instructions:u", *command]
    elif how == "callgrind":
        command = ["valgrind", "--tool=none", *command]
        command[1:2] = ["--tool=callgrind", "--callgrind-out-file=/dev/null"]
    # `-E`-like cleanliness: the same hashes, so the same work, in every process.
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=tree,
        env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    if done.returncode != 0:
        raise BenchError(f"{tree.name}: {done.stderr.strip()[-500:]}")
    if how == "perf":
        return float(done.stderr.splitlines()[-1].split(",")[0])
    if how == "callgrind":
        (found,) = re.findall(r"Collected : (\d+)", done.stderr)
        return float(found)
    return float(done.stdout)


def per_event(
    trees: tuple[Path, ...], events: int, stage: str, how: str, rounds: int
) -> list[float]:
    """What one event costs in each tree: the least of `events` from the least of twice as many.

    So what a process costs once, as importing and the building of models, is in neither.
    """
    runs = [(tree, count) for tree in trees for count in (events, 2 * events)]
    found: dict[tuple[Path, int], list[float]] = {run: [] for run in runs}
    for _ in range(rounds):
        for tree, count in runs:
            found[tree, count].append(cost(tree, count, stage, how))
    least = {run: min(costs) for run, costs in found.items()}
    return [(least[tree, 2 * events] - least[tree, events]) / events for tree in trees]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.regress", description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="HEAD~1", help="the commit to compare with")
    parser.add_argument("--commit", help="the commit to look at; the working tree without")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stage", choices=STAGES, nargs="+", default=list(STAGES))
    parser.add_argument("--tolerance", type=float, default=5.0, help="percent")
    parser.add_argument("--callgrind", action="store_true", help="exact, and fifty times slower")
    given = parser.parse_args()
    how = counter(callgrind=given.callgrind)
    unit, scale = ("µs CPU", 1e6) if how == "cpu" else ("thousand instructions", 1e-3)
    worse = False
    with tempfile.TemporaryDirectory() as home:
        old = _checkout(given.base, Path(home) / "old")
        new = _checkout(given.commit, Path(home) / "new") if given.commit else ROOT
        for stage in given.stage:
            rounds = 1 if how == "callgrind" else given.rounds
            costs = per_event((old, new), given.events, stage, how, rounds)
            before, after = (each * scale for each in costs)
            change = (after / before - 1) * 100
            worse = worse or change > given.tolerance
            print(f"{stage:10} {before:8.1f} → {after:8.1f} {unit} per event ({change:+.1f} %)")
    sys.exit(1 if worse else 0)


def _checkout(commit: str, where: Path) -> Path:
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
