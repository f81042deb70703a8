"""What the metrics of all roads have in common: a ledger, and the labels of a partition. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from relay.model import Fate, Partition
from relay.road.settling.ledger import Ledger


def of_partitions(name: str, text: str) -> GaugeMetricFamily:
    """A gauge with a value for each partition, still empty."""
    return GaugeMetricFamily(name, text, labels=["topic", "partition"])


def label(partition: Partition) -> list[str]:
    """The labels of a value of `of_partitions`."""
    return [partition.topic, str(partition.number)]


def ledger_status(ledger: Ledger) -> Mapping[str, Any]:
    """A ledger for /status."""
    return {
        "taken": ledger.taken,
        "delivered": ledger.delivered,
        "dead_lettered": dict(ledger.dead_lettered),
        "skipped": dict(ledger.skipped),
        "returned": ledger.returned,
        "open": ledger.open,
        "balanced": ledger.balanced,
    }


def ledger_metrics(ledger: Ledger, name: str, what: str, taken: str) -> Iterator[Metric]:
    """A ledger as metrics, whose names begin with `name`.

    `what` is counted, as a word that begins a sentence; `taken` says what `…_taken` counts.
    """
    yield CounterMetricFamily(f"{name}_taken", taken, ledger.taken)
    settled = CounterMetricFamily(
        f"{name}_settled", f"{what} settled, by fate and code.", labels=["fate", "code"]
    )
    settled.add_metric([Fate.DELIVERED, ""], ledger.delivered)
    for fate, counts in (
        (Fate.DEAD_LETTERED, ledger.dead_lettered),
        (Fate.SKIPPED, ledger.skipped),
    ):
        for code, count in counts.items():
            settled.add_metric([fate, code], count)
    yield settled
    yield CounterMetricFamily(
        f"{name}_returned",
        f"{what} given back unsettled when their partition left.",
        ledger.returned,
    )
    yield GaugeMetricFamily(f"{name}_open", f"{what} without a fate.", ledger.open)
