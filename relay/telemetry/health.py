"""What the admin port asks of the pipeline, and the answers it takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import Metric


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the road is open from end to end; if not, why."""

    ready: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Liveness:
    """Whether the process still makes progress; False asks the platform for a restart.

    So an API or a broker that is away is no reason: a restart would not help.
    """

    alive: bool
    reason: str


class StatusSource(Protocol):
    """Answers from memory, at once: every method is called on the event loop."""

    def readiness(self) -> Readiness:
        """For /readyz."""
        ...

    def liveness(self) -> Liveness:
        """For /livez."""
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

    def readiness(self) -> Readiness:
        """Of the first that is not ready."""
        said = self._main.readiness()
        for road in self._beside.values():
            if not said.ready:
                break
            said = road.readiness()
        return said

    def liveness(self) -> Liveness:
        """Of the first that is not alive."""
        said = self._main.liveness()
        for road in self._beside.values():
            if not said.alive:
                break
            said = road.liveness()
        return said

    def status(self) -> Mapping[str, Any]:
        """That of the main road, with each other's under its name."""
        return {**self._main.status(), **{n: road.status() for n, road in self._beside.items()}}

    def metrics(self) -> Iterable[Metric]:
        """Those of all."""
        yield from self._main.metrics()
        for road in self._beside.values():
            yield from road.metrics()
