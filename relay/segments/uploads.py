"""The files of a run → the platform → the ledger: each seen through, and settled.

`driver` sees each file through; what was asked is in the ledger before it is asked. This file
decides what an outcome means for the members of a segment:

    Landed    the users are as the commands say, or as they were where all were rejected
    Unclear   the file is taken apart, and the pieces are files of the same run
    Failed    the users are unsure: the next run sends them again
    Held      the run stays open
"""

import asyncio
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from relay.apis.mediarithmics_document_imports import Execution
from relay.disk import disk_errors
from relay.errors import sole
from relay.segments.driver import Driver, Platform, Trip
from relay.segments.hints import Hints, read_hints
from relay.segments.isolator import apart
from relay.segments.ledger import PartRecord, PartState, Run, RunLedger
from relay.segments.members import (
    MINUTE_MS,
    apply_rejected,
    apply_sure,
    apply_unsure,
    next_places,
    set_apart,
)
from relay.segments.outcome import Failed, Held, Landed, Unclear
from relay.segments.parts import write_part
from relay.segments.policy import UploadPolicy
from relay.segments.progress import Progress


@dataclass(slots=True)
class Uploads:
    """Sees the files of one run through."""

    platform: Platform
    ledger: RunLedger
    directory: Path
    run: Run
    policy: UploadPolicy
    progress: Progress
    _driver: Driver = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _given_up: bool = False
    _hints_help: bool = True
    """Whether error files have told something so far: else they are not asked for."""
    _isolations: int = 0
    _bytes: int = 0
    _bytes_sent: int = 0

    async def see_through(self) -> None:
        """Upload what is not uploaded, and wait for all of it. Parts tell what became of each.

        A file that was never begun is abandoned once another was given up: whatever refused that
        one would most likely refuse this one too, and the next run sends what is missing.

        Raises:
            RelayError: The platform cannot be asked, or takes too long; the run stays open.
        """
        self._driver = Driver(self.platform, self.policy, self.progress.note)
        self._slots = asyncio.Semaphore(self.policy.in_flight_max)
        parts = self.ledger.parts(self.run)
        self._given_up = any(p.state in (PartState.UNSURE, PartState.ABANDONED) for p in parts)
        self._isolations = sum(part.parent is not None for part in parts)
        waiting = [part for part in parts if part.state is PartState.WRITTEN]
        self._bytes = sum(p.size_bytes for p in waiting if not p.attempts)
        if self._bytes:
            self.progress.begin("uploading", self._bytes, "bytes")
        elif waiting:
            self.progress.begin(_WAITING)
        try:
            async with asyncio.TaskGroup() as group:
                for part in waiting:
                    group.create_task(self._see_through(part, group))
        except BaseExceptionGroup as errors:
            raise sole(errors) from None

    async def _see_through(self, part: PartRecord, group: asyncio.TaskGroup) -> None:
        async with self._slots:
            trip = self._trip(part)
            if not trip.attempts and (self._given_up or not self.policy.attempts_max):
                self._end(part, PartState.ABANDONED, None)
                return
            outcome = await self._driver.carry(trip)
            match outcome:
                case Landed():
                    await self._landed(part, trip, outcome)
                case Unclear():
                    for piece in await self._unclear(part, outcome):
                        group.create_task(self._see_through(piece, group))
                case Failed(reason, execution):
                    self._given_up = True
                    state = PartState.UNSURE if trip.is_out else PartState.ABANDONED
                    self._end(part, state, reason, execution)
                case Held(error):
                    raise error

    def _trip(self, part: PartRecord) -> Trip:
        def keep(trip: Trip) -> None:
            with self.ledger.writing():
                self.ledger.keep(part, trip)
                if any(attempt.is_half_done for attempt in trip.attempts):
                    self._apply_unsure(part)

        return Trip(
            f"{self.run.name}-part-{part.number:04d}",
            self.directory / part.file,
            part.size_bytes,
            part.lines,
            part.format,
            part.import_id,
            part.attempts,
            keep=keep,
            on_bytes=self._sent,
        )

    def _sent(self, count: int) -> None:
        self._bytes_sent += count
        self.progress.at(self._bytes_sent)
        if 0 < self._bytes <= self._bytes_sent:
            self._bytes = 0
            self.progress.begin(_WAITING)

    # -- what an outcome means -----------------------------------------------------------------

    async def _landed(self, part: PartRecord, trip: Trip, outcome: Landed) -> None:
        hints = await self._hints(part, outcome)
        execution, rejected, users = outcome.execution, outcome.rejected, part.users
        with self.ledger.writing() as db:
            self.ledger.set_part(
                part, state=PartState.DONE, succeeded=execution.succeeded, rejected=rejected,
                problem=hints.reason,
            )  # fmt: skip
            if users is not None and rejected:
                apply_rejected(db, users)
            elif users is not None:
                apply_sure(db, users, *self._ends(min(a.asked_ms for a in trip.attempts)))

    async def _unclear(self, part: PartRecord, outcome: Unclear) -> list[PartRecord]:
        """The pieces to send, of a file of which some lines were rejected."""
        hints = await self._hints(part, outcome)
        execution, rejected = outcome.execution, outcome.rejected
        pieces = apart(part.lines, rejected, hints.named)
        self._isolations += len(pieces)
        problem = self._too_many(part, rejected, hints)
        if problem is not None:
            self._end(part, PartState.UNSURE, problem, execution)
            return []
        if part.parent is None:
            self.progress.note(
                f"part {part.number}: {rejected} of {part.lines} lines rejected: taking it apart"
            )
        return self._take_apart(part, execution, pieces, hints.named)

    def _too_many(self, part: PartRecord, rejected: int, hints: Hints) -> str | None:
        """Why the rejected lines of a file are not searched for; None: they are."""
        most, share = self.policy.isolation_share_max, rejected / part.lines
        if part.parent is None and rejected > _SEARCHED_MAX and share > most:
            return (
                f"{rejected} of {part.lines} lines were rejected ({share:.1%}), more than "
                f"segments.imports.isolation_share_max ({most:.1%}): {hints.why}"
            )
        if self._isolations > self.policy.isolations_max:
            return (
                f"{rejected} lines were rejected, and which cannot be told within "
                f"{self.policy.isolations_max} executions (segments.imports.isolations_max)"
            )
        return None

    async def _hints(self, part: PartRecord, outcome: Landed | Unclear) -> Hints:
        if not self._hints_help or not outcome.rejected:
            return Hints()
        file, errors = self.directory / part.file, self.directory / f"errors-{part.number:04d}"
        found = await read_hints(self.platform.imports, outcome, file, part.format, errors)
        self._hints_help = found != Hints()
        if errors.exists():
            self.progress.note(f"part {part.number}: lines were rejected; see {errors}")
        return found

    def _end(
        self,
        part: PartRecord,
        state: PartState,
        problem: str | None,
        execution: Execution | None = None,
    ) -> None:
        """It is not sent any more: of one that is unsure each line may have been taken.

        Of a piece, some lines were taken when the whole was sent.
        """
        if problem is not None:
            self.progress.note(f"part {part.number}: given up: {problem}")
        counts = (None, None) if execution is None else (execution.succeeded, execution.failed)
        with self.ledger.writing():
            self.ledger.set_part(
                part, state=state, problem=problem, succeeded=counts[0], rejected=counts[1]
            )
            if state is PartState.UNSURE or part.parent is not None:
                self._apply_unsure(part)

    def _apply_unsure(self, part: PartRecord) -> None:
        if part.users is not None:
            apply_unsure(self.ledger.db, part.users, self._ends(0)[1])

    def _ends(self, asked_ms: int) -> tuple[int, int]:
        """The earliest and the latest moment at which the platform lets go of who enters now."""
        minutes = self.run.expiration_minutes
        if not minutes:
            return 0, 0
        lasts_ms = minutes * MINUTE_MS
        return asked_ms + lasts_ms, self.platform.clock.now_ms() + lasts_ms

    def _take_apart(
        self,
        part: PartRecord,
        execution: Execution,
        pieces: list[Sequence[int]],
        named: Mapping[int, str],
    ) -> list[PartRecord]:
        after = self.ledger.last_number(part.run)
        path = self.directory / part.file
        first = pieces[0] if isinstance(pieces[0], range) else frozenset(pieces[0])
        lines = _lines_of(path, first, part.format.has_header)
        header = next(lines)
        written = [
            write_part(self.directory, number, part.format, header, islice(lines, len(piece)))
            for number, piece in enumerate(pieces, start=after + 1)
        ]
        with self.ledger.writing() as db:
            before = part.users.first_place - 1 if part.users else 0
            for at, piece in enumerate(written if part.users else ()):
                if part.users and not at and not isinstance(first, range):
                    users = set_apart(db, part.users, [named[place] for place in first])
                else:
                    users = next_places(db, before, piece.lines)
                    before = users.last_place
                written[at] = replace(piece, **users._asdict())
            self.ledger.take_apart(
                part, written, succeeded=execution.succeeded, rejected=execution.failed
            )
        with disk_errors(path):
            path.unlink(missing_ok=True)
        return self.ledger.parts(self.run, after)


_SEARCHED_MAX = 100
"""So many rejected lines are searched for whatever share of a file they are."""
_WAITING = "waiting for mediarithmics to import"


def _lines_of(path: Path, first: Container[int], header_lines: int) -> Iterator[bytes]:
    """The header of a file or nothing, the lines at the places of its `first` piece, the others."""
    with disk_errors(path), path.open("rb") as file:
        yield b"".join(islice(file, header_lines))
        start = file.tell()
        for wanted in (True, False):
            file.seek(start)
            for place, line in enumerate(file):
                if (place in first) is wanted:
                    yield line
