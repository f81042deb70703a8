"""A road is started again when it fails, with a growing pause; its neighbours go on meanwhile.

Three cases end it for good, and with it the process:

- it was asked to stop;
- it has never run: a mistake in the settings, or a broker that was never there, is seen at once;
- a restart cannot help, says the error (`RelayError.restart_helps`).
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import Metric

from relay.backoff import RestartPolicy
from relay.errors import RelayError, trace
from relay.road.facts import RoadFailed
from relay.road.loop import Road
from relay.telemetry.facts import Emit
from relay.telemetry.health import Health


class KeptRoad:
    """Runs a road, and the next one when it fails. Implements `StatusSource` for whichever runs.

    `make` builds a road with an engine and edges of its own: nothing of a failed one is used again,
    so the next begins where the commits say.
    """

    def __init__(
        self, name: str, make: Callable[[], Road], emit: Emit, policy: RestartPolicy | None
    ) -> None:
        self.name = name
        self._make = make
        self._emit = emit
        self._policy = policy
        self._road = make()
        self._failed: str | None = None
        self._has_run = False
        self._stopping = asyncio.Event()

    def stop(self, reason: str) -> None:
        """Ask it to finish; see `Road.stop`."""
        self._stopping.set()
        if self._failed is None:
            self._road.stop(reason)

    async def run(self) -> None:
        """Until `stop`, or an error that ends it for good."""
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stopping.is_set():
            began = loop.time()
            try:
                await self._road.run()
            except Exception as error:
                self._has_run |= self._road.has_run
                policy = self._policy
                if policy is None or self._is_final(error):
                    raise
                failures = policy.failures(failures, loop.time() - began)
                wait_s = policy.wait_s(failures)
                self._tell(error, wait_s)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._stopping.wait()
                self._road, self._failed = self._make(), None
            else:
                return

    # Two policies meet here: what fails in the first minute of the first run is a mistake to be
    # seen at once, and what fails after weeks must not take its neighbours along.
    def _is_final(self, error: Exception) -> bool:
        if self._stopping.is_set() or not self._has_run:
            return True
        return isinstance(error, RelayError) and not error.restart_helps

    def _tell(self, error: Exception, wait_s: float) -> None:
        ours = isinstance(error, RelayError)
        self._failed = str(error) if ours else f"a defect of Relay ({type(error).__name__})"
        self._emit(
            RoadFailed(
                road=self.name,
                code=type(error).__name__ if ours else "defect",
                reason=self._failed,
                trace=() if ours else trace(error),
                restart_in_s=wait_s,
            )
        )

    # -- StatusSource -------------------------------------------------------------------------

    def readiness(self) -> Health:
        """Of the road that runs; not ready while none does."""
        if self._failed is not None:
            return Health(ok=False, reason=f"{self.name}: starts again: {self._failed}")
        return self._road.reporter.readiness()

    def liveness(self) -> Health:
        """Of the road that runs."""
        return self._road.reporter.liveness()

    def status(self) -> Mapping[str, Any]:
        """Of the road that runs, or ran last."""
        return {**self._road.reporter.status(), "failed": self._failed}

    def metrics(self) -> Iterable[Metric]:
        """Of the road that runs, or ran last."""
        return self._road.reporter.metrics()
