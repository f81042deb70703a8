"""`make bench`: everything that is measured, part after part, into bench/RESULTS.md.

    python -m bench [--full] [--only NAME]… [--scenario NAME]… [part …]

Without a part's name all are run: limit, compare, start_stop, memory, growth, lateness. Each keeps
what it found in .cache/bench/results/; the report is made of what is there, with each part's date.
`--full` takes about an hour, without it a quarter of one.

`--only` and `--scenario` are for a look at the contenders and scenarios whose names begin so:
`python -m bench --only Benthos --only Quix --scenario "0 ms, uniform" compare`. Relay is always
among the contenders, and a look at a scenario is at those that a goal speaks of, if `--only` does
not say whom else. What it finds is printed and not kept.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench import growth, memory, start_stop
from bench.compare import Recorded, Scenario, compare, judged, lateness, looks, scenarios
from bench.contenders import CONTENDERS, Contender, available, chosen
from bench.goals import reached
from bench.limit import measured as measured_limit
from bench.machine import CACHE, BenchError, described
from bench.report import write
from tests.support.kafka_cluster import KafkaCluster, NoKafka

RESULTS = CACHE / "results"
PARTS = ("limit", "compare", "start_stop", "memory", "growth", "lateness")
WITHOUT_KAFKA = {"limit", "growth"}
WITH_CONTENDERS = {"compare", "lateness"}


@contextlib.contextmanager
def cluster(parts: set[str]) -> Iterator[Recorded]:
    """A broker for the parts that need one."""
    if parts <= WITHOUT_KAFKA:
        yield Recorded("")
        return
    # A heap and a compiler as in production: the broker must not be what is measured.
    with KafkaCluster(heap="1g", java_options=("-XX:+UseG1GC",)) as kafka:
        yield Recorded(kafka.bootstrap_servers)


def run(part: str, recorded: Recorded, todo: Sequence[Scenario], *, full: bool) -> Any:
    """One part; what it found. `todo` is what there is to compare."""
    match part:
        case "limit":
            return uvloop.run(measured_limit(2.0 if full else 1.0, 3))
        case "compare":
            return asyncio.run(compare(recorded, todo))
        case "lateness":
            return asyncio.run(lateness(recorded, everyone(todo), maxima(), 20 if full else 8))
        case "start_stop":
            return asyncio.run(start_stop.measured(recorded, 5 if full else 3))
        case "memory":
            return asyncio.run(memory.measured(recorded, 1_000_000))
        case _:
            return growth.measured(full=full)


def planned(given: argparse.Namespace) -> list[Scenario]:
    """The scenarios that were asked for, of those contenders that can be started here."""
    contenders = chosen(given.only)
    if not given.scenario:
        return scenarios(available(contenders), full=given.full)
    return looks(
        given.scenario,
        available(contenders if given.only else judged(contenders)),
        given.rounds,
    )


def everyone(todo: Sequence[Scenario]) -> list[Contender]:
    """Each contender of the scenarios, once."""
    return list(dict.fromkeys(c for one in todo for c in (*one.contenders, *one.others)))


def maxima() -> dict[str, float]:
    """What each contender reached without latency."""
    rates: dict[str, list[float]] = {}
    for row in kept("compare").get("found", ()):
        if row["scenario"].startswith("0 ms, Zipf"):
            rates.setdefault(row["contender"], []).append(row["events_per_second"])
    return {name: statistics.median(found) for name, found in rates.items()}


def kept(part: str) -> dict[str, Any]:
    """What a part found when it was run last."""
    path = RESULTS / f"{part}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def report(path: Path) -> None:
    """Writes and draws what is kept of every part."""
    # matplotlib is in bench/requirements.txt alone, and a look draws nothing.
    from bench.plot import draw  # noqa: PLC0415

    found = {name: kept(name) for name in PARTS}
    write(found, path)
    draw(found, path.with_suffix(".svg"))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--full", action="store_true")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="contenders of compare, lateness",
    )
    parser.add_argument(
        "--scenario", action="append", default=[], metavar="NAME", help="scenarios of compare"
    )
    parser.add_argument("--rounds", type=int, default=1, help="of a scenario that is looked at")
    parser.add_argument("--report", type=Path, default=Path(__file__).parent / "RESULTS.md")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = [part for part in PARTS if part in given.parts or not given.parts]
    for name in given.only:
        if not any(c.name.casefold().startswith(name.casefold()) for c in CONTENDERS):
            parser.error(f"no contender's name begins with {name!r}")
    if (given.only or given.scenario) and not WITH_CONTENDERS.issuperset(parts):
        parser.error(f"a look is at {', '.join(sorted(WITH_CONTENDERS))}")
    look = bool(given.only or given.scenario)
    todo = planned(given) if WITH_CONTENDERS.intersection(parts) else []
    if given.scenario and not todo:
        names = [one.name for one in scenarios(CONTENDERS, full=True)]
        parser.error(f"no scenario's name begins so; there are {'; '.join(names)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    if not look and importlib.util.find_spec("matplotlib") is None:
        raise BenchError("the report needs: python -m pip install -r bench/requirements.txt")
    with cluster(set(parts)) as recorded:
        for part in parts:
            print(f"==> {part}", flush=True)
            result = run(part, recorded, todo, full=given.full)
            if look:
                print(*reached({part: {"found": result}}), sep="\n")
                continue
            about = described("aiokafka", "httptools", "httpx", "uvloop", "pydantic")
            document = {"about": about, "full": given.full, "found": result}
            (RESULTS / f"{part}.json").write_text(json.dumps(document, indent=1))
            report(given.report)
    if not look:
        print(f"==> {given.report}")


if __name__ == "__main__":
    try:
        main()
    except (BenchError, NoKafka) as error:
        sys.exit(f"bench: {error}")
