"""The state of the engine → health, /status, /metrics and the line of each interval.

Reads the engine, changes nothing. Members and segments are never named, only counted.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from relay.membership.engine import MembershipEngine
from relay.membership.mapping import ELSEWHERE
from relay.model import Fate, Partition
from relay.telemetry.facts import Emit, Lifecycle, MembershipProgress
from relay.telemetry.health import Liveness, Readiness


@dataclass(frozen=True, slots=True)
class _Counts:
    """What a line counts since the one before."""

    received: int
    delivered: int
    dead_lettered: int
    skipped: int
    commands: int

    @classmethod
    def of(cls, engine: MembershipEngine) -> "_Counts":
        ledger = engine.ledger
        elsewhere = ledger.skipped[ELSEWHERE.code]
        return cls(
            received=ledger.taken - elsewhere,
            delivered=ledger.delivered,
            dead_lettered=ledger.dead_lettered.total(),
            skipped=ledger.skipped.total() - elsewhere,
            commands=engine.commands,
        )


class MembershipReporter:
    """Implements `relay.telemetry.health.StatusSource` for the road of membership events."""

    def __init__(self, engine: MembershipEngine, emit: Emit, line_every_s: float = 10.0) -> None:
        self._engine = engine
        self._emit = emit
        self._line_every_s = line_every_s
        self._line_at: float | None = None
        self._before = _Counts.of(engine)
        self._lag: Mapping[Partition, int] = {}
        self._now = 0.0
        self.lifecycle = Lifecycle.STARTING

    def tick(self, now: float, lag: Mapping[Partition, int]) -> None:
        """Take note of what only the loop knows; write the line when it is due."""
        self._now, self._lag = now, lag
        for home in self._engine.assigned.values():
            lowest = home.frontier.lowest_open
            if lowest != home.pinned_at:
                home.pinned_at, home.pinned_since = lowest, now
        if self._line_at is None:
            self._line_at = now
        elif now - self._line_at >= self._line_every_s:
            self.line(now)

    def line(self, now: float) -> None:
        """Write the line, unless nothing happened and nothing is open."""
        engine = self._engine
        counts, before = _Counts.of(engine), self._before
        seconds = now - (self._line_at or now)
        self._line_at = now
        if counts == before and not engine.ledger.open:
            return
        self._before = counts
        flying = engine.batches.flying
        self._emit(
            MembershipProgress(
                seconds=round(seconds, 3),
                received=counts.received - before.received,
                delivered=counts.delivered - before.delivered,
                dead_lettered=counts.dead_lettered - before.dead_lettered,
                skipped=counts.skipped - before.skipped,
                commands=counts.commands - before.commands,
                waiting=engine.batches.waiting,
                in_trouble=engine.batches.in_trouble,
                flying=0 if flying is None else len(flying.lines),
                unsettled=engine.ledger.open,
                lag=sum(self._lag.values()),
                oldest_s=round(self._oldest_s(), 3),
            )
        )

    def readiness(self) -> Readiness:
        """Ready when files can go."""
        engine = self._engine
        if self.lifecycle is not Lifecycle.RUNNING:
            return Readiness(ready=False, reason=f"segments: {self.lifecycle}")
        if engine.letters_blocked is not None:
            return Readiness(ready=False, reason=f"segments: {engine.letters_blocked}")
        if engine.held_because is not None:
            return Readiness(ready=False, reason=f"segments: {engine.held_because}")
        return Readiness(ready=True, reason="running")

    def liveness(self) -> Liveness:
        """Alive: an import may take hours, and what breaks ends the process."""
        return Liveness(alive=True, reason="progress")

    def status(self) -> Mapping[str, Any]:
        """What is going on, and what is stuck and why."""
        engine, ledger = self._engine, self._engine.ledger
        flying = engine.batches.flying
        return {
            "lifecycle": str(self.lifecycle),
            "ledger": {
                "taken": ledger.taken,
                "delivered": ledger.delivered,
                "dead_lettered": dict(ledger.dead_lettered),
                "skipped": dict(ledger.skipped),
                "returned": ledger.returned,
                "open": ledger.open,
                "balanced": ledger.balanced,
            },
            "imports": dict(engine.imports),
            "held": engine.held_because,
            "dead_letter_topic": {
                "unconfirmed": len(engine.letters),
                "blocked": engine.letters_blocked,
            },
            "waiting": engine.batches.waiting,
            "in_trouble": engine.batches.in_trouble,
            "flying": 0 if flying is None else len(flying.lines),
            "oldest_s": round(self._oldest_s(), 3),
            "partitions": {
                str(partition): {
                    "committed": None if home.last_commit is None else home.last_commit.offset,
                    "next": home.frontier.next_offset,
                    "lag": self._lag.get(partition),
                    "open": home.frontier.open_count,
                }
                for partition, home in sorted(engine.assigned.items())
            },
        }

    def metrics(self) -> Iterator[Metric]:
        """One snapshot."""
        ledger, batches = self._engine.ledger, self._engine.batches
        taken = CounterMetricFamily(
            "relay_membership_records_taken", "Records read by the group of membership events."
        )
        taken.add_metric([], ledger.taken)
        yield taken
        settled = CounterMetricFamily(
            "relay_membership_records_settled",
            "Records that met their fate there; `not_a_membership` are the stream's.",
            labels=["fate", "code"],
        )
        settled.add_metric([Fate.DELIVERED, ""], ledger.delivered)
        for fate, counts in (
            (Fate.DEAD_LETTERED, ledger.dead_lettered),
            (Fate.SKIPPED, ledger.skipped),
        ):
            for code, count in counts.items():
                settled.add_metric([fate, code], count)
        yield settled
        commands = CounterMetricFamily("relay_membership_commands", "Lines sent in import files.")
        commands.add_metric([], self._engine.commands)
        yield commands
        yield from self._gauges(
            (
                ("open", "Membership events without a fate.", ledger.open),
                ("waiting", "Members whose change waits to be gathered.", batches.waiting),
                ("in_trouble", "Members whose file failed.", batches.in_trouble),
                ("lag", "Records not read yet by that group.", sum(self._lag.values())),
                ("oldest_seconds", "How long the oldest has had no fate.", self._oldest_s()),
                (
                    "held",
                    "1 while files cannot be sent.",
                    int(self._engine.held_because is not None),
                ),
                (
                    "ledger_balanced",
                    "1 while taken = settled + returned + open.",
                    int(ledger.balanced),
                ),
            )
        )

    def _gauges(self, rows: Iterable[tuple[str, str, float]]) -> Iterator[Metric]:
        for name, text, value in rows:
            yield GaugeMetricFamily(f"relay_membership_{name}", text, value)

    def _oldest_s(self) -> float:
        pinned = [
            home.pinned_since
            for home in self._engine.assigned.values()
            if home.pinned_at is not None
        ]
        return max(0.0, self._now - min(pinned, default=self._now))
