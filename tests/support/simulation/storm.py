"""What happens in a simulation, when: drawn from a seed, or written down in a file."""

import random
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from relay.model import RequestKind
from tests.support.simulation.api import Faults, RouteTrouble


@dataclass
class Storm:
    """What happens, when. Times are virtual seconds from the start."""

    seed: int = 0
    partitions: int = 4
    users: int = 20
    events: int = 300
    produce_s: float = 5.0
    zipf: float = 1.1
    hot_share: float = 0.0
    padding: int = 0
    points: float = 0.0
    """Share of the events that are profiles, put on the user point: the other route."""
    points_apart: bool = False
    """Every second user has nothing but such profiles, whatever `points` says; others have none."""
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
    bytes_max: int = 64 * 1024 * 1024
    lane_records_max: int = 1000
    poll_records_max: int = 100
    map_bytes_max: int = 4096
    park_user: bool = False
    duplicates_window: int = 0
    attempts_max: int = 8
    age_max_s: float = 600.0
    max_in_flight: int = 64
    rate_per_second: float | None = None
    rate_shared: bool = False
    deadline_s: float = 3600.0
    others: list[Faults] = field(default_factory=list)
    """What further destinations do; events go to each in turn."""
    fail: tuple[str, int] = ("", 0)
    """Which call fails (`tests.support.simulation.sabotage`), and the how many-th."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Storm":
        """From plain values, as they stand in a file."""
        values = dict(values)
        faults = Faults(**values.pop("faults", {}))
        others = [Faults(**one) for one in values.pop("others", [])]
        return cls(faults=faults, others=others, **values)

    @classmethod
    def random(cls, seed: int) -> "Storm":
        """A storm drawn from a seed."""
        rng = random.Random(f"storm {seed}")
        span = rng.uniform(1, 20)
        times = lambda most: sorted(rng.uniform(0, span * 1.5) for _ in range(rng.randint(0, most)))  # noqa: E731
        window = lambda longest: (start := rng.uniform(0, span), start + rng.uniform(0, longest))  # noqa: E731
        windows = lambda chance, longest: [window(longest)] if rng.random() < chance else []  # noqa: E731
        maybe = lambda chance, most: rng.uniform(0, most) if rng.random() < chance else 0.0  # noqa: E731
        # Drawn apart, so that all else is as it was before there were routes.
        routes = random.Random(f"routes {seed}")
        starts_at = routes.uniform(0, span)
        trouble = RouteTrouble.random(routes, (starts_at, starts_at + routes.uniform(0, 60)))
        return cls(
            seed=seed,
            partitions=rng.randint(1, 6),
            users=rng.choice([1, 5, 30, 200]),
            events=rng.randint(50, 400),
            produce_s=span,
            points=routes.choice([0.0, 0.1, 0.5]),
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
                hangs_s=rng.choice([1.0, 10.0, 30.0]),
                outages=windows(0.3, 120),
                misconfigured=windows(0.3, 120),
                per_second=rng.choice([None, None, None, 50.0]),
                routes=[trouble] if routes.random() < 0.5 else [],
            ),
            order_by=rng.choice(["user", "user", "user", "key", "partition"]),
            offset_map=rng.random() < 0.8,
            coalesce=rng.choice([1, 1, 20]),
            records_max=rng.choice([1, 10, 200, 2000]),
            bytes_max=rng.choice([1, 20_000, 64 * 1024 * 1024]),
            lane_records_max=rng.choice([1, 20, 1000]),
            poll_records_max=rng.choice([1, 100]),
            map_bytes_max=rng.choice([10, 40, 300, 4096]),
            park_user=rng.random() < 0.2,
            duplicates_window=rng.choice([0, 0, 50]),
            attempts_max=rng.choice([1, 8]),
            age_max_s=rng.choice([0.0, 600.0]),
            max_in_flight=rng.choice([1, 8, 64]),
            rate_per_second=rng.choice([None, None, None, 100.0]),
            rate_shared=rng.random() < 0.5,
        )

    @classmethod
    def of_destinations(cls, seed: int) -> "Storm":
        """A storm over two to four destinations, each with a weather of its own."""
        storm = cls.random(seed)
        rng = random.Random(f"destinations {seed}")
        storm.others = [Faults.random(rng, storm.produce_s) for _ in range(rng.randint(1, 3))]
        storm.faults = Faults.random(rng, storm.produce_s)
        return storm

    @classmethod
    def of_trouble(cls, seed: int) -> "Storm":
        """Trouble at all destinations but the last, which is fine, with room for what waits.

        Nothing else happens, so the one that is fine does the same as without the trouble.
        """
        rng = random.Random(f"trouble {seed}")
        events = rng.randint(50, 400)
        return cls(
            seed=seed,
            partitions=rng.randint(1, 6),
            users=rng.choice([1, 5, 30, 200]),
            events=events,
            produce_s=rng.uniform(1, 20),
            members=1,
            coalesce=rng.choice([1, 20]),
            points=rng.choice([0.0, 0.1, 0.5]),
            faults=Faults.random(rng, 20, trouble=True),
            others=[
                *(Faults.random(rng, 20, trouble=True) for _ in range(rng.randint(0, 2))),
                Faults(latency_s=(0.001, 0.05)),
            ],
        )

    @classmethod
    def of_route_trouble(cls, seed: int) -> "Storm":
        """Trouble on one route, twice perhaps; half of the users need the other one only.

        It begins when both routes have been in use: what nothing else tells of is everything.
        """
        rng = random.Random(f"route trouble {seed}")
        span = rng.uniform(5, 20)
        routes = []
        route = rng.choice(list(RequestKind))
        for _ in range(rng.randint(1, 2)):
            start = rng.uniform(2, span)
            trouble = RouteTrouble.random(rng, (start, start + rng.uniform(1, 60)))
            routes.append(replace(trouble, route=route))
        return cls(
            seed=seed,
            partitions=rng.randint(1, 6),
            users=rng.choice([2, 6, 30, 200]),
            zipf=0.0,
            events=rng.randint(100, 400),
            produce_s=span,
            points_apart=True,
            coalesce=rng.choice([1, 20]),
            faults=Faults(latency_s=(0.001, 0.05), routes=routes),
        )


@dataclass
class Expected:
    """What a figure must be: one value, or a range from the first to the second, both included."""

    figure: str
    value: Any

    def met(self, figures: dict[str, Any]) -> bool:
        """Whether the figures are as expected."""
        found = figures[self.figure]
        if isinstance(self.value, list):
            low, high = self.value
            return bool(found is not None and low <= found <= high)
        return bool(found == self.value)

    def __str__(self) -> str:
        return f"{self.figure}: {self.value}"


@dataclass
class Comparison:
    """A figure of one run divided by that of another lies in a range."""

    figure: str
    of: str
    to: str
    ratio: tuple[float, float]


@dataclass
class NamedStorm:
    """A file of `tests/simulation/storms`: runs of a storm, each with what is expected of it."""

    name: str
    about: str
    slow: bool
    runs: dict[str, tuple[Storm, list[Expected]]]
    compare: list[Comparison]

    @classmethod
    def load(cls, path: Path) -> "NamedStorm":
        """Read a file. What `storm` and `expect` say at the top holds for every run."""
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        unknown = document.keys() - {"about", "slow", "storm", "expect", "runs", "compare"}
        assert not unknown, f"{path.name}: unknown keys {unknown}"
        runs = {}
        for name, values in document.get("runs", {"it": {}}).items():
            run = values or {}
            storm = _merged(document.get("storm", {}), run.get("storm", {}))
            expect = {**document.get("expect", {}), **run.get("expect", {})}
            runs[name] = (Storm.of(storm), [Expected(*item) for item in expect.items()])
        compare = [Comparison(**values) for values in document.get("compare", [])]
        return cls(path.stem, document["about"], document.get("slow", False), runs, compare)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = {**base, **over}
    if "faults" in base and "faults" in over:
        merged["faults"] = {**base["faults"], **over["faults"]}
    return merged


def changed(storm: Storm) -> dict[str, Any]:
    """What differs from an ordinary day: for messages."""
    plain = Storm()
    return {
        f.name: value
        for f in fields(Storm)
        if (value := getattr(storm, f.name)) != getattr(plain, f.name)
    }
