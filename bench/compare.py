"""The contenders side by side: rounds, interleaved, over topics that are recorded once.

Each gets as many of the same events as it can be expected to take in a few seconds, so that one
that manages twenty a second is measured as well as one that manages twenty thousand.
"""

import functools
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.contenders import Contender
from bench.topic import create, fill
from bench.trial import Conditions, Result, Topic, trial
from bench.workload import Workload

SIZES = (1_000, 4_000, 15_000, 30_000, 60_000)
_SECONDS = 4.0
"""What a contender should take for its events, roughly."""
_AROUND_S = 3.0
"""What a trial takes besides: start, joining the group, stop, judging."""
_PAUSE_S = 0.05 * 0.03
"""What a request waits on average for its repetitions under `_FAULTS`: bench/peers/activity.py."""
_FAULTS = "429:0.02,500:0.01"


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


def scenarios(contenders: Sequence[Contender], *, full: bool) -> list[Scenario]:
    """What is run: the short list takes some minutes, the full one less than an hour."""
    ordered = [c for c in contenders if c.order != "none" and c.processes == 1]
    if full:
        # What keeps no order, or has two processes, is of interest at full speed.
        return [
            Scenario(Conditions(latency, faults, 15), zipf, chosen, 3)
            for zipf in (1.1, 0)
            for latency, faults, chosen in (
                (0, "", contenders),
                (20, "", ordered),
                (50, "", ordered),
                (0, _FAULTS, ordered),
            )
        ]
    few = [c for c in ordered if not c.name.startswith(("Quix", "FastStream, batches"))]
    return [
        Scenario(Conditions(seconds_max=20), 1.1, contenders, 3),
        Scenario(Conditions(50, seconds_max=10), 0, few, 3),
        Scenario(Conditions(20, seconds_max=20), 1.1, few, 1),
        Scenario(Conditions(0, _FAULTS, 20), 1.1, few, 1),
    ]


def estimate(contender: Contender, scenario: Scenario) -> float:
    """Events a second to expect of it under these conditions."""
    pause = _PAUSE_S if scenario.conditions.faults else 0.0
    return contender.estimate(scenario.conditions.latency_ms / 1000 + pause, scenario.zipf)


def events_for(contender: Contender, scenario: Scenario, most: int = SIZES[-1]) -> int:
    """The most that the contender can be expected to finish."""
    rate = estimate(contender, scenario)
    return max((n for n in SIZES if n <= most and n / rate <= _SECONDS), default=SIZES[0])


def seconds(todo: Sequence[Scenario]) -> float:
    """How long the scenarios will take, by the estimates."""
    return sum(
        scenario.rounds
        * sum(
            min(events_for(c, scenario) / estimate(c, scenario), scenario.conditions.seconds_max)
            + _AROUND_S
            for c in scenario.contenders
        )
        for scenario in todo
    )


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
        """One of a size that suits the contender."""
        return self.topic(events_for(contender, scenario, self.most), scenario.zipf)

    def __hash__(self) -> int:
        return id(self)


async def compare(recorded: Recorded, todo: Sequence[Scenario]) -> list[dict[str, object]]:
    """Runs the scenarios; a row for each trial."""
    trials = sum(len(scenario.contenders) * scenario.rounds for scenario in todo)
    print(f"==> {trials} trials, about {seconds(todo) / 60:.0f} minutes", flush=True)
    rows: list[dict[str, object]] = []
    for scenario in todo:
        print(f"==> {scenario.name}", flush=True)
        topics = {c.name: recorded.for_one(c, scenario) for c in scenario.contenders}
        for number in range(scenario.rounds):
            for contender in scenario.contenders:
                result = await trial(
                    contender, recorded.bootstrap, topics[contender.name], scenario.conditions
                )
                print(f"  {number + 1}  {line(result)}", flush=True)
                rows.append({"scenario": scenario.name, "round": number, **asdict(result)})
    return rows


async def lateness(
    recorded: Recorded,
    contenders: Sequence[Contender],
    maxima: dict[str, float],
    lasting_s: float = 10,
) -> list[dict[str, object]]:
    """Each at half of what it managed at most, over a topic that fills at that pace."""
    rows: list[dict[str, object]] = []
    for contender in contenders:
        if contender.order == "none":
            continue  # it would be compared with something else
        rate = maxima.get(contender.name, 0.0) / 2
        if not rate or contender.processes > 1:
            continue
        # The producer, in Python on the same machine, keeps up with this much.
        rate = min(rate, 8_000.0)
        workload = Workload(max(200, int(rate * lasting_s)))
        topic = Topic(f"paced-{uuid.uuid4().hex[:8]}", workload.counts())
        create(recorded.bootstrap, topic.name)
        result = await trial(
            contender,
            recorded.bootstrap,
            topic,
            Conditions(seconds_max=lasting_s * 3),
            feed=functools.partial(fill, recorded.bootstrap, topic.name, workload, rate=rate),
        )
        print(
            f"  {contender.name:27} at {rate:7,.0f}/s: median {result.lateness_p50_s * 1e3:.1f} "
            f"ms, 99 % {result.lateness_p99_s * 1e3:.1f} ms",
            flush=True,
        )
        rows.append({"rate": rate, **asdict(result)})
    return rows


def line(result: Result) -> str:
    """One trial, for the terminal."""
    return (
        f"{result.contender:27} {result.events_per_second:9,.0f} events/s "
        f"{result.cpu_us:7,.0f} µs CPU {result.memory_mb:5.0f} MB  {result.guarantee}"
    )
