"""What is wrong between a road and its Kafka → readiness, /status, /metrics and lines. Pure.

Fed once a second or so with the source's state. The road's reporter passes on what it says.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from relay.model import Partition
from relay.road.consuming.facts import RecordsHeldBack, RecordsReleased
from relay.road.consuming.source import SourceState, SourceTrouble
from relay.road.metrics import label, of_partitions
from relay.telemetry.facts import Emit

HANGS_AFTER_S = 60.0
"""Kafka's producers end a transaction within a minute, unless they are told otherwise."""
SAY_AGAIN_S = 600.0
_NAMED_MAX = 10


class SourceReport:
    """The view of one road's source. `prefix` begins the names of its metrics."""

    def __init__(self, emit: Emit, prefix: str = "relay") -> None:
        self._emit = emit
        self._prefix = prefix
        self._now = 0.0
        self._state = SourceState()
        self._hanging: frozenset[Partition] = frozenset()
        self._found_at = 0.0
        self._said_at = 0.0

    def tick(self, now: float, state: SourceState) -> None:
        """Take note of the source's state at `now` (steady seconds); write the lines due."""
        self._now, self._state = now, state
        # Told are: the first partition that hangs, one that begins to while others do, a reminder,
        # and the end of the last. In between nothing.
        hanging = frozenset(
            partition
            for partition, since in state.held_since.items()
            if now - since >= HANGS_AFTER_S
        )
        before, self._hanging = self._hanging, hanging
        if before and not hanging:
            self._emit(RecordsReleased(after_s=now - self._found_at))
        if not before:
            self._found_at = now
        if hanging - before or (hanging and now - self._said_at >= SAY_AGAIN_S):
            self._said_at = now
            self._emit(
                RecordsHeldBack(
                    partitions=tuple(str(partition) for partition in sorted(hanging)[:_NAMED_MAX]),
                    records=sum(state.held_back.get(partition, 0) for partition in hanging),
                    for_s=max(now - state.held_since[partition] for partition in hanging),
                )
            )

    def readiness(self) -> str | None:
        """Why the road is not ready; None when its source is no reason."""
        state = self._state
        return None if state.trouble is None else f"kafka {state.trouble}: {state.reason}"

    def status(self) -> Mapping[str, Any]:
        """For /status: the trouble, and what open transactions hold back."""
        state = self._state
        return {
            "trouble": state.trouble and str(state.trouble),
            "reason": state.reason or None,
            "for_s": None if state.trouble is None else round(self._now - state.since, 3),
            "held_back": {
                str(partition): {"records": count, "for_s": round(self._held_s(partition), 3)}
                for partition, count in sorted(state.held_back.items())
            },
        }

    def metrics(self) -> Iterator[Metric]:
        """The same as gauges."""
        trouble = GaugeMetricFamily(
            f"{self._prefix}_kafka_trouble",
            "1 for what is wrong with Kafka now; all 0 while nothing is.",
            labels=["trouble"],
        )
        for known in SourceTrouble:
            trouble.add_metric([known], int(self._state.trouble is known))
        yield trouble
        held = of_partitions(
            f"{self._prefix}_records_held_back",
            "Records behind a producer's open transaction; nobody can read them.",
        )
        held_s = of_partitions(
            f"{self._prefix}_held_back_seconds", "How long none of them became readable."
        )
        for partition, count in sorted(self._state.held_back.items()):
            held.add_metric(label(partition), count)
            held_s.add_metric(label(partition), self._held_s(partition))
        yield held
        yield held_s

    def _held_s(self, partition: Partition) -> float:
        return max(0.0, self._now - self._state.held_since.get(partition, self._now))
