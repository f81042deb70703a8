"""What the admin port asks of the pipeline, and the answers it takes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import Metric


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to a probe, and the reason for it."""

    ok: bool
    reason: str


class StatusSource(Protocol):
    """Answers from memory, at once: every method is called on the event loop."""

    def readiness(self) -> Health:
        """For /readyz: whether the road is open from end to end."""
        ...

    def liveness(self) -> Health:
        """For /livez: whether the process still makes progress; if not, it is to be restarted.

        So an API or a broker that is away is no reason: a restart would not help.
        """
        ...

    def status(self) -> Mapping[str, Any]:
        """For /status: JSON values, no personal data."""
        ...

    def metrics(self) -> Iterable[Metric]:
        """For /metrics: a snapshot of everything that has a value now."""
        ...


class Roads:
    """The roads of one process as one `StatusSource`: ready and alive when all are."""

    def __init__(self, main: StatusSource, beside: Mapping[str, StatusSource]) -> None:
        self._main = main
        self._beside = beside

    def readiness(self) -> Health:
        """Of the first that is not ready."""
        return _worst(road.readiness() for road in self._all())

    def liveness(self) -> Health:
        """Of the first that is not alive."""
        return _worst(road.liveness() for road in self._all())

    def status(self) -> Mapping[str, Any]:
        """That of the main road, with each other's under its name."""
        return {**self._main.status(), **{n: road.status() for n, road in self._beside.items()}}

    def metrics(self) -> Iterable[Metric]:
        """Those of all."""
        for road in self._all():
            yield from road.metrics()

    def _all(self) -> Iterator[StatusSource]:
        yield self._main
        yield from self._beside.values()


def _worst(told: Iterable[Health]) -> Health:
    """The first that is not ok; the last where all are."""
    health = Health(ok=True, reason="")
    for health in told:
        if not health.ok:
            break
    return health
