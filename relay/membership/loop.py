"""The road of membership events: the common loop with an engine of files, and who carries them.

A few files are under way side by side, each seen through to its end, never two with one member.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from relay.apis.errors import ApiError, NotThere
from relay.clock import Clock
from relay.disk import LocalStateError, disk_errors
from relay.errors import RelayError
from relay.membership.batches import Batch
from relay.membership.engine import MembershipEngine
from relay.membership.facts import (
    MembershipHeld,
    MembershipImportAdopted,
    MembershipImportEnded,
    MembershipImportStarted,
    MembershipResumed,
)
from relay.membership.importer import Importer
from relay.model import Moment
from relay.segments.driver import Trip
from relay.segments.next_step import NOT_LISTED
from relay.segments.outcome import Failed, Held, Landed, Unclear
from relay.telemetry.facts import Emit


@dataclass(slots=True)
class _Flight:
    """A file under way."""

    batch: Batch
    place: int
    began: float
    trip: Trip | None = None
    task: asyncio.Task[None] | None = None
    told: set[str] = field(default_factory=set)
    """Executions that were told of."""


class FileCarrier:
    """Implements `relay.road.loop.Carrier` with bulk imports."""

    def __init__(
        self, engine: MembershipEngine, importer: Importer, emit: Emit, clock: Clock
    ) -> None:
        self._engine = engine
        self._importer = importer
        self._emit = emit
        self._clock = clock
        self._tell: Callable[[], None] = lambda: None
        self._changed = asyncio.Event()
        self._flights: list[_Flight] = []
        self._places = list(range(engine.policy.in_flight_max))

    async def run(self, changed: Callable[[], None]) -> None:
        """Carry files side by side, each seen through to its end; `Carrier.run`."""
        self._loop = asyncio.get_running_loop()
        self._tell = changed
        with disk_errors(Path(tempfile.gettempdir())):
            room = tempfile.TemporaryDirectory(prefix="relay-membership-")
        with room as directory:
            async with asyncio.TaskGroup() as flights:
                while True:
                    await self._wait_for_others()
                    now = Moment(self._loop.time(), self._clock.now_ms())
                    batch = self._engine.next_batch(now)
                    if batch is None:
                        await self._change(until=self._engine.wakes_at())
                        continue
                    flight = _Flight(batch, self._places.pop(), self._loop.time())
                    self._flights.append(flight)
                    flight.task = flights.create_task(self._carry(flight, Path(directory)))

    def wake(self) -> None:
        """Look again; `Carrier.wake`."""
        self._changed.set()

    def assigned(self, _share: float) -> None:
        """Nothing: no rate is shared here; `Carrier.assigned`."""

    def revoked(self) -> None:
        """End uploads: whoever has the partitions next looks for executions, not for uploads."""
        for flight in self._flights:
            if flight.task is None or flight.trip is None:
                continue  # it has not started, and looks itself
            if flight.batch.is_stale and not any(a.execution_id for a in flight.trip.attempts):
                flight.task.cancel()

    async def _wait_for_others(self) -> None:
        """Nothing flies before what earlier owners of our partitions have under way has ended."""
        failures = 0
        while past := [h for h in self._engine.custody.assigned.values() if h.past_is_open]:
            try:
                await self._importer.wait_for_others()
            except ApiError as error:
                await self._pause(error, failures)
                failures += 1
            else:
                for assigned in past:
                    assigned.past_is_open = False
                self._resumed()

    async def _carry(self, flight: _Flight, directory: Path) -> None:
        batch, path = flight.batch, directory / f"commands-{flight.place}"
        try:
            await self._see_through(flight, path)
        except (ApiError, LocalStateError) as error:
            self._hold(batch, error)
        finally:
            if batch in self._engine.batches.flying:  # its partitions have left, or we stop
                self._engine.batches.put_back(batch)
            self._flights.remove(flight)
            self._places.append(flight.place)
            self._engine.custody.closes = not self._importer.has_strays
            self.wake()
            self._tell()
            with disk_errors(path):
                path.unlink(missing_ok=True)

    async def _see_through(self, flight: _Flight, path: Path) -> None:
        """Until it ends it may be applied at any time, so nothing of its members is sent before."""
        batch, failures = flight.batch, 0
        if batch.is_stale:
            return
        with disk_errors(path), path.open("wb") as file:
            file.write(self._engine.header)
            file.writelines(batch.lines)
        flight.trip = trip = self._importer.trip(flight.place, path, len(batch.lines))
        trip.keep = lambda trip: self._note(flight, trip)
        # What became of an upload without a usable answer is being looked for.
        trip.on_trouble = lambda error: self._tell_hold(error, 0.0)
        while isinstance(outcome := await self._importer.carry(flight.place, trip), Held):
            if not trip.is_out:
                self._hold(batch, outcome.error)
                return
            await self._pause(outcome.error, failures)
            failures += 1
        if isinstance(outcome, Failed) and isinstance(outcome.refused, NotThere):
            self._hold(batch, outcome.refused)
            return
        hints = await self._importer.hints(outcome, path)
        self._engine.ended(batch, outcome, hints, self._loop.time())
        if not (isinstance(outcome, Failed) and outcome.refused):
            self._tell_end(flight, outcome)

    def _note(self, flight: _Flight, trip: Trip) -> None:
        """Tell what is news about a file."""
        for attempt in trip.attempts:
            execution = attempt.execution_id
            if execution is None or execution in flight.told:
                continue
            flight.told.add(execution)
            self._resumed()
            if attempt.adopted:
                self._emit(MembershipImportAdopted(execution=execution))
            self._emit(
                MembershipImportStarted(
                    execution=execution, commands=trip.lines, size_bytes=trip.size_bytes
                )
            )

    def _tell_end(self, flight: _Flight, outcome: Landed | Unclear | Failed) -> None:
        execution = outcome.execution
        self._emit(
            MembershipImportEnded(
                execution="" if execution is None else execution.id,
                status=NOT_LISTED if execution is None else execution.status,
                commands=len(flight.batch.lines),
                rejected=0 if execution is None else execution.failed or 0,
                outcome=type(outcome).__name__.lower(),
                seconds=round(self._loop.time() - flight.began, 3),
            )
        )

    def _hold(self, batch: Batch, error: RelayError) -> None:
        now = self._loop.time()
        self._engine.batches.put_back(batch, now)
        self._tell_hold(error, max(0.0, (self._engine.wakes_at() or now) - now))

    async def _pause(self, error: RelayError, failures: int) -> None:
        retry_s = self._engine.policy.backoff_s(failures)
        self._tell_hold(error, retry_s)
        await asyncio.sleep(retry_s)

    def _tell_hold(self, error: RelayError, retry_s: float) -> None:
        self._engine.held(error.problem, self._loop.time())
        self._emit(
            MembershipHeld(
                code=type(error).__name__, reason=str(error), retry_in_s=round(retry_s, 3)
            )
        )

    def _resumed(self) -> None:
        if self._engine.held_because is not None:
            after_s = self._loop.time() - self._engine.held_since
            self._engine.held_because = None
            self._emit(MembershipResumed(after_s=round(after_s, 3)))

    async def _change(self, until: float | None = None) -> None:
        """Wait until something changes, at most until a moment."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._changed.wait()
