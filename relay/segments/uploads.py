"""The files of a run → the platform → the ledger: each seen through, and settled.

`driver` sees each file through; what was asked is in the ledger before it is asked. This file
decides what an outcome means for the members of a segment:

    Landed    the users are as the commands say, or as they were where all were rejected
    Unclear   as far as the error file names the rejected users; else the file is taken apart, and
              the pieces are files of the same run
    Failed    the users are unsure: the next run sends them again
    Held      the run stays open
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from relay.apis.errors import ApiError
from relay.apis.mediarithmics_document_imports import Execution
from relay.disk import disk_errors
from relay.errors import sole
from relay.segments.driver import Driver, Platform, Trip
from relay.segments.isolator import cuts
from relay.segments.ledger import Ledger, PartRecord, PartState, Run, Written
from relay.segments.members import MINUTE_MS, Range, apply_sure, apply_unsure, users_in
from relay.segments.outcome import REJECTED, Failed, Held, Landed, Unclear
from relay.segments.parts import Part, write_parts
from relay.segments.policy import UploadPolicy
from relay.segments.progress import Progress
from relay.segments.rejections import read_rejections


@dataclass(slots=True)
class Uploads:
    """Sees the files of one run through."""

    platform: Platform
    ledger: Ledger
    directory: Path
    run: Run
    policy: UploadPolicy
    progress: Progress
    _driver: Driver = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _given_up: bool = False
    _files_name_users: bool = True
    """Whether error files have named every rejected user so far: else they are not asked for."""
    _isolations: int = 0
    _bytes: int = 0
    _bytes_sent: int = 0
    _uploading: int = 0

    def __post_init__(self) -> None:
        self._driver = Driver(self.platform, self.policy, self.progress.note)
        self._slots = asyncio.Semaphore(self.policy.in_flight_max)

    async def see_through(self) -> None:
        """Upload what is not uploaded, and wait for all of it. Parts tell what became of each.

        A file that was never begun is abandoned once another was given up: whatever refused that
        one would most likely refuse this one too, and the next run sends what is missing.

        Raises:
            RelayError: The platform cannot be asked, or takes too long; the run stays open.
        """
        parts = self.ledger.parts(self.run)
        self._given_up = any(p.state in (PartState.UNSURE, PartState.ABANDONED) for p in parts)
        self._isolations = sum(part.parent is not None for part in parts)
        waiting = [part for part in parts if part.state is PartState.WRITTEN]
        self._bytes = sum(p.size_bytes for p in waiting if not self.ledger.attempts(p))
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
            begun = trip.import_asked or trip.attempts
            if self._given_up and not begun:
                self.ledger.set_part(part, state=PartState.ABANDONED)
                return
            outcome = await self._driver.carry(trip)
            match outcome:
                case Landed(execution, rejected):
                    await self._landed(part, execution, rejected)
                case Unclear(execution, rejected):
                    for piece in await self._unclear(part, execution, rejected):
                        group.create_task(self._see_through(piece, group))
                case Failed(reason, execution):
                    self._failed(part, trip, reason, execution)
                case Held(error):
                    raise error

    def _trip(self, part: PartRecord) -> Trip:
        attempts = self.ledger.attempts(part)
        unsure = {attempt.number for attempt in attempts if attempt.is_half_done}

        def keep(trip: Trip) -> None:
            half_done = {attempt.number for attempt in trip.attempts if attempt.is_half_done}
            with self.ledger.writing():
                self.ledger.keep(part, trip)
                if half_done - unsure:
                    self._apply_unsure(part)
            unsure.update(half_done)

        return Trip(
            f"{self.run.name}-part-{part.number:04d}",
            self.directory / part.file,
            part.size_bytes,
            part.lines,
            part.format,
            part.import_id,
            part.import_asked,
            attempts,
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

    async def _landed(self, part: PartRecord, execution: Execution, rejected: int) -> None:
        if rejected:
            named, why = await self._read_error_file(part, execution, rejected)
            self._fill_rejections(part, named, why)
        self._settle(part, execution, rejected)

    async def _unclear(
        self, part: PartRecord, execution: Execution, rejected: int
    ) -> list[PartRecord]:
        """The pieces to send, of a file of which some lines were rejected."""
        if self._files_name_users:
            named, _ = await self._read_error_file(part, execution, rejected)
            if named == rejected:
                self._settle(part, execution, rejected)
                return []
            self._files_name_users = False
        pieces = cuts(part.lines, rejected)
        self._isolations += len(pieces)
        if self._isolations > self.policy.isolations_max:
            problem = (
                f"{rejected} lines were rejected, and which cannot be told within "
                f"{self.policy.isolations_max} executions"
            )
            self._give_up(part, problem, succeeded=execution.succeeded, rejected=rejected)
            return []
        self.progress.note(
            f"part {part.number}: {rejected} of {part.lines} lines rejected: taking it apart"
        )
        return self._take_apart(part, execution, pieces)

    def _failed(
        self, part: PartRecord, trip: Trip, reason: str, execution: Execution | None
    ) -> None:
        self._given_up = True
        if not trip.is_out:
            self.ledger.set_part(part, state=PartState.ABANDONED, problem=reason)
            self.progress.note(f"part {part.number}: given up: {reason}")
            return
        counts = (None, None) if execution is None else (execution.succeeded, execution.failed)
        self._give_up(part, reason, succeeded=counts[0], rejected=counts[1])

    def _give_up(self, part: PartRecord, problem: str, **counts: int | None) -> None:
        self.progress.note(f"part {part.number}: given up: {problem}")
        with self.ledger.writing():
            self.ledger.set_part(part, state=PartState.UNSURE, problem=problem, **counts)
            self._apply_unsure(part)

    def _settle(self, part: PartRecord, execution: Execution, rejected: int) -> None:
        users = _range(part)
        with self.ledger.writing() as db:
            succeeded = execution.succeeded
            self.ledger.set_part(part, state=PartState.DONE, succeeded=succeeded, rejected=rejected)
            if users is not None:
                asked_ms = min(attempt.asked_ms for attempt in self.ledger.attempts(part))
                apply_sure(db, part.number, users, *self._ends(asked_ms))

    def _apply_unsure(self, part: PartRecord) -> None:
        users = _range(part)
        if users is not None:
            apply_unsure(self.ledger.db, users, self._ends(0)[1])

    def _ends(self, asked_ms: int) -> tuple[int, int]:
        """The earliest and the latest moment at which the platform lets go of who enters now."""
        minutes = self.run.expiration_minutes
        if not minutes:
            return 0, 0
        lasts_ms = minutes * MINUTE_MS
        return asked_ms + lasts_ms, self.platform.clock.now_ms() + lasts_ms

    # -- which lines were rejected -------------------------------------------------------------

    async def _read_error_file(
        self, part: PartRecord, execution: Execution, rejected: int
    ) -> tuple[int, str]:
        """Note what the error file tells, if it is about these users, and each of them.

        How many of the rejected lines it names without doubt, and a reason that it gives.
        """
        path = self.directory / f"errors-{part.number:04d}"
        if execution.error_file_uri is None:
            return 0, REJECTED
        try:
            await self.platform.imports.error_file(execution.error_file_uri, path)
        except ApiError as error:
            self.progress.note(f"part {part.number}: no error file: {error.problem}")
            return 0, REJECTED
        with self.ledger.writing() as db:
            db.execute("DELETE FROM rejections WHERE part = ?", (part.number,))
            db.executemany(
                "INSERT INTO rejections (part, user, reason) VALUES (?, ?, ?)",
                ((part.number, r.user, r.reason) for r in read_rejections(path)),
            )
            named, why = db.execute(
                "SELECT count(DISTINCT user) FILTER (WHERE :first IS NULL OR"
                " (user BETWEEN :first AND :last AND EXISTS (SELECT 1 FROM changes c"
                "  WHERE c.user = r.user AND c.doubtful = :doubtful))), max(reason)"
                " FROM rejections r WHERE part = :part",
                _range_values(part),
            ).fetchone()
            if named != rejected:  # nothing is concluded from it
                db.execute("DELETE FROM rejections WHERE part = ?", (part.number,))
        self.progress.note(f"part {part.number}: {rejected} lines rejected; see {path}")
        return int(named), str(why or REJECTED)

    def _fill_rejections(self, part: PartRecord, named: int, why: str) -> None:
        """Every line was rejected: whom the error file does not name is known all the same."""
        if named == part.lines:
            return
        with self.ledger.writing() as db:
            db.execute("DELETE FROM rejections WHERE part = ?", (part.number,))
            if part.first_user is None:
                rows = [(part.number, why)] * part.lines
                db.executemany("INSERT INTO rejections (part, reason) VALUES (?, ?)", rows)
            else:
                db.execute(
                    "INSERT INTO rejections (part, user, reason) SELECT :part, user, :why"
                    " FROM changes WHERE user BETWEEN :first AND :last AND doubtful = :doubtful",
                    _range_values(part) | {"why": why},
                )

    def _take_apart(
        self, part: PartRecord, execution: Execution, pieces: list[int]
    ) -> list[PartRecord]:
        after = self.ledger.next_number(part.run) - 1
        path = self.directory / part.file
        users = _range(part)
        with disk_errors(path), path.open("rb") as file:
            header = b"".join(islice(file, 1)) if part.format.has_header else b""
            written = list(
                write_parts(
                    file, self.directory, part.format.value, header=header,
                    bytes_max=part.size_bytes, after=after, lines_of=iter(pieces),
                )
            )  # fmt: skip
        with self.ledger.writing() as db:
            named = users_in(db, users) if users is not None else iter(())
            self.ledger.take_apart(
                part, [_written(piece, named, part) for piece in written],
                succeeded=execution.succeeded, rejected=execution.failed,
            )  # fmt: skip
        with disk_errors(path):
            path.unlink(missing_ok=True)
        return self.ledger.parts(self.run, after)


_WAITING = "waiting for mediarithmics to import"


def _range(part: PartRecord) -> Range | None:
    """The users of a part; None for a file of commands, whose users are not known one by one."""
    if part.first_user is None or part.last_user is None:
        return None
    return Range(part.first_user, part.last_user, part.doubtful)


def _range_values(part: PartRecord) -> dict[str, Any]:
    return {
        "part": part.number, "first": part.first_user, "last": part.last_user,
        "doubtful": part.doubtful,
    }  # fmt: skip


def _written(piece: Part, users: Iterator[str], whole: PartRecord) -> Written:
    """A piece, with the next of the users of the whole."""
    of_piece = list(islice(users, piece.lines))
    first, last = (of_piece[0], of_piece[-1]) if of_piece else (None, None)
    return Written(piece, first, last, whole.doubtful)
