"""The contenders side by side: rounds, interleaved, over topics that are recorded once.

Each gets as many of the same events as it can be expected to take in a few seconds, so that one
that manages twenty a second is measured as well as one that manages twenty thousand.
"""

import functools
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from bench.contenders import MQ_BRIDGE_RAW, PLAIN, Contender
from bench.goals import JUDGED
from bench.topic import create, fill
from bench.trial import Conditions, Result, Topic, trial
from bench.workload import Workload

SIZES = (100, 200, 1_000, 4_000, 15_000, 30_000)
_SECONDS = 4.0
"""What a contender should take for its events, roughly."""
_AROUND_S = 3.0
"""What a trial takes besides: start, joining the group, stop, judging."""
_MOST_S = 10.0
"""When a trial in full is stopped; it is planned for less than half."""
_ROUNDS = 5
"""Of those that are judged, in full."""
_PAUSE_S = 0.05 * 0.03
"""What a request waits on average for its repetitions under `_FAULTS`: bench/peers/activity.py."""
_FAULTS = "429:0.02,500:0.01"


@dataclass(frozen=True)
class Scenario:
    """Conditions, the spread of the users, and whom to measure how often.

    `others` are measured in the first `other_rounds` only, in turns with the contenders.
    """

    conditions: Conditions
    zipf: float
    contenders: Sequence[Contender]
    rounds: int
    others: Sequence[Contender] = ()
    other_rounds: int = 0

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.conditions.name}, {'Zipf' if self.zipf else 'uniform'} users"

    def trials(self) -> Iterator[tuple[int, Contender]]:
        """The round and the contender of each, in the order in which they are run.

        Another one is first in each round, so that none always meets what the last one left.
        """
        for number in range(max(self.rounds, self.other_rounds)):
            here = [
                *(self.contenders if number < self.rounds else ()),
                *(self.others if number < self.other_rounds else ()),
            ]
            first = number % len(here)
            yield from ((number, one) for one in here[first:] + here[:first])


def scenarios(contenders: Sequence[Contender], *, full: bool) -> list[Scenario]:
    """What is run: the short list takes some minutes, the full one half an hour."""
    return _in_full(contenders) if full else _in_short(contenders)


def looks(
    beginnings: Sequence[str], contenders: Sequence[Contender], rounds: int
) -> list[Scenario]:
    """Those of the full list whose name begins with one of these, for a look at the contenders."""
    wanted = tuple(beginning.casefold() for beginning in beginnings)
    return [
        Scenario(one.conditions, one.zipf, contenders, rounds)
        for one in _in_full(contenders)
        if one.name.casefold().startswith(wanted)
    ]


def judged(contenders: Sequence[Contender]) -> list[Contender]:
    """Those that a goal speaks of."""
    return [c for c in contenders if c.name in JUDGED]


def _in_short(contenders: Sequence[Contender]) -> list[Scenario]:
    few = [c for c in contenders if c.name in JUDGED or c is PLAIN]
    return [
        Scenario(Conditions(seconds_max=20), 1.1, contenders, 3),
        Scenario(Conditions(50, seconds_max=10), 0, few, 3),
        Scenario(Conditions(20, seconds_max=20), 1.1, few, 1),
        Scenario(Conditions(0, _FAULTS, 20), 1.1, few, 1),
    ]


def _in_full(contenders: Sequence[Contender]) -> list[Scenario]:
    """Five rounds of those that the goals speak of, beside them one or two of the others."""
    aims = judged(contenders)
    mapping = [c for c in aims if c is not MQ_BRIDGE_RAW]
    others = [c for c in contenders if c.name not in JUDGED]
    # What keeps no order, or has two processes, is of interest at full speed.
    ordered = _ordered(others)
    plain = [c for c in others if c is PLAIN]
    return [
        Scenario(Conditions(latency, faults, _MOST_S, tls), zipf, chosen, _ROUNDS, beside, times)
        for zipf, latency, tls, faults, chosen, beside, times in (
            (0, 0, False, "", aims, others, 2),
            (0, 20, False, "", aims, ordered, 1),
            (0, 50, False, "", mapping, (), 0),
            (0, 0, True, "", mapping, plain, 2),
            (0, 0, False, _FAULTS, mapping, (), 0),
            (1.1, 0, False, "", aims, others, 2),
            (1.1, 20, False, "", aims, ordered, 1),
        )
    ]


def _ordered(contenders: Sequence[Contender]) -> list[Contender]:
    return [c for c in contenders if c.order != "none" and c.processes == 1]


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
        min(events_for(c, scenario) / estimate(c, scenario), scenario.conditions.seconds_max)
        + _AROUND_S
        for scenario in todo
        for _, c in scenario.trials()
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
    trials = sum(len(list(scenario.trials())) for scenario in todo)
    print(f"==> {trials} trials, about {seconds(todo) / 60:.1f} minutes", flush=True)
    rows: list[dict[str, object]] = []
    began = time.perf_counter()
    for scenario in todo:
        print(f"==> {scenario.name}", flush=True)
        for number, contender in scenario.trials():
            topic = recorded.for_one(contender, scenario)
            result = await trial(contender, recorded.bootstrap, topic, scenario.conditions)
            print(f"  {number + 1}  {line(result)}", flush=True)
            rows.append({"scenario": scenario.name, "round": number, **asdict(result)})
    print(f"==> it took {(time.perf_counter() - began) / 60:.1f} minutes", flush=True)
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
