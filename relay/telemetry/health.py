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


class Both:
    """Two roads of one process as one `StatusSource`: ready and alive when both are."""

    def __init__(self, main: StatusSource, beside: StatusSource, name: str) -> None:
        self._main = main
        self._beside = beside
        self._name = name

    def readiness(self) -> Readiness:
        """Of the main road, else of the one beside it."""
        said = self._main.readiness()
        return said if not said.ready else self._beside.readiness()

    def liveness(self) -> Liveness:
        """Of the main road, else of the one beside it."""
        said = self._main.liveness()
        return said if not said.alive else self._beside.liveness()

    def status(self) -> Mapping[str, Any]:
        """That of the main road, with the other's under its name."""
        return {**self._main.status(), self._name: self._beside.status()}

    def metrics(self) -> Iterable[Metric]:
        """Those of both."""
        yield from self._main.metrics()
        yield from self._beside.metrics()
