"""The files of a run → the platform → the ledger: each uploaded once, seen through, and settled.

Before every call that changes something on the platform the ledger says that it is about to be
made. Whoever comes back after a crash, or after an answer that was lost, looks for what became of
it (`relay.segments.next_step`), and only then makes it again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from relay.apis.caller import Sleep
from relay.apis.errors import AnswerLost, ApiError, NotThere, Refused
from relay.apis.mediarithmics_document_imports import DocumentImports, Execution, Phase
from relay.clock import Clock
from relay.disk import LocalStateError
from relay.segments.errors import ImportOverdue
from relay.segments.ledger import Ledger, PartRecord, PartState, Run
from relay.segments.next_step import (
    Adopt,
    GiveUp,
    Seen,
    Settle,
    Step,
    Upload,
    Vanished,
    Wait,
    next_step,
)
from relay.segments.policy import UploadPolicy
from relay.segments.progress import Progress


@dataclass(frozen=True, slots=True)
class Platform:
    """The calls, and the time that passes between them."""

    imports: DocumentImports
    clock: Clock
    sleep: Sleep = asyncio.sleep


@dataclass(slots=True)
class _Flight:
    """A file that has been begun."""

    part: PartRecord
    since_ms: int
    looking_since_ms: int | None = None
    wait_s: float = 0.0
    due_ms: int = 0
    last: Execution | None = None


# Called when a file is settled: (part, the execution that imported it). Notes the outcome.
OnSettled = Callable[[PartRecord, Execution], Awaitable[None]]
# Called when something of a file may have been imported and nobody knows what.
OnUnsure = Callable[[PartRecord], None]


@dataclass(slots=True)
class Uploads:
    """Sees the files of one run through."""

    platform: Platform
    ledger: Ledger
    directory: Path
    run: Run
    policy: UploadPolicy
    progress: Progress
    on_settled: OnSettled
    on_unsure: OnUnsure
    _bytes: int = 0
    _bytes_sent: int = 0
    _shown: str = ""
    _given_up: bool = False

    async def see_through(self) -> None:
        """Upload what is not uploaded, and wait for all of it. Parts tell what became of each.

        A file that was never begun is abandoned once another was given up: whatever refused that
        one would most likely refuse this one too, and the next run sends what is missing.
        """
        parts = self.ledger.parts(self.run)
        open_parts = [part for part in parts if part.state is PartState.WRITTEN]
        self._given_up = len(open_parts) < sum(p.state is not PartState.DONE for p in parts)
        self._bytes = sum(part.size_bytes for part in open_parts)
        waiting = deque(open_parts)
        flights: list[_Flight] = []
        while waiting or flights:
            if self._given_up:
                self._abandon(waiting)
            while waiting and len(flights) < self.policy.in_flight_max:
                flights.append(_Flight(waiting.popleft(), self._now()))
            if not waiting and flights and min(f.due_ms for f in flights) > self._now():
                self._show("waiting for mediarithmics to import")
            await self._until_due(flights)
            for flight in [f for f in flights if f.due_ms <= self._now()]:
                if await self._advance(flight):
                    flights.remove(flight)

    async def _advance(self, flight: _Flight) -> bool:
        """Do what is to be done next for one file; whether it is finished with."""
        try:
            step = await self._look(flight)
        except (Refused, NotThere) as error:
            step = GiveUp(error.problem)
        match step:
            case Settle(execution):
                await self.on_settled(flight.part, execution)
                return True
            case GiveUp(reason):
                self._give_up(flight.part, reason)
                return True
            case Upload():
                return await self._upload(flight)
            case Vanished(attempt):
                self.ledger.set_execution(flight.part, attempt, vanished=1)
            case Adopt(execution, attempt):
                self._adopt(flight.part, execution, attempt)
            case Wait(execution):
                self._wait(flight, execution)
        return False

    async def _look(self, flight: _Flight) -> Step:
        """What the ledger and the platform say together."""
        import_id = await self._import_of(flight)
        if import_id is None:
            return Wait()
        records = self.ledger.executions(flight.part)
        listed = await self.platform.imports.executions(import_id)
        self._note_statuses(flight, listed)
        if any(r.execution_id is None and not r.vanished for r in records):
            flight.looking_since_ms = flight.looking_since_ms or self._now()
        looked_s = (self._now() - (flight.looking_since_ms or self._now())) / 1000
        return next_step(records, Seen(listed, looked_s), self.policy)

    async def _import_of(self, flight: _Flight) -> str | None:
        """The document import of a file: known, found again, or made. None: look again later."""
        part = flight.part
        if part.import_id is not None:
            return part.import_id
        name = f"{self.run.name}-part-{part.number:04d}"
        if part.import_asked:
            found = await self.platform.imports.find(name)
            if found:
                # More than one is harmless: an import is only a name, what counts is its file.
                return self._know_import(flight, found[-1].id)
            if flight.looking_since_ms is None:
                flight.looking_since_ms = self._now()
            if self._now() - flight.looking_since_ms < self.policy.adoption_s * 1000:
                return None
        self.ledger.set_part(part, import_asked=1)
        flight.part = part = self._again(part)
        try:
            made = await self.platform.imports.create(name, part.format.mime_type)
        except AnswerLost:
            flight.looking_since_ms = self._now()
            return None
        return self._know_import(flight, made.id)

    def _know_import(self, flight: _Flight, import_id: str) -> str:
        self.ledger.set_part(flight.part, import_id=import_id)
        flight.part = self._again(flight.part)
        flight.looking_since_ms = None
        return import_id

    async def _upload(self, flight: _Flight) -> bool:
        part = flight.part
        path = self.directory / part.file
        if not path.is_file() or path.stat().st_size != part.size_bytes:
            raise LocalStateError(
                f"{path} is not the file that was written",
                hint="run with --fresh: what is missing is sent again",
            )
        self._show("uploading", self._bytes, "bytes")
        attempt = self.ledger.add_execution(part, self._now())
        sent = self._bytes_sent
        try:
            started = await self.platform.imports.start(
                part.import_id or "", path, part.format.content_type, self._sent
            )
        except AnswerLost as lost:
            self.progress.note(f"part {part.number}: {lost.problem}; looking what became of it")
            flight.looking_since_ms = self._now()
        except ApiError as error:
            # It certainly was not carried out.
            self.ledger.set_execution(part, attempt, vanished=1)
            if not isinstance(error, Refused | NotThere):
                raise
            self._give_up(part, error.problem)
            return True
        else:
            self.ledger.set_execution(part, attempt, execution_id=started.id, status=started.status)
        self._bytes_sent = sent + part.size_bytes
        flight.since_ms = self._now()
        flight.wait_s = 0.0
        self._wait(flight, None)
        return False

    def _show(self, what: str, total: int | None = None, unit: str = "") -> None:
        """Say what is being done, unless that is what was said last."""
        if what != self._shown:
            self._shown = what
            self.progress.begin(what, total, unit)

    def _sent(self, count: int) -> None:
        self._bytes_sent += count
        self.progress.at(self._bytes_sent)

    def _adopt(self, part: PartRecord, execution: Execution, attempt: int | None) -> None:
        if attempt is None:
            self.ledger.add_execution(part, self._now(), execution.id)
            self.progress.note(
                f"part {part.number}: execution {execution.id} is one more than was asked for; "
                "it carries the same commands"
            )
        else:
            self.ledger.set_execution(part, attempt, execution_id=execution.id, adopted=1)
            self.progress.note(f"part {part.number}: adopted execution {execution.id}")

    def _note_statuses(self, flight: _Flight, listed: list[Execution]) -> None:
        """Remember what each execution is doing; one that failed may have done half of it."""
        status_of = {execution.id: execution for execution in listed}
        for record in self.ledger.executions(flight.part):
            execution = status_of.get(record.execution_id or "")
            if execution is None or execution.status == record.status:
                continue
            self.ledger.set_execution(flight.part, record.attempt, status=execution.status)
            if execution.phase in (Phase.FAILED, Phase.CANCELED):
                self.progress.note(
                    f"part {flight.part.number}: execution {execution.id} ended as "
                    f"{execution.status}{f': {execution.error}' if execution.error else ''}"
                )
                self.on_unsure(flight.part)

    def _wait(self, flight: _Flight, execution: Execution | None) -> None:
        flight.last = execution or flight.last
        waited_s = (self._now() - flight.since_ms) / 1000
        if waited_s > self.policy.patience_s:
            status = flight.last.status if flight.last else "not listed"
            raise ImportOverdue(
                f"part {flight.part.number} of {self.run.name} is still {status} after "
                f"{waited_s:.0f} s",
                hint="run again later: it goes on waiting where it stopped",
            )
        first, longest = self.policy.poll_s, self.policy.poll_s_max
        flight.wait_s = min(longest, flight.wait_s * 1.5) if flight.wait_s else first
        flight.due_ms = self._now() + int(flight.wait_s * 1000)

    async def _until_due(self, flights: list[_Flight]) -> None:
        wait_ms = min(flight.due_ms for flight in flights) - self._now() if flights else 0
        if wait_ms > 0:
            await self.platform.sleep(wait_ms / 1000)

    def _give_up(self, part: PartRecord, reason: str) -> None:
        self._given_up = True
        self.progress.note(f"part {part.number}: given up: {reason}")
        tried = any(not record.vanished for record in self.ledger.executions(part))
        state = PartState.UNSURE if tried else PartState.ABANDONED
        self.ledger.set_part(part, state=state, problem=reason)
        if tried:
            self.on_unsure(part)

    def _abandon(self, waiting: deque[PartRecord]) -> None:
        for part in list(waiting):
            if part.import_asked or self.ledger.executions(part):
                continue  # begun before a crash: it has to be seen through
            self.ledger.set_part(part, state=PartState.ABANDONED)
            waiting.remove(part)

    def _again(self, part: PartRecord) -> PartRecord:
        return next(p for p in self.ledger.parts(self.run) if p.number == part.number)

    def _now(self) -> int:
        return self.platform.clock.now_ms()
