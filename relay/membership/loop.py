"""The road of membership events: the common loop with an engine of files, and who carries them.

One file at a time is uploaded, and its execution is seen through to the end.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from relay.apis.errors import ApiError, NotThere
from relay.apis.mediarithmics_document_imports import Execution
from relay.clock import Clock
from relay.disk import LocalStateError, disk_errors
from relay.errors import RelayError
from relay.membership.batches import Batch
from relay.membership.engine import MembershipEngine
from relay.membership.importer import FileRefused, Importer
from relay.membership.status import MembershipReporter
from relay.membership.verdict import read
from relay.model import Moment
from relay.road.consuming.source import RecordSource
from relay.road.loop import Road, RoadPolicy
from relay.road.settling.letter_writer import DeadLetterSink
from relay.telemetry.facts import (
    Emit,
    MembershipHeld,
    MembershipImportEnded,
    MembershipImportStarted,
    MembershipResumed,
)

ROAD = MembershipReporter.road


class _PartitionsLeft(Exception):
    """While their file was uploaded: it is not seen through."""


def membership_road(
    engine: MembershipEngine,
    source: RecordSource,
    importer: Importer,
    sink: DeadLetterSink,
    *,
    emit: Emit,
    clock: Clock,
    policy: RoadPolicy,
    reporter: MembershipReporter,
) -> Road:
    """The road of membership events, from its parts."""
    carrier = FileCarrier(engine, importer, emit, clock)
    return Road(
        ROAD, engine, carrier, source, sink,
        emit=emit, clock=clock, policy=policy, reporter=reporter,
    )  # fmt: skip


class FileCarrier:
    """Implements `relay.road.loop.Carrier` with bulk imports."""

    def __init__(
        self, engine: MembershipEngine, importer: Importer, emit: Emit, clock: Clock
    ) -> None:
        self._engine = engine
        self._importer = importer
        self._emit = emit
        self._clock = clock
        self._tell: Callable[[], None] = _nothing
        self._changed = asyncio.Event()
        self._others_may_fly = True
        self._uploading: asyncio.Timeout | None = None

    async def run(self, changed: Callable[[], None]) -> None:
        """Carry one file after the other, each seen through to its end; `Carrier.run`."""
        self._loop = asyncio.get_running_loop()
        self._tell = changed
        with disk_errors(Path(tempfile.gettempdir())):
            room = tempfile.TemporaryDirectory(prefix="relay-membership-")
        with room as directory:
            while True:
                batch = self._engine.next_batch(self._moment())
                if batch is None:
                    await self._change(until=self._engine.wakes_at())
                    continue
                try:
                    await self._carry(batch, Path(directory))
                except FileRefused as refusal:
                    self._engine.refused(batch, str(refusal), self._loop.time())
                except _PartitionsLeft:
                    self._engine.batches.give_way(batch)
                except (ApiError, LocalStateError) as error:
                    self._hold(batch, error)
                self.wake()
                self._tell()

    def wake(self) -> None:
        """Look again; `Carrier.wake`."""
        self._changed.set()

    def assigned(self, _share: float) -> None:
        """Executions of the partitions' earlier owner may be under way; `Carrier.assigned`."""
        self._others_may_fly = True

    def revoked(self) -> None:
        """End the upload: whoever has the partitions next looks for executions, not for uploads."""
        if self._uploading is not None:
            self._uploading.reschedule(self._loop.time())

    async def _carry(self, batch: Batch, directory: Path) -> None:
        while self._others_may_fly:
            self._others_may_fly = False
            try:
                await self._importer.wait_for_others()
            except ApiError:
                self._others_may_fly = True
                raise
        if batch.is_stale:  # they left while others were waited for, and may be elsewhere by now
            raise _PartitionsLeft
        began = self._loop.time()
        size = self._write(batch, directory / "commands")
        try:
            execution_id = await self._upload(directory / "commands")
        finally:
            self._remove(directory / "commands")
        self._resumed()
        self._emit(
            MembershipImportStarted(
                execution=execution_id, commands=len(batch.lines), size_bytes=size
            )
        )
        execution = await self._end_of(execution_id)
        rejections = await self._importer.rejections(execution, directory / "errors")
        trouble = self._engine.policy.trouble
        verdict = read(execution, batch.members, rejections, verify_counts=trouble.verify_counts)
        self._engine.ended(batch, verdict, self._loop.time())
        self._emit(
            MembershipImportEnded(
                execution=execution_id,
                status=execution.status,
                commands=len(batch.lines),
                rejected=execution.failed or 0,
                outcome=type(verdict).__name__.lower(),
                seconds=round(self._loop.time() - began, 3),
            )
        )

    async def _end_of(self, execution_id: str) -> Execution:
        """See an execution through, whoever is away meanwhile.

        It may be applied at any time until it ends, so nothing else is sent before.
        """
        trouble, failures = self._engine.policy.trouble, 0
        while True:
            try:
                execution = await self._importer.end(execution_id)
            except NotThere:
                raise  # with its document import: there is nothing left to wait for
            except ApiError as error:
                retry_s = min(trouble.wait_s_max, trouble.wait_s * 2.0 ** min(failures, 30))
                failures += 1
                self._engine.held(error.problem, self._loop.time())
                self._tell_hold(error, retry_s)
                await asyncio.sleep(retry_s)
            else:
                self._resumed()
                return execution

    def _write(self, batch: Batch, path: Path) -> int:
        with disk_errors(path), path.open("wb") as file:
            file.write(self._engine.header)
            file.writelines(batch.lines)
            return file.tell()

    async def _upload(self, path: Path) -> str:
        try:
            async with asyncio.timeout(None) as limit:
                self._uploading = limit
                return await self._importer.begin(path)
        except TimeoutError:  # that we gave ourselves, in `on_revoked`
            raise _PartitionsLeft from None
        finally:
            self._uploading = None

    def _remove(self, path: Path) -> None:
        with disk_errors(path):
            path.unlink(missing_ok=True)

    def _hold(self, batch: Batch, error: RelayError) -> None:
        now = self._loop.time()
        self._engine.held_up(batch, error.problem, now)
        self._tell_hold(error, max(0.0, (self._engine.wakes_at() or now) - now))

    def _tell_hold(self, error: RelayError, retry_s: float) -> None:
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

    def _moment(self) -> Moment:
        return Moment(self._loop.time(), self._clock.now_ms())


def _nothing() -> None:
    pass
