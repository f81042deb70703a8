"""The loop of every road: records from the source → engine; dead letters and commits back.

The engine and its custody hold all state and decide; this file waits. Beside it, a carrier moves
what the engine lets go: requests, or files. None of the tasks changes anything but through one
synchronous call of the engine between two awaits.

A stop has one deadline. Until shortly before it what is under way may end; then what is settled is
committed and the group is left, and when the deadline comes, whatever still waits is given up.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from typing import ClassVar, Protocol

from pydantic import Field

from relay.clock import Clock
from relay.errors import CommitIncomplete, DrainIncomplete, KafkaError, sole
from relay.model import Moment, Partition, Record
from relay.road.consuming.schema_fetching import SchemaFetching, SchemaSource
from relay.road.consuming.source import CommitRefused, RecordSource
from relay.road.custody import Custody
from relay.road.facts import (
    CommitFailed,
    CommitsRestored,
    DrainEnded,
    DrainStarted,
    Lifecycle,
    LifecycleChanged,
    PartitionsAssigned,
    PartitionsRevoked,
)
from relay.road.letter_writer import DeadLetterSink, LetterWriter
from relay.road.status import RoadReporter
from relay.road.steps import each
from relay.section import Section
from relay.telemetry.facts import Emit


class RoadPolicy(Section):
    """The times that the loop keeps, in seconds."""

    commit_every_s: float = Field(
        0.5,
        gt=0,
        le=60,
        description="How often to commit. What was delivered since then is repeated after a crash.",
    )
    stop_deadline_s: float = Field(
        25.0,
        ge=0,
        le=3600,
        description="How long a stop may take in all: landing, committing, leaving the group. Keep "
        "it 5 s below the platform's grace period (Kubernetes: 30 s).",
    )
    revoke_budget_s: float = Field(
        20.0,
        ge=0,
        le=3600,
        description="How long a partition that moves to another member may wait for answers; all "
        "others go on. Below kafka.rebalance_timeout_s.",
    )
    # How late the road is, at most, to pause or put back what changed while nothing came.
    poll_timeout_s: ClassVar[float] = 0.2
    slice_s: ClassVar[float] = 0.005
    """Work between two looks at the other tasks: heartbeats run on the same loop."""


class Engine(Protocol):
    """What a road decides by. Every method is synchronous and does no I/O."""

    custody: Custody

    def admit(self, record: Record, now: Moment) -> None:
        """A record was read."""
        ...


class Carrier(Protocol):
    """Moves what the engine lets go, and hands the outcomes back to the engine."""

    async def run(self, changed: Callable[[], None]) -> None:
        """Until cancelled. Calls `changed` after every change to the engine."""
        ...

    def wake(self) -> None:
        """The engine may have something to move."""
        ...

    def assigned(self, share: float) -> None:
        """Our part of the group's work is `share`, 0 to 1: after a rebalance, and now and then."""
        ...

    def revoked(self) -> None:
        """Partitions have left, with what was under way for them."""
        ...


class Road:
    """Runs once: `run` returns when everything that could be settled after `stop` is settled."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        carrier: Carrier,
        source: RecordSource,
        sink: DeadLetterSink,
        *,
        emit: Emit,
        clock: Clock,
        policy: RoadPolicy,
        reporter: RoadReporter,
        schemas: SchemaSource | None = None,
    ) -> None:
        self.name = name
        self.reporter = reporter
        self._engine = engine
        self._custody = engine.custody
        self._carrier = carrier
        self._source = source
        self._sink = sink
        self._emit = emit
        self._clock = clock
        self._policy = policy
        self._letters = LetterWriter(self._custody, sink, emit, self._react)
        self._fetching = None
        if schemas is not None:
            self._fetching = SchemaFetching(self._custody.schemas, schemas)
        self._paused: set[Partition] = set()
        self._stopping = asyncio.Event()
        self._deadline: float | None = None
        self._starting: asyncio.Task[None] | None = None
        self.has_run = False
        """Whether it has joined its group."""
        self._is_carrying = False
        self._commit_lock = asyncio.Lock()
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[bool]]] = []

    @property
    def lifecycle(self) -> Lifecycle:
        """What the road is doing."""
        return self.reporter.lifecycle

    # The deadline of a stop, from its end:
    #
    #     ─ 2 shares    what is under way is waited for no longer (`_wait_no_longer`)
    #     ─ 1 share     the last commits are given up (`_commit_in_time`)
    #     ─ 0           leaving the group is given up (`_close`), but for a moment to close
    #                   connections
    #
    # A share is 2 s, or a tenth of a deadline below 20 s. A stop that comes while it still connects
    # ends that at once: nothing was read.
    def stop(self, reason: str) -> None:
        """Ask it to finish: nothing new is read or sent, what is under way may end."""
        if self._stopping.is_set() or self.lifecycle is Lifecycle.STOPPED:
            return
        self._custody.stop()
        self._stopping.set()
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + self._policy.stop_deadline_s
        if self._starting is not None:
            self._starting.cancel()  # nothing was read yet
            return
        loop.call_at(self._before_deadline(2), self._wait_no_longer)
        self._become(Lifecycle.DRAINING)
        self._emit(
            DrainStarted(
                road=self.name,
                reason=reason,
                unsettled=self._custody.ledger.open,
                deadline_s=self._policy.stop_deadline_s,
            )
        )

    async def run(self) -> None:
        """Move records until `stop`.

        Raises:
            KafkaError: The source cannot go on.
            DrainIncomplete: The deadline came before all was settled; the rest comes again.
            CommitIncomplete: All was settled, and not everything could be committed.
        """
        self._loop = asyncio.get_running_loop()
        if self._stopping.is_set():
            return
        try:
            if await self._start():
                await self._move()
        except BaseExceptionGroup as group:
            raise sole(group) from None
        finally:
            self._custody.stop()
            failed = await self._close()
            self._become(Lifecycle.STOPPED)
        if failed is not None:  # and nothing before
            raise failed

    async def _start(self) -> bool:
        """Connect and join the group; False when `stop` came first."""
        self._starting = asyncio.current_task()
        try:
            await self._sink.start()
            await self._source.start(self)
        except asyncio.CancelledError:
            # `stop` cancels this task while it starts. Any other cancellation is not ours to
            # swallow.
            if not self._stopping.is_set() or self._starting is None:
                raise
            self._starting.uncancel()
            return False
        finally:
            self._starting = None
        self.has_run = True
        self._become(Lifecycle.RUNNING)
        return True

    async def _move(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._carrier.run(self.changed), name=f"{self.name}-carrier"),
                tasks.create_task(self._letters.run(), name=f"{self.name}-letters"),
                tasks.create_task(self._keep_committing(), name=f"{self.name}-commits"),
                tasks.create_task(self._keep_reporting(), name=f"{self.name}-report"),
            ]
            if self._fetching is not None:
                fetching = tasks.create_task(self._fetching.run(), name=f"{self.name}-schemas")
                background.append(fetching)
            self._is_carrying = True
            intake = tasks.create_task(self._take_in(), name=f"{self.name}-intake")
            try:
                await self._stopping.wait()
                intake.cancel()  # what it was about to hand over was not taken, and comes again
                await self._drain()
            finally:
                self._is_carrying = False
            for task in background:
                task.cancel()

    # -- partitions come and go (called by the source) ----------------------------------------

    async def on_assigned(self, partitions: Collection[Partition], epoch: int) -> None:
        """Begin where the commits say, knowing what is finished beyond them."""
        commits = await self._source.committed(partitions)
        self._custody.assign(commits, epoch, self._loop.time())
        self._carrier.assigned(self._source.share())
        self._paused -= set(partitions)
        self._emit(PartitionsAssigned(road=self.name, partitions=_names(partitions), epoch=epoch))
        self._react()

    async def on_revoked(self, partitions: Collection[Partition]) -> None:
        """Let end what is under way, commit what is settled, forget the rest."""
        custody = self._custody
        # In this order: what waits is given back, what flies may land within the budget, what has
        # landed is committed with its map, and only then is the rest forgotten. The next owner
        # reads it again.
        custody.leave(partitions)
        self._react()
        if self._is_carrying:  # else nothing ends any more
            await self._until(lambda: not custody.is_busy(partitions), self._policy.revoke_budget_s)
        await self._commit()
        unsettled = custody.open_in(partitions)
        custody.drop(partitions)
        self._carrier.revoked()
        self._carrier.assigned(self._source.share())
        self._paused -= set(partitions)
        self._react()
        self._emit(
            PartitionsRevoked(
                road=self.name,
                partitions=_names(partitions),
                unsettled=unsettled,
            )
        )

    def on_moved(self, partition: Partition, offset: int) -> None:
        """Count what was passed over as no lag, and commit that it was."""
        self._custody.go_on_at(partition, offset, self._loop.time())
        self._react()

    # -- records in ---------------------------------------------------------------------------

    async def _take_in(self) -> None:
        while True:
            self._look_after_schemas()
            self._apply_pauses()
            records = await self._source.poll(self._custody.room(), self._policy.poll_timeout_s)
            await self._admit(records)

    async def _admit(self, records: Collection[Record]) -> None:
        engine, clock, slice_s = self._engine, self._loop.time, self._policy.slice_s
        now = self._moment()
        for record in records:
            # A batch may take long to decode, and heartbeats run on this loop: after 5 ms of work
            # the other tasks get a turn. The time is read anew, since it is what records are dated
            # by.
            if clock() - now.steady >= slice_s:
                self._react()
                await asyncio.sleep(0)
                now = self._moment()
            engine.admit(record, now)
        if records:
            self._react()

    def _look_after_schemas(self) -> None:
        """Put back what cannot be read yet, ask for its schema, let go on what has its schema."""
        schemas = self._custody.schemas
        if not schemas.waits or self._fetching is None:
            return
        schemas.between_polls(
            lambda wait: self._source.put_back(wait.partition, wait.offset, wait.epoch)
        )
        self._fetching.due.set()

    def _apply_pauses(self) -> None:
        wanted = self._custody.paused()
        if wanted == self._paused:
            return
        if pause := wanted - self._paused:
            self._source.pause(pause)
            self._carrier.wake()  # when nothing more can come, what waits to be gathered need not
        if resume := (self._paused - wanted) & self._custody.assigned.keys():
            self._source.resume(resume)
        self._paused = wanted

    # -- something has changed ----------------------------------------------------------------

    def _react(self) -> None:
        self._carrier.wake()
        self.changed()

    def changed(self) -> None:
        """Tell what the last change has to tell, and wake whoever waits for it."""
        custody = self._custody
        if custody.facts:
            for fact in custody.facts:
                self._emit(fact)
            custody.facts.clear()
        if custody.letters:
            self._letters.due.set()
        if self._watchers:
            self._wake_watchers()

    async def _until(self, condition: Callable[[], bool], within_s: float | None = None) -> bool:
        """Wait for a condition, looked at after every change; False when the time is over.

        A stop ends every wait in time for the last commits.
        """
        if condition():
            return True
        met: asyncio.Future[bool] = self._loop.create_future()
        self._watchers.append((condition, met))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                return await met
        return False

    def _wake_watchers(self) -> None:
        still: list[tuple[Callable[[], bool], asyncio.Future[bool]]] = []
        for condition, met in self._watchers:
            if met.done():
                continue
            if condition():
                met.set_result(True)
            else:
                still.append((condition, met))
        self._watchers = still

    def _wait_no_longer(self) -> None:
        for _, met in self._watchers:
            if not met.done():
                met.set_result(False)

    # -- commits ------------------------------------------------------------------------------

    async def _keep_committing(self) -> None:
        every_s = wait_s = self._policy.commit_every_s
        while True:
            await asyncio.sleep(wait_s)
            failed = await self._commit()
            wait_s = min(2 * wait_s, max(every_s, _COMMIT_PAUSE_S)) if failed else every_s
            self.changed()

    async def _keep_reporting(self) -> None:
        """By itself: a commit may wait for a broker that says nothing."""
        reporter, every_s = self.reporter, self._policy.commit_every_s
        while True:
            due = self._loop.time() + every_s
            await asyncio.sleep(every_s)
            now = self._loop.time()
            reporter.loop_lag_s = max(0.0, now - due)
            self._carrier.assigned(self._source.share())
            self._react()
            reporter.tick(now, len(self._paused), self._source.state(), self._source.ends())

    async def _commit(self) -> bool:
        """Commit what has moved; whether trying again could store more.

        One at a time: two commits under way could arrive swapped.
        """
        async with self._commit_lock:
            commits = self._custody.commits(self._loop.time())
            if not commits:
                self._commits_go_on()
                return False
            try:
                await self._source.commit(commits)
            # What became of it:
            #
            #     refused, not ours any more   told; not tried again, the next owner goes on
            #     Kafka cannot, or says no     told; tried again with all that came since, ever less
            #                                  often
            #     stored                       what it covered is remembered, and the trouble is
            #                                  over
            except CommitRefused as error:
                # The partitions are not ours any more: their next owner goes on.
                self._emit(CommitFailed(road=self.name, code="CommitRefused", reason=str(error)))
                return False
            except KafkaError as error:
                self._custody.commit_failed(str(error), self._loop.time())
                self._emit(CommitFailed(road=self.name, code=error.code, reason=str(error)))
                return True
            self._custody.committed(commits)
            self._commits_go_on()
            return False

    def _commits_go_on(self) -> None:
        custody = self._custody
        if custody.commits_blocked is not None:
            custody.commits_blocked = None
            after_s = self._loop.time() - custody.commits_blocked_since
            self._emit(CommitsRestored(road=self.name, after_s=after_s))

    # -- the end ------------------------------------------------------------------------------

    async def _drain(self) -> None:
        started = self._loop.time()
        custody = self._custody
        landed = await self._until(lambda: custody.is_idle)
        await self._commit_in_time()
        self.reporter.line(self._loop.time())
        uncommitted = custody.uncommitted
        self._emit(
            DrainEnded(
                road=self.name,
                seconds=self._loop.time() - started,
                unsettled=custody.ledger.open,
                uncommitted=uncommitted,
            )
        )
        if not landed:
            raise DrainIncomplete(
                f"{self.name}: stopped with {custody.ledger.open} records unsettled, "
                f"{len(custody.letters)} of them unconfirmed dead letters",
                hint="nothing is lost: they are read again after a restart",
            )
        if uncommitted:
            raise CommitIncomplete(
                f"{self.name}: stopped with {uncommitted} settled records not committed",
                hint="they are sent again after a restart, with the same $unique_key",
            )

    async def _commit_in_time(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._before_deadline(1)):
                while await self._commit():  # noqa: ASYNC110 - only Kafka can change that
                    await asyncio.sleep(_COMMIT_AGAIN_S)

    async def _close(self) -> Exception | None:
        """Leave the group and close the connections, by the deadline; what failed first."""
        deadline = self._deadline
        if deadline is None:
            deadline = self._loop.time() + self._policy.stop_deadline_s

        async def in_time(close: Callable[[], Awaitable[None]]) -> None:
            # A moment for each even when the time is over: to close the connections.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(max(deadline, self._loop.time() + _CLOSE_S)):
                    await close()

        return await each(lambda: in_time(self._source.stop), lambda: in_time(self._sink.stop))

    def _before_deadline(self, shares: int) -> float:
        """When the stop must go on so that there is time for what comes after."""
        ends = self._deadline or self._loop.time() + self._policy.stop_deadline_s
        return ends - shares * min(_SHARE_S, self._policy.stop_deadline_s / 10)

    # -- small things -------------------------------------------------------------------------

    def _moment(self) -> Moment:
        return Moment(self._loop.time(), self._clock.now_ms())

    def _become(self, state: Lifecycle) -> None:
        old = self.reporter.lifecycle
        if state is not old:
            self.reporter.lifecycle = state
            self._emit(LifecycleChanged(road=self.name, old=old, new=state))


_SHARE_S = 2.0
"""Of the stop's deadline, kept for the last commits, and as much for leaving the group."""
_COMMIT_AGAIN_S = 0.2  # in a stop, where each try may be the last
_COMMIT_PAUSE_S = 15.0
"""Most between two commits while Kafka takes none."""
_CLOSE_S = 0.5  # for each edge, where the deadline has come already


def _names(partitions: Collection[Partition]) -> tuple[str, ...]:
    return tuple(str(partition) for partition in sorted(partitions))
