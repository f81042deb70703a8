"""The engine's state → the stream's part of health, /status, /metrics and the interval's line.

What every road has is in `relay.road.status`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from relay.model import Partition
from relay.road.consuming.source import SourceState
from relay.road.facts import Lifecycle
from relay.road.metrics import ledger_metrics, ledger_status
from relay.road.settling.assigned import Assigned
from relay.road.status import Hold, ReportPolicy, RoadReporter
from relay.stream.destination_status import DestinationReport, destination_metrics
from relay.stream.engine import Engine
from relay.stream.facts import RecordsSkipped, ShadowDiffers, StreamProgress
from relay.stream.mapping.codes import MappingCode
from relay.stream.sender import Sender
from relay.stream.sending.gate import GateState
from relay.stream.sending.lanes import Waiting
from relay.telemetry.facts import Emit
from relay.telemetry.health import Health
from relay.telemetry.histogram import together


class Shadowed(Protocol):
    """What a second mapping of a source has seen (`relay.sources.shadow`)."""

    source: str
    """The topics."""
    documents: int
    """Documents that both mappings have mapped."""
    differing: int
    """Of these, those of which they made different things."""
    differences: Counter[str]
    """What differs, and of how many documents."""


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
        super().__init__(engine.custody, emit, policy, registry_problem)
        self._engine = engine
        self._shadows = shadows
        self._differing = [shadow.differing for shadow in shadows]
        self._lagging_since: dict[Partition, float] = {}
        self._settled = -1
        self._settled_at = 0.0
        self._before = _Counts.of(engine)
        self._known: dict[str, DestinationReport] = {}
        self._pins: Mapping[Assigned, Pin] = {}

    def tick(
        self, now: float, paused: int, source: SourceState, ends: Mapping[Partition, int]
    ) -> None:
        """See `RoadReporter.tick`."""
        super().tick(now, paused, source, ends)
        for report in self._reports.values():
            report.tick(now)
        self._lagging_since = {
            partition: self._lagging_since.get(partition, now)
            for partition, behind in self._lag.items()
            if behind > 0
            and partition not in self._custody.schemas.waits
            and partition not in source.not_begun
        }
        by_event = self._custody.by_event
        settled = by_event.taken - by_event.open
        if settled != self._settled:
            self._settled, self._settled_at = settled, now

    @property
    def _reports(self) -> Mapping[str, DestinationReport]:
        """Those of all destinations; further ones may have come (`Engine.add`)."""
        for name, sender in self._engine.senders.items():
            if name not in self._known:
                self._known[name] = DestinationReport(sender)
        return self._known

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
        senders = engine.senders.values()
        trips = together([sender.round_trips for sender in senders])
        late = together([sender.lateness for sender in senders])
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
                in_flight=sum(sender.lanes.in_flight for sender in senders),
                waiting=sum(sender.lanes.waiting for sender in senders),
                limit=sum(sender.destination.limit.value for sender in senders),
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
        """Nothing may be sent when every destination is closed."""
        closed = self._closed()
        # One that flows is enough for the road to go on; which are closed is told beside
        # (`_partial_holds`).
        if len(closed) < len(self._engine.senders):
            return None
        if len(closed) == 1:
            return closed[0]
        reason = "; ".join(f"{hold.destination}: {hold.reason}" for hold in closed)
        return Hold(closed[0].code, reason, max(hold.since for hold in closed))

    def _partial_holds(self) -> Sequence[Hold]:
        return self._closed() if len(self._engine.senders) > 1 else ()

    def _closed(self) -> list[Hold]:
        holds = []
        for name, sender in self._engine.senders.items():
            gate = sender.destination.gate
            if gate.state in (GateState.HELD, GateState.DOWN):
                holds.append(Hold(str(gate.state), gate.reason, gate.since, name))
        return holds

    def readiness(self) -> Health:
        """Ready while one destination takes records; those that do not are named."""
        ready = super().readiness()
        partial = self._partial_holds()
        if not ready.ok or not partial:
            return ready
        told = "; ".join(f"{hold.destination} is {hold.code}: {hold.reason}" for hold in partial)
        return Health(ok=True, reason=f"{ready.reason}, but {told}")

    def liveness(self) -> Health:
        """Not alive when records wait, nothing holds them up, and still none gets through."""
        # Some partitions that wait for a schema do not excuse the others.
        held = self._everything_held() or self._source.readiness() is not None
        if held or self.lifecycle is not Lifecycle.RUNNING:
            return Health(ok=True, reason="nothing may move now")
        self._pins = self._find_pins()
        for assigned in self._custody.assigned.values():
            still_s = self._stands_still_s(assigned)
            if still_s >= self._policy.stuck_after_s:
                reason = f"{assigned.partition} has not moved for {still_s:.0f} s"
                return Health(ok=False, reason=reason)
        return Health(ok=True, reason="progress")

    def _everything_held(self) -> bool:
        if self._custody.letters_blocked is not None or self._destination_hold() is not None:
            return True
        return self._schemas.holds_all()

    # Which of these a partition is, and since when it stands still:
    #
    #     nothing is open, it waits for a schema     it does not: the schema's wait is told
    #                                                elsewhere
    #     nothing is open, and records are behind    since they are, or since anything was settled
    #     its pin is with nobody (a letter, say)     since it is the pin
    #     its pin failed, or is held up              it does not: retries and pauses are excuses
    #     its pin's turn has not come yet            since it is the pin, or anything moved
    #     its turn has long been due                 since it is the pin, whatever else moves
    #
    # The last is what would be a defect of ours: liveness fails, and the platform starts us anew.
    def _stands_still_s(self, assigned: Assigned) -> float:
        """For how long a partition has stood still without an excuse.

        A record that is tried again and again is an excuse. So is a turn that has not come yet:
        lanes take turns, so after twice as many requests as there were lanes it must have come,
        and as often again for each further event of the same record.
        """
        if not assigned.frontier.open_count:
            if self._custody.is_full:  # of what fills it, whoever stands still is found
                return 0.0
            # Not among these: what is all read, and what waits for a schema or to be begun.
            since = self._lagging_since.get(assigned.partition, self._now)
            return self._now - max(since, self._settled_at)
        pin = self._pins.get(assigned)
        if pin is None:
            return self._now - assigned.pinned_since
        sender, waiting = pin
        if waiting.last_code or _is_held_up(sender, waiting):
            return 0.0
        requests, lanes = assigned.when_pinned.get(sender.name, (0, 0))
        turns = sender.requests - requests
        events = 1 if waiting.part is None else waiting.part.join.total
        if turns <= 2 * lanes * events:
            return self._now - max(assigned.pinned_since, self._moved_at(sender))
        return self._now - assigned.pinned_since

    def _moved_at(self, sender: Sender) -> float:
        """When something moved last: a fate; of several destinations a request to this one."""
        if len(self._reports) == 1:
            return self._settled_at
        return self._reports[sender.name].left_at

    # -- /status ------------------------------------------------------------------------------

    def status(self) -> Mapping[str, Any]:
        """See `RoadReporter.status`."""
        self._pins = self._find_pins()
        return super().status()

    def _destination_status(self) -> Mapping[str, Any]:
        """With one destination it is told as `destination`, with several by their names."""
        told = {name: self._status_of(name) for name in self._reports}
        return {
            "events": ledger_status(self._custody.by_event),
            **({"destinations": told} if len(told) > 1 else {"destination": told.popitem()[1]}),
        }

    def _status_of(self, name: str) -> Mapping[str, Any]:
        status = self._reports[name].status(self._now, self._began)
        if len(self._reports) == 1:
            return status
        pinned = sum(sender.name == name for sender, _ in self._pins.values())
        used_up = self._engine.has_used_up_its_share(name)
        return {**status, "pinned_partitions": pinned, "share_used_up": used_up}

    def _pin_status(self, assigned: Assigned) -> Mapping[str, Any]:
        pin = self._pins.get(assigned)
        if pin is None:
            return {}
        sender, waiting = pin
        told = {"attempts": waiting.attempts, "last_verdict": waiting.last_code or None}
        return {**told, "destination": sender.name} if len(self._reports) > 1 else told

    def _find_pins(self) -> Mapping[Assigned, "Pin"]:
        """The records that pin the frontiers, as far as they are on their way."""
        offsets = {
            assigned: assigned.frontier.lowest_open for assigned in self._custody.assigned.values()
        }
        found: dict[Assigned, Pin] = {}
        for sender in self._engine.senders.values():
            for some in (sender.lanes.queued(), sender.lanes.flying()):
                for waiting in some:
                    assigned = waiting.assigned
                    if (
                        assigned not in found
                        and offsets.get(assigned) == waiting.parcel.record.offset
                    ):
                        found[assigned] = sender, waiting
        return found

    # -- /metrics -----------------------------------------------------------------------------

    def _destination_metrics(self) -> Iterator[Metric]:
        # Beside that of records: a record counted as dead-lettered may have delivered events.
        taken = "Events of the records read; most records are one."
        yield from ledger_metrics(self._custody.by_event, "relay_events", "Events", taken)
        yield from self._shadow_metrics()
        notes = CounterMetricFamily(
            "relay_mapping_notes", "Events sent with a field left out or changed.", labels=["code"]
        )
        counts = sum((sender.notes for sender in self._engine.senders.values()), Counter[str]())
        for code, count in counts.items():
            notes.add_metric([code], count)
        yield notes
        yield GaugeMetricFamily(
            "relay_loop_lag_seconds",
            "How late the event loop came to its last timer; heartbeats are as late.",
            self.loop_lag_s,
        )
        yield from destination_metrics(self._engine.senders.values())
        yield from self._share_metrics()

    def _share_metrics(self) -> Iterator[Metric]:
        pinned = GaugeMetricFamily(
            "relay_pinned_partitions",
            "Partitions whose commit waits for a record of this destination.",
            labels=["destination"],
        )
        used_up = GaugeMetricFamily(
            "relay_memory_share_used_up",
            "1 while a destination has used up its share of the memory budget: the partitions that "
            "carry its records pause.",
            labels=["destination"],
        )
        of = Counter(sender.name for sender, _ in self._find_pins().values())
        for name in self._reports:
            pinned.add_metric([name], of[name])
            used_up.add_metric([name], int(self._engine.has_used_up_its_share(name)))
        yield pinned
        yield used_up

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
        ledger, senders = engine.custody.ledger, engine.senders.values()
        return cls(
            ledger.taken,
            ledger.delivered,
            ledger.dead_lettered.total(),
            ledger.skipped.total(),
            dict(ledger.skipped),
            sum(sender.requests for sender in senders),
            sum(sender.retries for sender in senders),
            tuple(together([sender.round_trips for sender in senders]).counts),
            tuple(together([sender.lateness for sender in senders]).counts),
        )


Pin: TypeAlias = tuple[Sender, Waiting]
"""The record that pins a frontier, and the sender that holds it."""


def _is_held_up(sender: Sender, pin: Waiting) -> bool:
    """Whether its destination or route is closed, or the API asked its user to wait."""
    destination = sender.destination
    route = destination.routes[pin.route]
    return (
        destination.gate.is_closed
        or route.gate.state is not GateState.FLOWING
        or sender.lanes.is_paused(pin.lane)
    )


def _ms(seconds: float | None) -> float:
    return 0.0 if seconds is None else round(seconds * 1000, 3)
