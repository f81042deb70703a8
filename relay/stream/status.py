"""The engine's state → the stream's part of health, /status, /metrics and the interval's line.

What every road has is in `relay.road.status`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.samples import Exemplar

from relay.model import Fate, Partition
from relay.road.consuming.source import SourceState
from relay.road.rates import Rates
from relay.road.settling.assigned import Assigned
from relay.road.status import Hold, ReportPolicy, RoadReporter
from relay.stream.engine import Engine
from relay.stream.mapping.codes import MappingCode
from relay.stream.schema_status import SchemaReport
from relay.stream.sending.gate import GateState
from relay.stream.sending.lanes import Waiting
from relay.telemetry.facts import Emit, Lifecycle, RecordsSkipped, ShadowDiffers, StreamProgress
from relay.telemetry.health import Liveness
from relay.telemetry.histogram import Histogram


class Shadowed(Protocol):
    """What a second mapping of a source has seen (`relay.sources.shadow`)."""

    @property
    def source(self) -> str:
        """The topics."""
        ...

    @property
    def documents(self) -> int:
        """Documents that both mappings have mapped."""
        ...

    @property
    def differing(self) -> int:
        """Of these, those of which they made different things."""
        ...

    @property
    def differences(self) -> Mapping[str, int]:
        """What differs, and of how many documents."""
        ...


class Reporter(RoadReporter):
    """The stream's reporter."""

    road: ClassVar[str] = "stream"

    def __init__(
        self,
        engine: Engine,
        emit: Emit,
        policy: ReportPolicy,
        *,
        shadows: Sequence[Shadowed] = (),
        registry_problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`registry_problem` says why the schema registry cannot be asked, when it cannot."""
        super().__init__(engine.custody, emit, policy)
        self._engine = engine
        self._shadows = shadows
        self._differing = [shadow.differing for shadow in shadows]
        self._schemas = SchemaReport(engine.custody, registry_problem)
        self._lagging_since: dict[Partition, float] = {}
        self._settled = -1
        self._settled_at = 0.0
        self._before = _Counts.of(engine)
        self._trips, self._late = Rates(), Rates()

    def tick(
        self, now: float, paused: int, source: SourceState, ends: Mapping[Partition, int]
    ) -> None:
        """See `RoadReporter.tick`."""
        super().tick(now, paused, source, ends)
        self._trips.mark(now, self._engine.round_trips.counts)
        self._late.mark(now, self._engine.lateness.counts)
        self._lagging_since = {
            partition: self._lagging_since.get(partition, now)
            for partition, behind in self._lag.items()
            if behind > 0 and partition not in self._custody.schemas.waits
        }
        by_event = self._custody.by_event
        settled = by_event.taken - by_event.open
        if settled != self._settled:
            self._settled, self._settled_at = settled, now

    def _line(self, seconds: float) -> None:
        self._shadow_lines()
        engine = self._engine
        counts, before = _Counts.of(engine), self._before
        if counts == before and not self._custody.ledger.open:
            return
        self._before = counts
        for code, count in counts.skipped_by_code.items():
            more = count - before.skipped_by_code.get(code, 0)
            if more and code != MappingCode.SEGMENT_IMPORTED:
                self._emit(RecordsSkipped(code=code, count=more))
        trips, late = engine.round_trips, engine.lateness
        self._emit(
            StreamProgress(
                seconds=seconds,
                received=counts.taken - before.taken,
                delivered=counts.delivered - before.delivered,
                dead_lettered=counts.dead_lettered - before.dead_lettered,
                skipped=counts.skipped - before.skipped,
                requests=counts.requests - before.requests,
                retries=counts.retries - before.retries,
                partitions=len(self._custody.assigned),
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

    def _shadow_lines(self) -> None:
        """One for each source whose two mappings made different things since the last."""
        for at, shadow in enumerate(self._shadows):
            more = shadow.differing - self._differing[at]
            self._differing[at] = shadow.differing
            if more:
                fields = [f"{name} {count}" for name, count in sorted(shadow.differences.items())]
                self._emit(
                    ShadowDiffers(
                        source=shadow.source,
                        differing=more,
                        documents=shadow.documents,
                        fields=", ".join(fields),
                    )
                )

    # -- health -------------------------------------------------------------------------------

    def _destination_hold(self) -> Hold | None:
        return self._gate_hold() or self._schemas.hold()

    def _gate_hold(self) -> Hold | None:
        gate = self._engine.destination.gate
        if gate.state in (GateState.HELD, GateState.DOWN):
            return Hold(str(gate.state), gate.reason, gate.since)
        return None

    def liveness(self) -> Liveness:
        """Not alive when records wait, nothing holds them up, and still none gets through."""
        # Some partitions that wait for a schema do not excuse the others.
        held = self._everything_held() or self._source.readiness() is not None
        if held or self.lifecycle is not Lifecycle.RUNNING:
            return Liveness(alive=True, reason="nothing may move now")
        for home in self._custody.assigned.values():
            still_s = self._stands_still_s(home)
            if still_s >= self._policy.stuck_after_s:
                reason = f"{home.partition} has not moved for {still_s:.0f} s"
                return Liveness(alive=False, reason=reason)
        return Liveness(alive=True, reason="progress")

    def _everything_held(self) -> bool:
        if self._custody.letters_blocked is not None or self._gate_hold() is not None:
            return True
        return self._schemas.holds_all()

    def _stands_still_s(self, home: Assigned) -> float:
        """For how long a partition has stood still without an excuse.

        A record that is tried again and again is an excuse. So is a turn that has not come yet:
        lanes take turns, so after twice as many requests as there were lanes it must have come,
        and as often again for each further event of the same record.
        """
        if not home.frontier.open_count:
            if home.partition in self._custody.schemas.waits:
                return 0.0
            since = self._lagging_since.get(home.partition, self._now)
            return self._now - max(since, self._settled_at)
        pin = self._pin(home)
        if pin is not None and pin.last_code:
            return 0.0
        turns = self._engine.requests - home.requests_when_pinned
        events = 1 if pin is None or pin.part is None else pin.part.join.total
        if pin is not None and turns <= 2 * home.lanes_when_pinned * events:
            return self._now - max(home.pinned_since, self._settled_at)
        return self._now - home.pinned_since

    def _destination_status(self) -> Mapping[str, Any]:
        engine, events = self._engine, self._custody.by_event
        gate, limit = engine.destination.gate, engine.destination.limit
        return {
            "events": {
                "taken": events.taken,
                "delivered": events.delivered,
                "dead_lettered": dict(events.dead_lettered),
                "skipped": dict(events.skipped),
                "returned": events.returned,
                "open": events.open,
                "balanced": events.balanced,
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
                "round_trip_s": _quantiles(engine.round_trips, self._trips),
                "lateness_s": _quantiles(engine.lateness, self._late),
            },
            "schema_registry": self._schemas.status(self._now),
        }

    def _pin_status(self, home: Assigned) -> Mapping[str, Any]:
        waiting = self._pin(home)
        if waiting is None:
            return {}
        return {"attempts": waiting.attempts, "last_verdict": waiting.last_code or None}

    def _pin(self, home: Assigned) -> Waiting | None:
        """What is known of the record that pins the frontier, when it is on its way."""
        offset = home.frontier.lowest_open
        lanes = self._engine.lanes
        for candidates in (lanes.flying(), lanes.queued()):
            for waiting in candidates:
                if waiting.home is home and waiting.parcel.record.offset == offset:
                    return waiting
        return None

    # -- /metrics -----------------------------------------------------------------------------

    def _destination_metrics(self) -> Iterator[Metric]:
        engine = self._engine
        yield from self._event_metrics()
        yield from self._shadow_metrics()
        notes = CounterMetricFamily(
            "relay_mapping_notes", "Events sent with less or other than they said.", labels=["code"]
        )
        for code, count in engine.notes.items():
            notes.add_metric([code], count)
        yield notes
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
        yield from self._schemas.metrics(self._now)
        yield _histogram("relay_round_trip_seconds", "Request to answer.", engine.round_trips)
        yield _histogram(
            "relay_lateness_seconds", "Record's time in Kafka to delivery.", engine.lateness
        )

    def _event_metrics(self) -> Iterator[Metric]:
        """The ledger by event: a record counted as dead-lettered may have delivered events."""
        events = self._custody.by_event
        taken = CounterMetricFamily(
            "relay_events_taken", "Events of the records read; most records are one."
        )
        taken.add_metric([], events.taken)
        yield taken
        settled = CounterMetricFamily(
            "relay_events_settled", "Events that met their fate.", labels=["fate", "code"]
        )
        settled.add_metric([Fate.DELIVERED, ""], events.delivered)
        for fate, counts in (
            (Fate.DEAD_LETTERED, events.dead_lettered),
            (Fate.SKIPPED, events.skipped),
        ):
            for code, count in counts.items():
                settled.add_metric([fate, code], count)
        yield settled
        returned = CounterMetricFamily(
            "relay_events_returned", "Events given back unsettled when their partition left."
        )
        returned.add_metric([], events.returned)
        yield returned
        yield GaugeMetricFamily("relay_events_open", "Events without a fate.", events.open)

    def _shadow_metrics(self) -> Iterator[Metric]:
        seen = CounterMetricFamily(
            "relay_shadow_documents",
            "Documents that the second mapping of a source has mapped, too.",
            labels=["source"],
        )
        differences = CounterMetricFamily(
            "relay_shadow_differences",
            "Of these, those of which it made something else, by field of the event; `fate`: it "
            "ends otherwise; `raised`: it failed.",
            labels=["source", "field"],
        )
        for shadow in self._shadows:
            seen.add_metric([shadow.source], shadow.documents)
            for name, count in shadow.differences.items():
                differences.add_metric([shadow.source, name], count)
        yield seen
        yield differences


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
        ledger = engine.custody.ledger
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


def _quantiles(histogram: Histogram, marks: Rates) -> Mapping[str, float | None]:
    """Of the last ten seconds; None when there was none."""
    since = marks.since()
    found = {"p50": histogram.quantile(0.5, since), "p99": histogram.quantile(0.99, since)}
    return {name: None if value is None else round(value, 4) for name, value in found.items()}


def _ms(seconds: float | None) -> float:
    return 0.0 if seconds is None else round(seconds * 1000, 3)


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(name, text)
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    below = 0
    bounds = (*histogram.bounds_s, float("inf"))
    for index, (bound, count) in enumerate(zip(bounds, histogram.counts, strict=True)):
        below += count
        name_of = "+Inf" if bound == float("inf") else str(bound)
        found = histogram.examples.get(index)
        if found is None:
            buckets.append((name_of, below))
        else:
            trace_id, seconds, at_s = found
            example = Exemplar({"trace_id": trace_id}, seconds, at_s)
            buckets.append((name_of, below, example))
    family.add_metric([], buckets=buckets, sum_value=histogram.sum_s)
    return family
