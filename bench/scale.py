"""Many members before an API that grants all of them a rate: predicted against simulated.

    python -m bench.scale [--members 200] [--only told learned deploy]

Production pipelines on a clock that jumps, in one simulated group (`tests.support.simulation`), so
minutes of one core and no network. Events are few, five a second for each member; what is claimed
is what was simulated, and docs/SCALE.md has the formulas for more. Exits with 1 when a promise is
broken, or when members that are told the rate use less than 95 % of it or send more than 105 %.
"""

import argparse
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from relay.model import Partition
from relay.road.consuming.assigning import Member, assign
from relay.road.consuming.intake import IntakePolicy
from relay.road.loop import RoadPolicy
from relay.road.settling.offset_map import OffsetMap, encode
from relay.stream.sending.gate import GatePolicy
from tests.support.simulation.fleet import Fleet, FleetWorld

USED_MIN = 0.95
SENT_MAX = 1.05
_COMMIT_TAKES_S = 0.002
"""Of the simulated broker."""
_PROBES_MEAN = 0.75
"""A probe waits half of its delay, and up to as much again at random."""


@dataclass(frozen=True)
class Row:
    """A figure as the formula has it and as it was found."""

    name: str
    predicted: float
    simulated: float

    def __str__(self) -> str:
        both = ("-" if math.isnan(x) else f"{x:.4g}" for x in (self.predicted, self.simulated))
        return f"{self.name:58} {next(both):>12} {next(both):>12}"


def fleets(members: int) -> dict[str, Fleet]:
    """What is run."""
    told = Fleet(
        members, 5.0 * members, restarts=min(15, members), ordinary_s=30, outage_s=30, after_s=20
    )
    learned = replace(told, told=False, restarts=0, outage_s=0, after_s=0, ordinary_s=40)
    few = min(24, members)
    deploy = Fleet(
        few, 20.0 * few, told=False, load=1.2, uneven=0.0, restarts=few // 2, restart_every_s=5.0
    )
    return {"told": told, "learned": learned, "deploy": deploy}


# -- predictions ----------------------------------------------------------------------------------


def used_by_number(world: FleetWorld) -> float:
    """What of a rate is used that is shared by the number of partitions, on average.

    A member uses its share, or what its partitions get where that is less.
    """
    fleet, weights = world.fleet, world.weights()
    each, share = fleet.partitions_each, 1 / fleet.members
    demands = [fleet.load * sum(weights[at : at + each]) for at in range(0, len(weights), each)]
    return sum(min(share, demand) for demand in demands)


def partitions_committed(world: FleetWorld) -> float:
    """Partitions with something to commit, a second: of which records came, or were settled."""
    every_s = RoadPolicy().commit_every_s + _COMMIT_TAKES_S
    fleet = world.fleet
    both = fleet.granted * (1 + fleet.load) * every_s
    moved = (1 - math.exp(-both * weight) for weight in world.weights())
    return sum(moved) / every_s


def requests_in_outage(fleet: Fleet) -> float:
    """Failures until each member has seen that the API is away, and its probes after that."""
    policy, at, probes = GatePolicy(), 0.0, 0
    while True:
        delay = min(policy.probe_every_max_s, policy.probe_first_s * 2.0**probes)
        at += delay * _PROBES_MEAN
        if at > fleet.outage_s:
            return float(fleet.members * (policy.down_after_failures + probes))
        probes += 1


def rows(world: FleetWorld) -> Iterator[Row]:
    """The table of one run."""
    fleet, figures = world.fleet, world.verdict()
    every_s = RoadPolicy().commit_every_s + _COMMIT_TAKES_S
    wanted = min(1.0, fleet.load)
    for name in fleet.phases():
        phase = world.phase(name)
        if name in {"ordinary", "rolling deploy", "after it"}:
            yield Row(f"{name}: used, of what is granted", wanted, phase.used)
            yield Row(f"{name}: sent, most of ten seconds", wanted, phase.sent_most)
        if name == "ordinary":
            if fleet.told:
                # What it was before the share followed what is produced: for comparison.
                yield Row(
                    "the same, shared by the number of partitions", used_by_number(world), math.nan
                )
            yield Row("commits a second, all members", fleet.members / every_s, phase.commits)
            yield Row("partitions in them a second", partitions_committed(world), phase.partitions)
            yield Row("bytes of a partition's map, on average", math.nan, phase.map_bytes)
        if name == "rolling deploy":
            moves = 2.0 * fleet.restarts * fleet.partitions_each
            yield Row("partitions that changed their member", moves, phase.moved)
            yield Row("longest time without any delivery, s", 0.0, phase.pause_s)
        if name == "outage":
            yield Row(
                "requests in the outage", requests_in_outage(fleet), figures["requests_in_outage"]
            )
            yield Row("dead letters", 0.0, figures["dead"])
    in_flight = fleet.granted * sum(fleet.latency_s) / 2
    yield Row("requests in flight: on average, and most", in_flight, figures["in_flight_most"])
    yield Row("records open at most in a member", fleet.records_max, figures["open_most"])


# -- figures that need no members -----------------------------------------------------------------


def map_bytes(opened: int, end: int) -> int:
    """The metadata of a commit with so many open offsets, at random, below `end`."""
    rng = random.Random(1)
    offsets = (0, *sorted(rng.sample(range(1, end), opened - 1)))
    return len(encode(OffsetMap(0, end, offsets)).metadata)


def assign_s(members: int, partitions: int) -> tuple[float, float]:
    """CPU seconds of the leader: for a group that begins, and when one member more has come."""
    there = [Partition("events", number) for number in range(partitions)]
    topics = frozenset({"events"})
    began = time.process_time()
    given = assign({f"{number:04}": Member(topics) for number in range(members)}, there)
    first = time.process_time()
    claims = {name: Member(topics, frozenset(held), 1) for name, held in given.items()}
    assign(claims | {"one more": Member(topics)}, there)
    return first - began, time.process_time() - first


def constants(members: int) -> None:
    """Print what the formulas of docs/SCALE.md take from here."""
    fleet = fleets(members)["told"]
    partitions = members * fleet.partitions_each
    opened = IntakePolicy().memory_records_max // fleet.partitions_each
    begins, more = assign_s(members, partitions)
    print(f"a map of {opened} open offsets in twice as many: {map_bytes(opened, 2 * opened)} bytes")
    print(f"the same in ten times as many: {map_bytes(opened, 10 * opened)} bytes")
    print(f"assigning {partitions} partitions to {members} members: {begins:.2f} s CPU")
    print(f"the same when one more has come: {more:.3f} s CPU")


# -- the command ----------------------------------------------------------------------------------


def failures(world: FleetWorld) -> list[str]:
    """Broken promises; and where the rate is told, how it was not kept to."""
    found = [f"{name}: {count}" for name, count in world.broken().items()]
    if world.fleet.told:
        for name in ("ordinary", "rolling deploy", "after it"):
            phase = world.phase(name)
            if phase.used < USED_MIN or phase.sent_most > SENT_MAX:
                found.append(f"{name}: used {phase.used:.1%}, sent {phase.sent_most:.1%}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit status."""
    parser = argparse.ArgumentParser(prog="bench.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=("told", "learned", "deploy"))
    given = parser.parse_args(arguments)
    constants(given.members)
    failed = False
    for name, fleet in fleets(given.members).items():
        if given.only and name not in given.only:
            continue
        began = time.process_time()
        world = FleetWorld(fleet).run()
        print(
            f"\n{name}: {fleet.members} members, {world.storm.partitions} partitions, "
            f"{fleet.granted:g} requests a second granted, {fleet.load:g} times that produced; "
            f"{len(world.produced)} events, {time.process_time() - began:.0f} s CPU"
        )
        print(f"{'':58} {'predicted':>12} {'simulated':>12}")
        for row in rows(world):
            print(row, flush=True)
        found = failures(world)
        failed |= bool(found)
        print("promises: " + ("; ".join(found) or "all kept"), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
