"""The state of one destination → its part of /status and /metrics."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.samples import Exemplar

from relay.road.rates import Rates
from relay.stream.sender import Sender
from relay.stream.sending.gate import GateState
from relay.stream.sending.route import Route
from relay.telemetry.histogram import Histogram

_NAME = "destination"


class DestinationReport:
    """What is told of one destination. Reads its sender, changes nothing."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self._trips, self._late = Rates(), Rates()
        self._requests = 0
        self.left_at = 0.0
        """When a request left last, as far as was looked. Steady seconds."""

    def tick(self, now: float) -> None:
        """Take note of the counters that are told as of late."""
        if self.sender.requests != self._requests:
            self._requests, self.left_at = self.sender.requests, now
        self._trips.mark(now, self.sender.round_trips.counts)
        self._late.mark(now, self.sender.lateness.counts)

    def status(self, now: float, began: float) -> Mapping[str, Any]:
        """Its part of /status; `began` is when the road did. Steady seconds."""
        sender = self.sender
        gate, limit, lanes = sender.destination.gate, sender.destination.limit, sender.lanes
        return {
            "state": str(gate.state),
            "reason": gate.reason,
            "for_s": round(now - max(gate.since, began), 3),
            "limit": limit.value,
            "limit_changed_because": limit.why,
            "in_flight": lanes.in_flight,
            "waiting": lanes.waiting,
            "resting_lanes": lanes.resting,
            "paused_lanes": lanes.paused,
            "routes": {
                str(kind): _route_status(route, now, began)
                for kind, route in sender.destination.routes.items()
            },
            "round_trip_s": _quantiles(sender.round_trips, self._trips),
            "lateness_s": _quantiles(sender.lateness, self._late),
        }


def _route_status(route: Route, now: float, began: float) -> Mapping[str, Any]:
    """A route, as far as it differs from the whole destination."""
    rate = route.rate
    return {
        "state": str(route.gate.state),
        "reason": route.gate.reason,
        "for_s": round(now - max(route.gate.since, began), 3),
        "granted_per_second": None if rate is None else round(rate, 2),
        "limits_each_user": route.limits_each_user(),
    }


def destination_metrics(senders: Iterable[Sender]) -> Iterator[Metric]:
    """What each destination has of its own, with its name as a label."""
    senders = list(senders)
    attempts = CounterMetricFamily(
        "relay_attempts", "Requests that were judged.", labels=[_NAME, "verdict", "code"]
    )
    for sender in senders:
        for (kind, code), count in sender.verdicts.items():
            attempts.add_metric([sender.name, kind, code], count)
    yield attempts
    yield from _gauges(senders)
    yield from _states(senders)
    trips = HistogramMetricFamily("relay_round_trip_seconds", "Request to answer.", labels=[_NAME])
    late = HistogramMetricFamily(
        "relay_lateness_seconds", "Record's time in Kafka to delivery.", labels=[_NAME]
    )
    for sender in senders:
        _add(trips, sender.name, sender.round_trips)
        _add(late, sender.name, sender.lateness)
    yield trips
    yield late


def _gauges(senders: Iterable[Sender]) -> Iterator[Metric]:
    texts = {
        "requests_in_flight": "Requests under way.",
        "records_waiting": "Records that wait for their turn.",
        "concurrency_limit": "Most requests under way.",
        "users_paused": "Users whose records wait because the API asked them to.",
    }
    gauges = {n: GaugeMetricFamily(f"relay_{n}", t, labels=[_NAME]) for n, t in texts.items()}
    for sender in senders:
        values = {
            "requests_in_flight": sender.lanes.in_flight,
            "records_waiting": sender.lanes.waiting,
            "concurrency_limit": sender.destination.limit.value,
            "users_paused": sender.lanes.paused,
        }
        for name, value in values.items():
            gauges[name].add_metric([sender.name], value)
    yield from gauges.values()


def _states(senders: Iterable[Sender]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "relay_destination_state", "1 for the state that it is in.", labels=[_NAME, "state"]
    )
    of_route = GaugeMetricFamily(
        "relay_route_state",
        "1 for the state that a route of the API is in by itself.",
        labels=[_NAME, "route", "state"],
    )
    granted = GaugeMetricFamily(
        "relay_route_granted_per_second",
        "Requests a second that a limiter was found to grant; 0: none was met.",
        labels=[_NAME, "route"],
    )
    for sender in senders:
        for known in GateState:
            is_it = sender.destination.gate.state is known
            state.add_metric([sender.name, known], int(is_it))
        for kind, route in sender.destination.routes.items():
            for known in GateState:
                is_it = route.gate.state is known
                of_route.add_metric([sender.name, kind, known], int(is_it))
            granted.add_metric([sender.name, kind], route.rate or 0.0)
    yield state
    yield of_route
    yield granted


def _quantiles(histogram: Histogram, marks: Rates) -> Mapping[str, float | None]:
    """Of the last ten seconds; None when there was none."""
    since = marks.since()
    found = {"p50": histogram.quantile(0.5, since), "p99": histogram.quantile(0.99, since)}
    return {name: None if value is None else round(value, 4) for name, value in found.items()}


def _add(family: HistogramMetricFamily, name: str, histogram: Histogram) -> None:
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
    family.add_metric([name], buckets=buckets, sum_value=histogram.sum_s)
