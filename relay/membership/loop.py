"""The loop of the road: records from the source → engine → files → executions → commits.

The engine holds all state and decides; this file waits. Its tasks are the intake, which goes on
while an import runs, the carrier of files, the writer of dead letters and the committer.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Collection
from pathlib import Path

from relay.apis.errors import ApiError, NotThere
from relay.apis.mediarithmics_document_imports import Execution
from relay.clock import Clock
from relay.disk import LocalStateError, disk_errors
from relay.errors import KafkaError, RelayError, sole
from relay.membership.batches import Batch
from relay.membership.engine import MembershipEngine
from relay.membership.importer import FileRefused, Importer
from relay.membership.policy import LoopPolicy
from relay.membership.status import MembershipReporter
from relay.membership.verdict import read
from relay.model import Moment, Partition, Record
from relay.road.consuming.source import CommitRefused, RecordSource
from relay.road.settling.assigned import lags
from relay.road.settling.letter_writer import Graves, LetterWriter
from relay.telemetry.facts import (
    CommitFailed,
    Emit,
    Lifecycle,
    MembershipHeld,
    MembershipImportEnded,
    MembershipImportStarted,
    MembershipPartitions,
    MembershipResumed,
    MembershipStarted,
)


class _PartitionsLeft(Exception):
    """While their file was uploaded: it is not seen through."""


class MembershipLoop:
    """Runs once: `run` returns when what flew at `stop` has landed, or its time is over."""

    def __init__(
        self,
        engine: MembershipEngine,
        source: RecordSource,
        importer: Importer,
        graves: Graves,
        *,
        emit: Emit,
        clock: Clock,
        policy: LoopPolicy,
        reporter: MembershipReporter,
        started: MembershipStarted | None = None,
    ) -> None:
        self._engine = engine
        self._source = source
        self._importer = importer
        self._graves = graves
        self._emit = emit
        self._clock = clock
        self._policy = policy
        self._reporter = reporter
        self._started = started
        self._paused: set[Partition] = set()
        self._changed = asyncio.Event()
        self._letters = LetterWriter(engine, graves, emit, self._wake)
        self._stopping = asyncio.Event()
        self._commit_lock = asyncio.Lock()
        self._others_may_fly = True
        self._uploading: asyncio.Timeout | None = None
        self._running = False
        self._starting: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ask it to finish: nothing new is read or sent, what flies may land."""
        self._engine.stop()
        self._stopping.set()
        if self._starting is not None:
            self._starting.cancel()
        self._wake()

    async def run(self) -> None:
        """Move membership events until `stop`.

        Raises:
            KafkaError: The source cannot go on.
        """
        self._loop = asyncio.get_running_loop()
        if self._started is not None:
            self._emit(self._started)
        self._starting = asyncio.current_task()
        try:
            await self._graves.start()
            await self._source.start(self)
            self._starting = None
            self._running = True
            self._reporter.lifecycle = Lifecycle.RUNNING
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(self._carry_on(), name="files"),
                    tasks.create_task(self._letters.run(), name="membership-letters"),
                    tasks.create_task(self._keep_committing(), name="membership-commits"),
                ]
                await self._take_in()
                self._reporter.lifecycle = Lifecycle.DRAINING
                await self._land(self._policy.drain_deadline_s, list(self._engine.assigned))
                await self._commit()
                for task in background:
                    task.cancel()
        except asyncio.CancelledError:
            if self._starting is None or not self._stopping.is_set():
                raise
            self._starting.uncancel()  # by `stop`: there is nothing to land yet
        except BaseExceptionGroup as group:
            raise sole(group) from None
        finally:
            self._running = False
            self._engine.stop()
            await self._source.stop()
            await self._graves.stop()
            self._reporter.lifecycle = Lifecycle.STOPPED

    # -- partitions come and go (called by the source) ----------------------------------------

    async def on_assigned(self, partitions: Collection[Partition], epoch: int) -> None:
        """Begin where the commits say; wait for what an earlier owner has under way."""
        commits = await self._source.committed(partitions)
        self._engine.assign(commits, epoch, self._loop.time())
        self._paused -= set(partitions)
        self._others_may_fly = True
        self._emit(MembershipPartitions(partitions=len(partitions), epoch=epoch))
        self._wake()

    async def on_revoked(self, partitions: Collection[Partition]) -> None:
        """Let land what flies, commit what is settled, forget the rest."""
        self._engine.leave(partitions)
        self._wake()
        if self._running:
            await self._land(self._policy.revoke_budget_s, partitions)
        await self._commit()
        self._engine.drop(partitions)
        if self._uploading is not None:
            # Whoever owns the partitions next looks for executions, not for uploads.
            self._uploading.reschedule(self._loop.time())
        self._paused -= set(partitions)
        self._wake()

    async def _land(self, budget_s: float, partitions: Collection[Partition]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(budget_s):
                while self._engine.busy(partitions):
                    await self._change()

    # -- records in ---------------------------------------------------------------------------

    async def _take_in(self) -> None:
        while not self._stopping.is_set():
            self._apply_pauses()
            records = await self._source.poll(self._engine.room(), self._policy.poll_timeout_s)
            await self._admit(records)

    async def _admit(self, records: Collection[Record]) -> None:
        slice_ends = self._loop.time() + self._policy.slice_s
        for record in records:
            if self._loop.time() >= slice_ends:
                await asyncio.sleep(0)
                slice_ends = self._loop.time() + self._policy.slice_s
            self._engine.admit(record, self._moment())
        if records:
            self._wake()

    def _apply_pauses(self) -> None:
        wanted = self._engine.paused()
        if pause := wanted - self._paused:
            self._source.pause(pause)
            self._wake()  # when nothing more can come, what is there need not wait
        if resume := (self._paused - wanted) & self._engine.assigned.keys():
            self._source.resume(resume)
        self._paused = wanted

    # -- files out ----------------------------------------------------------------------------

    async def _carry_on(self) -> None:
        """One file after the other, each seen through to its end."""
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
                self._wake()

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

    # -- commits --------------------------------------------------------------------------

    async def _keep_committing(self) -> None:
        while True:
            await asyncio.sleep(self._policy.commit_every_s)
            await self._commit()
            self._reporter.tick(self._loop.time(), lags(self._engine.assigned, self._source.ends()))
            self._wake()

    async def _commit(self) -> None:
        async with self._commit_lock:
            commits = self._engine.commits()
            if not commits:
                return
            try:
                await self._source.commit(commits)
            except (CommitRefused, KafkaError) as error:
                self._emit(CommitFailed(code=type(error).__name__, reason=str(error)))
                return
            self._engine.committed(commits)

    # -- small things -------------------------------------------------------------------------

    def _wake(self) -> None:
        """Something has changed: let everybody look who waits for it."""
        for fact in self._engine.facts:
            self._emit(fact)
        self._engine.facts.clear()
        if self._engine.letters:
            self._letters.due.set()
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self, until: float | None = None) -> None:
        """Wait until something changes, at most until a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._changed.wait()

    def _moment(self) -> Moment:
        return Moment(self._loop.time(), self._clock.now_ms())
