"""The contenders side by side: rounds, interleaved, over topics that are recorded once.

Each gets as many of the same events as it can be expected to take in a few seconds, so that one
that manages twenty a second is measured as well as one that manages twenty thousand.
"""

import functools
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.contenders import CONTENDERS, RELAY, RELAY_OFF, Contender, available
from bench.topic import create, fill
from bench.trial import Conditions, Result, Topic, trial
from bench.workload import Workload

SIZES = (1_000, 4_000, 15_000, 60_000)
_SECONDS = 6.0
"""What a contender should take for its events, roughly."""


@dataclass(frozen=True)
class Scenario:
    """Conditions, the spread of the users, and whom to measure."""

    conditions: Conditions
    zipf: float
    contenders: Sequence[Contender]
    rounds: int

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.conditions.name}, {'Zipf' if self.zipf else 'uniform'} users"


def scenarios(*, full: bool) -> list[Scenario]:
    """What is run: the short list takes some minutes, the full one about an hour."""
    faults = "429:0.02,500:0.01"
    ordered = [c for c in CONTENDERS if c.order != "none" and c.processes == 1]
    few = [c for c in ordered if not c.name.startswith(("Quix", "FastStream, batches"))]
    if not full:
        return [
            Scenario(Conditions(seconds_max=20), 1.1, CONTENDERS, 3),
            Scenario(Conditions(50, seconds_max=10), 0, few, 3),
            Scenario(Conditions(20, seconds_max=20), 1.1, few, 1),
            Scenario(Conditions(0, faults, 20), 1.1, few, 1),
        ]
    return [
        Scenario(Conditions(latency, fault, 40), zipf, CONTENDERS, 3)
        for zipf in (1.1, 0)
        for latency, fault in ((0, ""), (20, ""), (50, ""), (0, faults), (20, faults))
    ]


@dataclass
class Recorded:
    """The topics of a cluster, each recorded when it is first asked for."""

    bootstrap: str
    most: int = SIZES[-1]

    @functools.cache  # noqa: B019 - lives as long as the program
    def topic(self, events: int, zipf: float) -> Topic:
        """A topic of so many events."""
        name = f"{'zipf' if zipf else 'uniform'}-{events}"
        workload = Workload(events, zipf=zipf)
        create(self.bootstrap, name)
        fill(self.bootstrap, name, workload)
        return Topic(name, workload.counts())

    def for_one(self, contender: Contender, scenario: Scenario) -> Topic:
        """The largest that the contender can be expected to finish."""
        rate = contender.estimate(scenario.conditions.latency_ms / 1000, scenario.zipf)
        fitting = [size for size in SIZES if size <= self.most and size / rate <= _SECONDS]
        return self.topic(max(fitting, default=SIZES[0]), scenario.zipf)

    def __hash__(self) -> int:
        return id(self)


async def compare(recorded: Recorded, todo: Sequence[Scenario]) -> list[dict[str, object]]:
    """Runs the scenarios; a row for each trial."""
    able = set(available(CONTENDERS))
    rows: list[dict[str, object]] = []
    for scenario in todo:
        print(f"==> {scenario.name}", flush=True)
        topics = {c.name: recorded.for_one(c, scenario) for c in scenario.contenders if c in able}
        for number in range(scenario.rounds):
            for contender in filter(able.__contains__, scenario.contenders):
                result = await trial(
                    contender, recorded.bootstrap, topics[contender.name], scenario.conditions
                )
                print(f"  {number + 1}  {line(result)}", flush=True)
                rows.append({"scenario": scenario.name, "round": number, **asdict(result)})
    return rows


async def lateness(
    recorded: Recorded, maxima: dict[str, float], seconds: float = 10
) -> list[dict[str, object]]:
    """Each at half of what it managed at most, over a topic that fills at that pace."""
    rows: list[dict[str, object]] = []
    for contender in CONTENDERS:
        if contender.order == "none":
            continue  # it would be compared with something else
        rate = maxima.get(contender.name, 0.0) / 2
        if not rate or contender.processes > 1:
            continue
        # The producer, in Python on the same machine, keeps up with this much.
        rate = min(rate, 8_000.0)
        workload = Workload(max(200, int(rate * seconds)))
        topic = Topic(f"paced-{uuid.uuid4().hex[:8]}", workload.counts())
        create(recorded.bootstrap, topic.name)
        result = await trial(
            contender,
            recorded.bootstrap,
            topic,
            Conditions(seconds_max=seconds * 3),
            feed=functools.partial(fill, recorded.bootstrap, topic.name, workload, rate=rate),
        )
        print(
            f"  {contender.name:24} at {rate:7,.0f}/s: median {result.lateness_p50_s * 1e3:.1f} "
            f"ms, 99 % {result.lateness_p99_s * 1e3:.1f} ms",
            flush=True,
        )
        rows.append({"rate": rate, **asdict(result)})
    return rows


def line(result: Result) -> str:
    """One trial, for the terminal."""
    return (
        f"{result.contender:24} {result.events_per_second:9,.0f} events/s "
        f"{result.cpu_us:7,.0f} µs CPU {result.memory_mb:5.0f} MB  {result.guarantee}"
    )


__all__ = ["RELAY", "RELAY_OFF", "Recorded", "Scenario", "compare", "lateness", "scenarios"]
