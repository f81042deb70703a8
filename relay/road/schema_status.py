"""Partitions that wait for a schema → readiness, /status and /metrics. Pure.

the registry cannot be asked                a hold of these partitions: not ready
it does not know the schema (yet)           a wait with an end: ready
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from relay.road.custody import Custody
from relay.road.metrics import label, of_partitions


class SchemaReport:
    """The view of one road. `problem` says why the registry cannot be asked, when it cannot.

    `prefix` begins the names of its metrics.
    """

    def __init__(
        self, custody: Custody, problem: Callable[[], str | None], prefix: str = "relay"
    ) -> None:
        self._custody = custody
        self._problem = problem
        self._prefix = prefix

    def hold(self) -> tuple[str, float] | None:
        """Why partitions wait without an end, and since when (steady seconds), when some do."""
        problem, waits = self._problem(), self._custody.schemas.waiting()
        if problem is None or not waits:
            return None
        reason = f"{len(waits)} of {len(self._custody.assigned)} partitions wait: {problem}"
        return reason, min(wait.since for wait in waits)

    def holds_all(self) -> bool:
        """Whether no partition is left that does not wait."""
        waits = self._custody.schemas.waits
        return bool(waits) and waits.keys() >= self._custody.assigned.keys()

    def status(self, now: float) -> Mapping[str, Any]:
        """For /status: what is wrong with the registry, and who waits for which schema."""
        return {
            "problem": self._problem(),
            "waiting": {
                str(wait.partition): {
                    "offset": wait.offset,
                    "schema": wait.key,
                    "for_s": round(max(0.0, now - wait.since), 3),
                }
                for wait in self._custody.schemas.waiting()
            },
        }

    def metrics(self, now: float) -> Iterator[Metric]:
        """The same as gauges."""
        yield GaugeMetricFamily(
            f"{self._prefix}_schema_registry_trouble",
            "1 while the schema registry cannot be asked for a schema that is needed.",
            int(self._problem() is not None),
        )
        waiting_s = of_partitions(
            f"{self._prefix}_schema_wait_seconds",
            "How long a partition has waited for the schema of its next record.",
        )
        for wait in self._custody.schemas.waiting():
            waiting_s.add_metric(label(wait.partition), max(0.0, now - wait.since))
        yield waiting_s
