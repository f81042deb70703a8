"""The state of a road → readiness, liveness, /status, /metrics, and the line of each interval.

Reads the custody, changes nothing. What only one road has is added by its own reporter. Everything
shown is free of personal data: lanes and keys are never named, only positions, counts and codes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from pydantic import Field

from relay.model import Partition
from relay.road.consuming.source import SourceState
from relay.road.custody import Custody
from relay.road.facts import Lifecycle, StillHeld
from relay.road.metrics import label, ledger_metrics, ledger_status, of_partitions
from relay.road.rates import Rates
from relay.road.schema_status import SchemaReport
from relay.road.settling.assigned import Assigned, lags
from relay.road.source_status import SourceReport
from relay.section import Section
from relay.telemetry.facts import Emit
from relay.telemetry.health import Health

_RATES = ("received", "delivered", "dead_lettered", "skipped")


class ReportPolicy(Section):
    """How often to say what, and how long a standstill may last. Seconds."""

    stuck_after_s: float = Field(
        300.0,
        gt=0,
        description="After how long without progress, and without a reason, /livez fails.",
    )
    progress_every_s: float = Field(
        10.0,
        ge=1,
        description="Seconds between two lines of progress (`stream_progress`, "
        "`membership_progress`). Where nothing happens none is written.",
    )
    reminder_every_s: ClassVar[float] = 60.0


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing may be sent now. `since` in steady seconds."""

    code: str
    reason: str
    since: float
    destination: str = ""
    """Which of several is meant; empty where everything is."""


class RoadReporter(ABC):
    """Implements `relay.telemetry.health.StatusSource` as far as all roads are alike."""

    road: ClassVar[str]
    prefix: ClassVar[str] = "relay"
    """What the road's metrics begin with."""

    def __init__(
        self,
        custody: Custody,
        emit: Emit,
        policy: ReportPolicy,
        registry_problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`registry_problem` says why the schema registry cannot be asked, when it cannot."""
        self._custody = custody
        self._emit = emit
        self._policy = policy
        self._now = 0.0
        self._began = 0.0
        self._line_at: float | None = None
        self._reminded_at: dict[str, float] = {}
        self._paused = 0
        self._lag: Mapping[Partition, int] = {}
        self._source = SourceReport(emit, self.prefix)
        self._schemas = SchemaReport(custody, registry_problem, self.prefix)
        self._rates = Rates()
        self.loop_lag_s = 0.0
        """How late the loop came to a timer last: heartbeats are as late."""
        self.lifecycle = Lifecycle.STARTING

    # -- the log ------------------------------------------------------------------------------

    def tick(
        self, now: float, paused: int, source: SourceState, ends: Mapping[Partition, int]
    ) -> None:
        """Take note of what only the loop knows; write the lines that are due."""
        self._now, self._paused = now, paused
        self._source.tick(now, source)
        self._lag = lags(self._custody.assigned, ends)
        self._rates.mark(now, self._moved())
        if self._line_at is None:
            self._line_at = self._began = now
        elif now - self._line_at >= self._policy.progress_every_s:
            self.line(now)
        self._remind(now)

    def _remind(self, now: float) -> None:
        hold = self.hold()
        for one in self._partial_holds() if hold is None else (hold,):
            reminded_at = self._reminded_at.get(one.destination, 0.0)
            if now - max(one.since, reminded_at) >= self._policy.reminder_every_s:
                self._reminded_at[one.destination] = now
                self._emit(
                    StillHeld(
                        road=self.road,
                        destination=one.destination,
                        code=one.code,
                        reason=one.reason,
                        for_s=now - one.since,
                    )
                )

    def _moved(self) -> tuple[int, ...]:
        """The counters behind `_RATES`."""
        ledger = self._custody.ledger
        dead, skipped = ledger.dead_lettered.total(), ledger.skipped.total()
        return ledger.taken, ledger.delivered, dead, skipped

    def line(self, now: float) -> None:
        """Write the line of the interval, unless nothing happened since the last one."""
        seconds = now - (self._line_at or now)
        self._line_at = now
        self._line(seconds)

    @abstractmethod
    def _line(self, seconds: float) -> None: ...

    # -- health -------------------------------------------------------------------------------

    # From the widest to the narrowest: while letters are not confirmed nothing is sent at all,
    # whatever the destination says; a schema that cannot be fetched holds its own partitions only.
    def hold(self) -> Hold | None:
        """Why nothing may be sent now, when nothing may."""
        custody = self._custody
        if custody.letters_blocked is not None:
            return Hold("dead_letter_topic", custody.letters_blocked, custody.letters_blocked_since)
        held = self._destination_hold()
        if held is not None:
            return held
        waits = self._schemas.hold()
        return None if waits is None else Hold("schema_registry", *waits)

    @abstractmethod
    def _destination_hold(self) -> Hold | None: ...

    def _partial_holds(self) -> Sequence[Hold]:
        """Why nothing may be sent to some of several destinations; `hold` is about all."""
        return ()

    def readiness(self) -> Health:
        """Ready when records can go all the way."""
        if self.lifecycle is not Lifecycle.RUNNING:
            return Health(ok=False, reason=f"{self.road}: {self.lifecycle}")
        trouble = self._source.readiness()
        if trouble is not None:
            return Health(ok=False, reason=f"{self.road}: {trouble}")
        hold = self.hold()
        if hold is not None:
            return Health(ok=False, reason=f"{self.road}: {hold.code}: {hold.reason}")
        return Health(ok=True, reason="running")

    def liveness(self) -> Health:
        """Alive: what breaks is started again, and what waits says why."""
        return Health(ok=True, reason="progress")

    # -- /status ------------------------------------------------------------------------------

    def status(self) -> Mapping[str, Any]:
        """What is going on, and what is stuck and why."""
        custody, ledger = self._custody, self._custody.ledger
        return {
            "lifecycle": str(self.lifecycle),
            "ledger": {**ledger_status(ledger), "uncommitted": custody.uncommitted},
            "rates": self._rates.per_second(self._now, _RATES, self._moved()),
            "lag": sum(self._lag.values()),
            "paused_partitions": self._paused,
            "oldest_s": round(self._oldest_s(), 3),
            "kafka": self._source.status(),
            "schema_registry": self._schemas.status(self._now),
            **self._destination_status(),
            "dead_letter_topic": {
                "unconfirmed": len(custody.letters),
                **self._blocked(custody.letters_blocked, custody.letters_blocked_since),
            },
            "commits": self._blocked(custody.commits_blocked, custody.commits_blocked_since),
            "memory": {"records": ledger.open, "bytes": ledger.open_bytes},
            "partitions": {
                str(partition): self._partition(assigned)
                for partition, assigned in sorted(custody.assigned.items())
            },
        }

    def _blocked(self, reason: str | None, since: float) -> Mapping[str, Any]:
        for_s = None if reason is None else round(max(0.0, self._now - since), 3)
        return {"blocked": reason, "for_s": for_s}

    @abstractmethod
    def _destination_status(self) -> Mapping[str, Any]: ...

    def _partition(self, assigned: Assigned) -> Mapping[str, Any]:
        commit = assigned.last_commit
        return {
            "committed": None if commit is None else commit.offset,
            "next": assigned.frontier.next_offset,
            "lag": self._lag.get(assigned.partition),
            "open": assigned.frontier.open_count,
            "in_flight": assigned.in_flight,
            "map_fill": round(assigned.map_fill, 3),
            "gaps": assigned.frontier.gaps,
            "pinned_by": self._pinned_by(assigned),
        }

    def _pinned_by(self, assigned: Assigned) -> Mapping[str, Any] | None:
        offset = assigned.frontier.lowest_open
        if offset is None:
            return self._waits_for_schema(assigned)
        for_s = round(max(0.0, self._now - assigned.pinned_since), 3)
        return {"offset": offset, "for_s": for_s, **self._pin_status(assigned)}

    def _waits_for_schema(self, assigned: Assigned) -> Mapping[str, Any] | None:
        wait = self._custody.schemas.waits.get(assigned.partition)
        if wait is None:
            return None
        for_s = round(max(0.0, self._now - wait.since), 3)
        return {"offset": wait.offset, "for_s": for_s, "schema": wait.key}

    def _pin_status(self, _assigned: Assigned) -> Mapping[str, Any]:
        return {}

    def _oldest_s(self) -> float:
        partitions = self._custody.assigned.values()
        pinned = [
            assigned.pinned_since for assigned in partitions if assigned.pinned_at is not None
        ]
        return max(0.0, self._now - min(pinned, default=self._now))

    # -- /metrics -----------------------------------------------------------------------------

    def metrics(self) -> Iterable[Metric]:
        """One snapshot: everything in it was true at the same time."""
        yield from self._ledger_metrics()
        yield from self._source.metrics()
        yield from self._schemas.metrics(self._now)
        yield from self._destination_metrics()
        yield from self._partition_metrics()

    @abstractmethod
    def _destination_metrics(self) -> Iterator[Metric]: ...

    def _ledger_metrics(self) -> Iterator[Metric]:
        ledger, prefix = self._custody.ledger, self.prefix
        yield from ledger_metrics(
            ledger, f"{prefix}_records", "Records", taken="Records read from Kafka."
        )
        yield CounterMetricFamily(
            f"{prefix}_commits", "Commits that Kafka confirmed.", self._custody.commits_confirmed
        )
        yield CounterMetricFamily(
            f"{prefix}_records_fenced",
            "Late records and answers of an earlier assignment, ignored.",
            ledger.fenced,
        )
        yield GaugeMetricFamily(
            f"{prefix}_records_open_bytes", "Their approximate size in memory.", ledger.open_bytes
        )
        yield GaugeMetricFamily(
            f"{prefix}_ledger_balanced",
            "1 while taken = settled + returned + open.",
            int(ledger.balanced),
        )

    def _partition_metrics(self) -> Iterator[Metric]:
        texts = {
            "committed_offset": "Next offset to read.",
            "lag": "Records that are not settled: not read yet, or read and without a fate.",
            "partition_open": "Records without a fate.",
            "offset_map_fill": "How full the commit's metadata is, 0 to 1.",
            "frontier_pinned_seconds": "How long the same record has held the frontier.",
        }
        gauges = {n: of_partitions(f"{self.prefix}_{n}", text) for n, text in texts.items()}
        for partition, assigned in sorted(self._custody.assigned.items()):
            commit, pinned_at = assigned.last_commit, assigned.pinned_at
            values = {
                "committed_offset": None if commit is None else commit.offset,
                "lag": self._lag.get(partition),
                "partition_open": assigned.frontier.open_count,
                "offset_map_fill": assigned.map_fill,
                "frontier_pinned_seconds": 0.0
                if pinned_at is None
                else max(0.0, self._now - assigned.pinned_since),
            }
            for name, value in values.items():
                if value is not None:
                    gauges[name].add_metric(label(partition), value)
        yield from gauges.values()
