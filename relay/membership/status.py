"""The engine's state → the membership road's part of health, /status, /metrics and its line.

What every road has is in `relay.road.status`. Members and segments are never named, only counted.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from relay.membership.engine import MembershipEngine
from relay.membership.facts import MembershipProgress
from relay.membership.mapping import OTHER_EVENT
from relay.road.status import Hold, ReportPolicy, RoadReporter
from relay.telemetry.facts import Emit


def _counts(engine: MembershipEngine) -> dict[str, int]:
    """What a line counts since the one before. Records of the stream are no news."""
    ledger = engine.custody.ledger
    elsewhere = ledger.skipped[OTHER_EVENT.code]
    return {
        "received": ledger.taken - elsewhere,
        "delivered": ledger.delivered,
        "dead_lettered": ledger.dead_lettered.total(),
        "skipped": ledger.skipped.total() - elsewhere,
        "commands": engine.commands,
    }


class MembershipReporter(RoadReporter):
    """The reporter of membership events."""

    road: ClassVar[str] = "segments"
    prefix: ClassVar[str] = "relay_membership"

    def __init__(
        self,
        engine: MembershipEngine,
        emit: Emit,
        policy: ReportPolicy | None = None,
        registry_problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__(engine.custody, emit, policy or ReportPolicy(), registry_problem)
        self._engine = engine
        self._before = _counts(engine)

    def _line(self, seconds: float) -> None:
        engine = self._engine
        counts, before = _counts(engine), self._before
        if counts == before and not self._custody.ledger.open:
            return
        self._before = counts
        self._emit(
            MembershipProgress(
                seconds=round(seconds, 3),
                **{name: count - before[name] for name, count in counts.items()},
                waiting=engine.batches.waiting,
                in_trouble=engine.batches.in_trouble,
                flying=sum(len(batch.lines) for batch in engine.batches.flying),
                unsettled=self._custody.ledger.open,
                lag=sum(self._lag.values()),
                oldest_s=round(self._oldest_s(), 3),
            )
        )

    def _destination_hold(self) -> Hold | None:
        engine = self._engine
        if engine.held_because is None:
            return None
        return Hold("imports", engine.held_because, engine.held_since)

    def _destination_status(self) -> Mapping[str, Any]:
        engine = self._engine
        return {
            "imports": dict(engine.imports),
            "held": engine.held_because,
            "held_for_s": self._blocked(engine.held_because, engine.held_since)["for_s"],
            "waiting": engine.batches.waiting,
            "in_trouble": engine.batches.in_trouble,
            "flying": sum(len(batch.lines) for batch in engine.batches.flying),
            "files": len(engine.batches.flying),
        }

    def _destination_metrics(self) -> Iterator[Metric]:
        engine, batches = self._engine, self._engine.batches
        yield CounterMetricFamily(
            f"{self.prefix}_commands",
            "Lines sent in import files, repeats included.",
            engine.commands,
        )
        rows = (
            ("waiting", "Members whose change waits for the next file.", batches.waiting),
            ("in_trouble", "Members whose file failed.", batches.in_trouble),
            ("oldest_seconds", "How long the oldest has had no fate.", self._oldest_s()),
            ("held", "1 while files cannot be sent.", int(engine.held_because is not None)),
        )
        for name, text, value in rows:
            yield GaugeMetricFamily(f"{self.prefix}_{name}", text, value)
