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
