"""The state of the engine → readiness, liveness, /status, /metrics and the line of each interval.

Reads the engine, changes nothing. Everything shown here is free of personal data: lanes and keys
are never named, only positions, counts and codes.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from relay.model import Fate, Partition
from relay.road.settling.assigned import Assigned
from relay.stream.engine import Engine
from relay.stream.sending.gate import GateState
from relay.stream.sending.lanes import Waiting
from relay.telemetry.facts import Emit, Lifecycle, OffsetsCommitted, RecordsSkipped, StillHeld
from relay.telemetry.health import Liveness, Readiness
from relay.telemetry.histogram import Histogram


@dataclass(frozen=True, slots=True)
class ReportPolicy:
    """How often to say what, and how long a standstill may last. Seconds."""

    line_every_s: float = 10.0
    reminder_every_s: float = 60.0
    stuck_after_s: float = 300.0


class Reporter:
    """Implements `relay.telemetry.health.StatusSource` for the stream."""

    def __init__(self, engine: Engine, emit: Emit, policy: ReportPolicy) -> None:
        self._engine = engine
        self._emit = emit
        self._policy = policy
        self._now = 0.0
        self._lag: Mapping[Partition, int] = {}
        self._lagging_since: dict[Partition, float] = {}
        self._paused = 0
        self._line_at: float | None = None
        self._began = 0.0
        self._reminded_at = 0.0
        self.loop_lag_s = 0.0
        """How late the loop came to a timer last: heartbeats are as late."""
        self._settled = -1
        self._settled_at = 0.0
        self._before = _Counts.of(engine)
        self.lifecycle = Lifecycle.STARTING

    # -- the log ------------------------------------------------------------------------------

    def tick(self, now: float, paused: int, lag: Mapping[Partition, int]) -> None:
        """Take note of what only the loop knows; write the lines that are due."""
        self._now, self._paused, self._lag = now, paused, lag
        self._lagging_since = {
            partition: self._lagging_since.get(partition, now)
            for partition, behind in lag.items()
            if behind > 0
        }
        settled = self._engine.ledger.taken - self._engine.ledger.open
        if settled != self._settled:
            self._settled, self._settled_at = settled, now
        if self._line_at is None:
            self._line_at = self._began = now
        elif now - self._line_at >= self._policy.line_every_s:
            self.line(now)
        hold = self._hold()
        if hold is None:
            return
        code, reason, since = hold
        if now - max(since, self._reminded_at) >= self._policy.reminder_every_s:
            self._reminded_at = now
            self._emit(StillHeld(code=code, reason=reason, for_s=now - since))

    def line(self, now: float) -> None:
        """Write the canonical line, unless nothing happened since the last one."""
        engine = self._engine
        counts, before = _Counts.of(engine), self._before
        seconds = now - (self._line_at or now)
        self._line_at = now
        if counts == before and not engine.ledger.open:
            return
        self._before = counts
        for code, count in counts.skipped_by_code.items():
            more = count - before.skipped_by_code.get(code, 0)
            if more:
                self._emit(RecordsSkipped(code=code, count=more))
        trips, late = engine.round_trips, engine.lateness
        self._emit(
            OffsetsCommitted(
                seconds=seconds,
                received=counts.taken - before.taken,
                delivered=counts.delivered - before.delivered,
                dead_lettered=counts.dead_lettered - before.dead_lettered,
                skipped=counts.skipped - before.skipped,
                requests=counts.requests - before.requests,
                retries=counts.retries - before.retries,
                partitions=len(engine.assigned),
                paused=self._paused,
                in_flight=engine.lanes.in_flight,
                waiting=engine.lanes.waiting,
                limit=engine.destination.limit.value,
                lag=sum(self._lag.values()),
                oldest_s=self._oldest_s(),
                round_trip_p50_ms=_ms(trips.quantile(0.5, before.round_trips)),
                round_trip_p99_ms=_ms(trips.quantile(0.99, before.round_trips)),
                lateness_p50_s=late.quantile(0.5, before.lateness) or 0.0,
                lateness_p99_s=late.quantile(0.99, before.lateness) or 0.0,
            )
        )

    # -- health -------------------------------------------------------------------------------

    def readiness(self) -> Readiness:
        """Ready when records can go all the way."""
        if self.lifecycle is not Lifecycle.RUNNING:
            return Readiness(ready=False, reason=str(self.lifecycle))
        hold = self._hold()
        if hold is not None:
            return Readiness(ready=False, reason=f"{hold[0]}: {hold[1]}")
        return Readiness(ready=True, reason="running")

    def liveness(self) -> Liveness:
        """Not alive when records wait, nothing holds them up, and still none gets through."""
        if self._hold() is not None or self.lifecycle is not Lifecycle.RUNNING:
            return Liveness(alive=True, reason="nothing may move now")
        for home in self._engine.assigned.values():
            still_s = self._stands_still_s(home)
            if still_s >= self._policy.stuck_after_s:
                reason = f"{home.partition} has not moved for {still_s:.0f} s"
                return Liveness(alive=False, reason=reason)
        return Liveness(alive=True, reason="progress")

    def status(self) -> Mapping[str, Any]:
        """What is going on, and what is stuck and why."""
        engine, ledger = self._engine, self._engine.ledger
        gate, limit = engine.destination.gate, engine.destination.limit
        return {
            "lifecycle": str(self.lifecycle),
            "ledger": {
                "taken": ledger.taken,
                "delivered": ledger.delivered,
                "dead_lettered": dict(ledger.dead_lettered),
                "skipped": dict(ledger.skipped),
                "returned": ledger.returned,
                "open": ledger.open,
                "uncommitted": sum(h.settled_since_commit for h in engine.assigned.values()),
                "balanced": ledger.balanced,
            },
            "destination": {
                "state": str(gate.state),
                "reason": gate.reason,
                "for_s": round(self._now - max(gate.since, self._began), 3),
                "limit": limit.value,
                "limit_changed_because": limit.why,
                "in_flight": engine.lanes.in_flight,
                "waiting": engine.lanes.waiting,
                "resting_lanes": engine.lanes.resting,
            },
            "dead_letter_topic": {
                "unconfirmed": len(engine.letters),
                "blocked": engine.letters_blocked,
            },
            "memory": {"records": ledger.open, "bytes": ledger.open_bytes},
            "partitions": {
                str(partition): self._partition(home)
                for partition, home in sorted(engine.assigned.items())
            },
        }

    def metrics(self) -> Iterable[Metric]:
        """One snapshot: everything in it was true at the same time."""
        yield from self._ledger_metrics()
        yield from self._sending_metrics()
        yield from self._partition_metrics()

    # -- inside -------------------------------------------------------------------------------

    def _hold(self) -> tuple[str, str, float] | None:
        engine = self._engine
        if engine.letters_blocked is not None:
            return "dead_letter_topic", engine.letters_blocked, engine.letters_blocked_since
        gate = engine.destination.gate
        if gate.state in (GateState.HELD, GateState.DOWN):
            return str(gate.state), gate.reason, gate.since
        return None

    def _stands_still_s(self, home: Assigned) -> float:
        """For how long a partition has stood still without an excuse.

        A record that is tried again and again is an excuse. So is a turn that has not come yet:
        lanes take turns, so after twice as many requests as there were lanes it must have come.
        """
        if not home.frontier.open_count:
            since = self._lagging_since.get(home.partition, self._now)
            return self._now - max(since, self._settled_at)
        pin = self._pin(home)
        if pin is not None and pin.last_code:
            return 0.0
        turns = self._engine.requests - home.requests_when_pinned
        if pin is not None and turns <= 2 * home.lanes_when_pinned:
            return self._now - max(home.pinned_since, self._settled_at)
        return self._now - home.pinned_since

    def _oldest_s(self) -> float:
        pinned = [h.pinned_since for h in self._engine.assigned.values() if h.pinned_at is not None]
        return max(0.0, self._now - min(pinned, default=self._now))

    def _partition(self, home: Assigned) -> Mapping[str, Any]:
        commit = home.last_commit
        return {
            "committed": None if commit is None else commit.offset,
            "next": home.frontier.next_offset,
            "lag": self._lag.get(home.partition),
            "open": home.frontier.open_count,
            "in_flight": home.in_flight,
            "map_fill": round(home.map_fill, 3),
            "gaps": home.frontier.gaps,
            "pinned_by": self._pinned_by(home),
        }

    def _pinned_by(self, home: Assigned) -> Mapping[str, Any] | None:
        offset = home.frontier.lowest_open
        if offset is None:
            return None
        pinned: dict[str, Any] = {
            "offset": offset,
            "for_s": round(max(0.0, self._now - home.pinned_since), 3),
        }
        waiting = self._pin(home)
        if waiting is not None:
            pinned |= {"attempts": waiting.attempts, "last_verdict": waiting.last_code or None}
        return pinned

    def _pin(self, home: Assigned) -> Waiting | None:
        """What is known of the record that pins the frontier, when it is on its way."""
        offset = home.frontier.lowest_open
        lanes = self._engine.lanes
        for candidates in (lanes.flying(), lanes.queued()):
            for waiting in candidates:
                if waiting.home is home and waiting.parcel.record.offset == offset:
                    return waiting
        return None

    def _ledger_metrics(self) -> Iterator[Metric]:
        ledger = self._engine.ledger
        taken = CounterMetricFamily("relay_records_taken", "Records read from Kafka.")
        taken.add_metric([], ledger.taken)
        yield taken
        settled = CounterMetricFamily(
            "relay_records_settled", "Records that met their fate.", labels=["fate", "code"]
        )
        settled.add_metric([Fate.DELIVERED, ""], ledger.delivered)
        for code, count in ledger.dead_lettered.items():
            settled.add_metric([Fate.DEAD_LETTERED, code], count)
        for code, count in ledger.skipped.items():
            settled.add_metric([Fate.SKIPPED, code], count)
        yield settled
        returned = CounterMetricFamily(
            "relay_records_returned", "Records given back unsettled when their partition left."
        )
        returned.add_metric([], ledger.returned)
        yield returned
        fenced = CounterMetricFamily(
            "relay_records_fenced", "Late records and answers of an earlier assignment, ignored."
        )
        fenced.add_metric([], ledger.fenced)
        yield fenced
        notes = CounterMetricFamily(
            "relay_mapping_notes", "Events sent with less or other than they said.", labels=["code"]
        )
        for code, count in self._engine.notes.items():
            notes.add_metric([code], count)
        yield notes
        yield GaugeMetricFamily("relay_records_open", "Records without a fate.", ledger.open)
        yield GaugeMetricFamily(
            "relay_records_open_bytes", "What they weigh in memory, about.", ledger.open_bytes
        )
        yield GaugeMetricFamily(
            "relay_ledger_balanced",
            "1 while taken = settled + returned + open.",
            int(ledger.balanced),
        )

    def _sending_metrics(self) -> Iterator[Metric]:
        engine = self._engine
        attempts = CounterMetricFamily(
            "relay_attempts", "Requests that were judged.", labels=["verdict", "code"]
        )
        for (kind, code), count in engine.verdicts.items():
            attempts.add_metric([kind, code], count)
        yield attempts
        yield GaugeMetricFamily(
            "relay_requests_in_flight", "Requests under way.", engine.lanes.in_flight
        )
        yield GaugeMetricFamily(
            "relay_records_waiting", "Records that wait for their turn.", engine.lanes.waiting
        )
        yield GaugeMetricFamily(
            "relay_concurrency_limit", "Most requests under way.", engine.destination.limit.value
        )
        yield GaugeMetricFamily(
            "relay_loop_lag_seconds",
            "How late the event loop came to its last timer; heartbeats are as late.",
            self.loop_lag_s,
        )
        state = GaugeMetricFamily(
            "relay_destination_state", "1 for the state that it is in.", labels=["state"]
        )
        for known in GateState:
            state.add_metric([known], int(engine.destination.gate.state is known))
        yield state
        yield _histogram("relay_round_trip_seconds", "Request to answer.", engine.round_trips)
        yield _histogram(
            "relay_lateness_seconds", "Record's time in Kafka to delivery.", engine.lateness
        )

    def _partition_metrics(self) -> Iterator[Metric]:
        gauges = {
            "committed_offset": GaugeMetricFamily(
                "relay_committed_offset", "Next offset to read.", labels=["topic", "partition"]
            ),
            "lag": GaugeMetricFamily(
                "relay_lag", "Records not read yet.", labels=["topic", "partition"]
            ),
            "open": GaugeMetricFamily(
                "relay_partition_open", "Records without a fate.", labels=["topic", "partition"]
            ),
            "map_fill": GaugeMetricFamily(
                "relay_offset_map_fill",
                "How full the commit's metadata is, 0 to 1.",
                labels=["topic", "partition"],
            ),
            "pinned_for_s": GaugeMetricFamily(
                "relay_frontier_pinned_seconds",
                "How long the same record has held the frontier.",
                labels=["topic", "partition"],
            ),
        }
        for partition, home in sorted(self._engine.assigned.items()):
            label = [partition.topic, str(partition.number)]
            if home.last_commit is not None:
                gauges["committed_offset"].add_metric(label, home.last_commit.offset)
            if partition in self._lag:
                gauges["lag"].add_metric(label, self._lag[partition])
            gauges["open"].add_metric(label, home.frontier.open_count)
            gauges["map_fill"].add_metric(label, home.map_fill)
            pinned_s = 0.0 if home.pinned_at is None else max(0.0, self._now - home.pinned_since)
            gauges["pinned_for_s"].add_metric(label, pinned_s)
        yield from gauges.values()


@dataclass(frozen=True, slots=True)
class _Counts:
    """The counters at one moment, to be subtracted from those of a later one."""

    taken: int
    delivered: int
    dead_lettered: int
    skipped: int
    skipped_by_code: Mapping[str, int]
    requests: int
    retries: int
    round_trips: tuple[int, ...]
    lateness: tuple[int, ...]

    @classmethod
    def of(cls, engine: Engine) -> "_Counts":
        ledger = engine.ledger
        return cls(
            ledger.taken,
            ledger.delivered,
            ledger.dead_lettered.total(),
            ledger.skipped.total(),
            dict(ledger.skipped),
            engine.requests,
            engine.retries,
            tuple(engine.round_trips.counts),
            tuple(engine.lateness.counts),
        )


def _ms(seconds: float | None) -> float:
    return 0.0 if seconds is None else round(seconds * 1000, 3)


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(name, text)
    buckets: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*histogram.bounds_s, float("inf")), histogram.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), below))
    family.add_metric([], buckets=buckets, sum_value=histogram.sum_s)
    return family
