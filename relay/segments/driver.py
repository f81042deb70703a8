"""One file in → landed, unclear, failed or held. Every import into mediarithmics is driven here.

`relay segments import`, `sync` and the membership events of `relay run` differ in where their files
come from and in what an outcome means to them; beginning an execution, finding one again whose
answer was lost, waiting for it and counting attempts are the same.

Before every upload, and when something is known of one, `Trip.keep` is called: what is written
there lets a run continue after a crash. Waits are measured with a steady clock, so a step
of the wall clock neither stops nor ends them.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path

from relay.apis.caller import Sleep
from relay.apis.errors import AnswerLost, ApiError, NotThere, Refused
from relay.apis.mediarithmics_document_imports import DocumentImports, Execution
from relay.clock import Clock
from relay.disk import LocalStateError
from relay.segments.errors import ImportOverdue
from relay.segments.formats import FileFormat
from relay.segments.next_step import HALF_DONE, Attempt, Do, Seen, Step, next_step
from relay.segments.outcome import Failed, Held, Outcome
from relay.segments.policy import UploadPolicy


def loop_time() -> float:
    """Steady seconds, by the running loop."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Platform:
    """The calls, and the time that passes between them."""

    imports: DocumentImports
    clock: Clock
    sleep: Sleep = asyncio.sleep
    steady: Callable[[], float] = loop_time


def _nothing(_: object) -> None:
    pass


@dataclass(slots=True)
class Trip:
    """A file on its way: what was asked of the platform for it so far."""

    name: str
    """What its document import is called."""
    path: Path
    size_bytes: int
    lines: int
    form: FileFormat
    import_id: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    others: AbstractSet[str] = frozenset()
    """Executions of other files in the same document import."""
    keep: Callable[["Trip"], None] = _nothing
    on_bytes: Callable[[int], None] = _nothing
    on_trouble: Callable[[ApiError], None] = _nothing
    """Hears at once that an upload got no usable answer."""

    @property
    def is_out(self) -> bool:
        """Whether something of the file may be on the platform, or come there yet."""
        return any(not attempt.vanished for attempt in self.attempts)

    def note(self, attempt: Attempt) -> None:
        """One more attempt, or something is known of one."""
        others = [a for a in self.attempts if a.number != attempt.number]
        self.attempts = sorted([*others, attempt], key=lambda a: a.number)
        self.keep(self)


@dataclass(slots=True)
class _Watch:
    """Since when this process has been waiting for what, in steady seconds."""

    uploaded: float
    vanished_before: int
    wait_s: float = 0.0
    missed: float | None = None
    trouble: ApiError | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """Sees files through, any number side by side."""

    platform: Platform
    policy: UploadPolicy
    tell: Callable[[str], None] = _nothing
    """Hears what somebody may want to read afterwards."""

    async def carry(self, trip: Trip) -> Outcome:
        """See a file through, from wherever it is.

        Raises:
            LocalStateError: The file is not what was written.
        """
        watch = _Watch(self.platform.steady(), sum(a.vanished for a in trip.attempts))
        try:
            while True:
                match await self._look(trip, watch):
                    case Do.UPLOAD:
                        await self._upload(trip, watch)
                    case Do.WAIT:
                        await self._wait(trip, watch)
                    case Attempt() as attempt:
                        self._note(trip, watch, attempt)
                    case outcome:
                        return outcome
        except (Refused, NotThere) as error:
            return Failed(error.problem, refused=error)
        except (ApiError, ImportOverdue) as error:
            return Held(error)

    async def _look(self, trip: Trip, watch: _Watch) -> Step:
        """What the trip and the platform say together."""
        if trip.import_id is None:
            made = await self.platform.imports.create(trip.name, trip.form.mime_type)
            trip.import_id = made.id
            trip.keep(trip)
        listed: list[Execution] = []
        ids = {attempt.execution_id for attempt in trip.attempts}
        if ids:
            ours = {id_ for id_ in ids if id_ is not None}
            every = await self.platform.imports.executions(
                trip.import_id, until=None if None in ids else ours
            )
            listed = [execution for execution in every if execution.id not in trip.others]
            self._note_statuses(trip, listed)
        there = {execution.id for execution in listed}
        now = self.platform.steady()
        missed = any(not a.is_lost and a.execution_id not in there for a in trip.attempts)
        watch.missed = (watch.missed or now) if missed else None
        seen = Seen(listed, now - (watch.missed or now), watch.vanished_before, watch.trouble)
        return next_step(trip.attempts, seen, self.policy, trip.lines)

    def _note(self, trip: Trip, watch: _Watch, attempt: Attempt) -> None:
        if attempt.adopted and attempt.number > len(trip.attempts):
            self.tell(f"execution {attempt.execution_id} is one more than was asked for")
        elif attempt.adopted:
            self.tell(f"adopted execution {attempt.execution_id}")
        trip.note(attempt)
        watch.missed = None

    async def _upload(self, trip: Trip, watch: _Watch) -> None:
        if not trip.path.is_file() or trip.path.stat().st_size != trip.size_bytes:
            raise LocalStateError(
                f"{trip.path} is not the file that was written",
                hint="run with --fresh: what is missing is sent again",
            )
        attempt = Attempt(len(trip.attempts) + 1, self.platform.clock.now_ms())
        trip.note(attempt)
        try:
            started = await self.platform.imports.start(
                trip.import_id or "", trip.path, trip.form.content_type, trip.on_bytes
            )
        except AnswerLost as lost:
            self.tell(f"{lost.problem}; looking what became of it")
            trip.on_trouble(lost)
            watch.trouble = lost
        except ApiError:
            trip.note(replace(attempt, vanished=True))  # it certainly was not carried out
            raise
        else:
            trip.note(replace(attempt, execution_id=started.id, status=started.status))
        watch.uploaded = self.platform.steady()
        watch.missed, watch.wait_s = None, 0.0
        await self._wait(trip, watch)

    def _note_statuses(self, trip: Trip, listed: list[Execution]) -> None:
        """Remember what each execution is doing; one that failed may have done half of it."""
        executions = {execution.id: execution for execution in listed}
        for attempt in trip.attempts:
            execution = executions.get(attempt.execution_id or "")
            if execution is None or execution.status == attempt.status:
                continue
            trip.note(replace(attempt, status=execution.status))
            if execution.phase in HALF_DONE:
                said = f": {execution.error}" if execution.error else ""
                self.tell(f"execution {execution.id} ended as {execution.status}{said}")

    async def _wait(self, trip: Trip, watch: _Watch) -> None:
        waited_s = self.platform.steady() - watch.uploaded
        if waited_s > self.policy.patience_s:
            status = next((a.status for a in reversed(trip.attempts) if a.status), "not listed")
            raise ImportOverdue(
                f"the import {trip.name} is still {status} after {waited_s:.0f} s",
                hint="run again later: it goes on waiting where it stopped",
            )
        watch.wait_s = self.policy.wait_after_s(watch.wait_s)
        await self.platform.sleep(watch.wait_s)
