"""Many members of one group before an API that grants all of them a rate: what comes of it.

The world of the storms, with production pipelines, a topic whose partitions are uneven, and more
produced than the API grants. Events are put on the topic twice a second, and a run has phases: an
ordinary time, a rolling deploy, an outage. Figures are kept for each.
"""

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from relay.sandbox.limiters import LimiterKind, LimiterRule
from tests.support.simulation.api import Faults
from tests.support.simulation.loop import EPOCH_MS
from tests.support.simulation.storm import Storm
from tests.support.simulation.world import Produced, World, event

_TICK_S = 0.5
_WINDOW_S = 10
_BEGAN = 1000.0
RETURN_S = 15
"""Members find out that the API is back within `delivery.probe_every_max_s`."""


@dataclass(frozen=True)
class Fleet:
    """A group and what the API grants it. Times are virtual seconds from the start."""

    members: int
    granted: float
    """Requests a second, for the whole group."""
    partitions_each: int = 12
    load: float = 1.1
    """Events produced, as a part of what is granted."""
    uneven: float = 0.8
    """Partitions get what Zipf's law with this exponent gives them; 0: all the same."""
    told: bool = True
    """Whether the members know the rate (`rate_per_second` with `rate_shared`)."""
    limits: bool = True
    """Whether the API refuses what is beyond it."""
    users_each: int = 20
    """Of each partition."""
    latency_s: tuple[float, float] = (0.03, 0.07)
    records_max: int = 2000
    max_in_flight: int = 256
    warm_s: int = 30
    ordinary_s: int = 60
    restarts: int = 0
    restart_every_s: float = 2.0
    outage_s: int = 0
    after_s: int = 0
    """Beyond `RETURN_S`."""
    seed: int = 1

    @property
    def deploy_begins_s(self) -> float:
        """When the first member is restarted."""
        return self.warm_s + self.ordinary_s

    @property
    def outage_begins_s(self) -> float:
        """When the API goes away: after the deploy."""
        return self.deploy_begins_s + self.restarts * self.restart_every_s

    @property
    def produce_s(self) -> float:
        """For how long events are produced."""
        return self._returned_s + self.after_s

    @property
    def _returned_s(self) -> float:
        return self.outage_begins_s + self.outage_s + RETURN_S * bool(self.outage_s)

    def phases(self) -> "dict[str, tuple[float, float]]":
        """From when to when each phase is."""
        back = self.outage_begins_s + self.outage_s
        named = {
            "ordinary": (self.warm_s, self.deploy_begins_s),
            "rolling deploy": (self.deploy_begins_s, self.outage_begins_s),
            "outage": (self.outage_begins_s, back),
            "its end": (back, self._returned_s),
            "after it": (self._returned_s, self.produce_s),
        }
        return {name: span for name, span in named.items() if span[0] < span[1]}

    def storm(self) -> Storm:
        """The same as a storm."""
        limiter = LimiterRule(
            kind=LimiterKind.TOKEN_BUCKET,
            per_second=self.granted,
            burst=max(1, round(self.granted / 10)),
            retry_after=False,
        )
        begins = self.outage_begins_s
        return Storm(
            seed=self.seed,
            partitions=self.members * self.partitions_each,
            members=self.members,
            faults=Faults(
                latency_s=self.latency_s,
                limiter=limiter if self.limits else None,
                outages=[(begins, begins + self.outage_s)] if self.outage_s else [],
            ),
            records_max=self.records_max,
            max_in_flight=self.max_in_flight,
            rate_per_second=self.granted if self.told else None,
            rate_shared=self.told,
        )


class Phase(NamedTuple):
    """What came of one phase."""

    used: float
    """What the API accepted, as a part of what it granted."""
    sent_most: float
    """The most that it was sent in any ten seconds, as a part of what it granted."""
    commits: float
    """Requests to commit, a second."""
    partitions: float
    """Partitions in them, a second."""
    map_bytes: float
    """Of the metadata of one partition, on average."""
    moved: int
    """Partitions that were given to another member."""
    pause_s: float
    """The longest time in which nothing at all was delivered."""


class FleetWorld(World):
    """One run of one fleet."""

    def __init__(self, fleet: Fleet):
        super().__init__(fleet.storm())
        self.fleet = fleet

    def weights(self) -> list[float]:
        """What each partition gets, as a part of all; who has which is left to chance."""
        found = [1 / (rank + 1) ** self.fleet.uneven for rank in range(self.storm.partitions)]
        random.Random(self.fleet.seed).shuffle(found)
        total = sum(found)
        return [weight / total for weight in found]

    async def produce(self):
        """Produce, and restart members meanwhile."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._produce())
            tasks.create_task(self._deploy())

    async def _produce(self):
        fleet, rng, weights = self.fleet, self.rng, self.weights()
        numbers = range(self.storm.partitions)
        seqs: Counter[str] = Counter()
        loop = asyncio.get_running_loop()
        ticks = round(fleet.produce_s / _TICK_S)
        due = 0.0
        for _ in range(ticks):
            due += fleet.granted * fleet.load * _TICK_S
            picks = rng.choices(numbers, weights, k=int(due))
            due -= len(picks)
            for number in picks:
                user = f"user-{number}-{rng.randrange(fleet.users_each)}"
                seq, seqs[user] = seqs[user], seqs[user] + 1
                now_ms = EPOCH_MS + len(self.produced)
                offset = self.cluster.produce(
                    number, now_ms, user.encode(), event(user, seq, now_ms)
                )
                self.produced.append(Produced(user, seq, True, (number, offset), loop.time()))
            await asyncio.sleep(_TICK_S)

    async def _deploy(self):
        """Restart one member after the other, in an orderly way."""
        await asyncio.sleep(self.fleet.deploy_begins_s)
        old = list(self.running)[: self.fleet.restarts]
        for task in old:
            self.running[task][1].stop("deploy")
            await asyncio.wait([task])
            self.start_member()
            await asyncio.sleep(self.fleet.restart_every_s)

    def phase(self, name: str) -> Phase:
        """What came of it."""
        begins, ends = self.fleet.phases()[name]
        seconds, span = range(int(begins), int(ends)), ends - begins
        accepted, refused = self.api.accepted_by_second, self.api.refused_by_second
        if self.storm.faults.limiter is None:
            accepted = self.api.requests_by_second
        sent = [accepted[second] + refused[second] for second in seconds]
        windows = [
            sum(sent[at : at + _WINDOW_S]) for at in range(max(1, len(sent) - _WINDOW_S + 1))
        ]
        length = min(_WINDOW_S, len(sent))
        within = lambda at: begins <= at - _BEGAN < ends  # noqa: E731
        written = [(n, size) for at, n, size in self.cluster.written if within(at)]
        partitions = sum(n for n, _ in written)
        stored = [begins, *(s.at - _BEGAN for s in self.api.stored if within(s.at)), ends]
        return Phase(
            used=sum(accepted[second] for second in seconds) / span / self.fleet.granted,
            sent_most=max(windows) / length / self.fleet.granted,
            commits=len(written) / span,
            partitions=partitions / span,
            map_bytes=sum(size for _, size in written) / max(1, partitions),
            moved=sum(n for at, n in self.cluster.moved if within(at)),
            pause_s=max(later - earlier for earlier, later in itertools.pairwise(stored)),
        )

    def broken(self) -> dict[str, int]:
        """Promises that were broken, and how often; empty when all were kept."""
        found = self.verdict()
        counts = {
            name: int(found[name])
            for name in (
                "lost",
                "order_breaks",
                "duplicates_beyond",
                "keys_differ",
                "unbalanced",
                "leftovers",
                "dead",
            )
        }
        counts["unsettled"] = int(not found["settled"])
        return {name: count for name, count in counts.items() if count}
