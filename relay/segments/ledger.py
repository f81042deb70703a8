"""What was begun, what was asked of the platform, and what became of it: written before each step.

Whoever opens it after a crash knows where to go on. `about` says what the ledger is for; runs have
parts, parts have attempts. The members of the segment are in `relay.segments.members`.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Json, TypeAdapter

from relay.disk import LocalStateError
from relay.segments.database import open_database, sqlite_errors, transaction
from relay.segments.driver import Trip
from relay.segments.formats import FileFormat
from relay.segments.next_step import Attempt
from relay.segments.parts import Part
from relay.segments.plan import Plan


class Stage(StrEnum):
    """How far an open run is."""

    ASKED = "asked"
    """Nothing is known to be under way."""
    EXPORTING = "exporting"
    DOWNLOADED = "downloaded"
    COMPARED = "compared"
    WRITTEN = "written"
    """The files are on the disk; from here on something may have been uploaded."""


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    PLANNED = "planned"
    STOPPED = "stopped"
    FAILED = "failed"
    ABANDONED = "abandoned"


class PartState(StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    DONE = "done"
    UNSURE = "unsure"
    APART = "apart"
    """Some of its lines were rejected: pieces of it are sent again, to find out which."""
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Run:
    """One sync or import."""

    id: int
    name: str
    stage: Stage
    outcome: Outcome | None
    problem: str | None
    began_ms: int
    ended_ms: int | None
    source: str
    export_id: str | None
    exported_ms: int | None
    expiration_minutes: int | None
    plan: Json[Plan] | None
    allowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord(Part):
    """A file of a run, and what became of it."""

    run: int
    format: FileFormat
    import_id: str | None
    state: PartState
    succeeded: int | None
    rejected: int | None
    problem: str | None
    parent: int | None
    attempts: Json[list[Attempt]]


_RUN = TypeAdapter(Run)
_PARTS = TypeAdapter(list[PartRecord])
_ATTEMPTS = TypeAdapter(list[Attempt])


class RunLedger:
    """The ledger of one segment, or of one file that is imported."""

    def __init__(self, path: Path, about: dict[str, str], *, read_only: bool = False) -> None:
        """`about` is what this ledger is for; one that is for something else is not touched."""
        self.path = path
        self.db = open_database(path, read_only=read_only)
        try:
            with sqlite_errors(path):
                self._check_about(about, read_only=read_only)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self.db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or nothing."""
        with sqlite_errors(self.path), transaction(self.db):
            yield self.db

    def open_run(self) -> Run | None:
        """The run that has not ended."""
        return self._run("outcome IS NULL")

    def last_run(self) -> Run | None:
        """The run that was begun last, whether it has ended or not."""
        return self._run("1")

    @contextmanager
    def scratch(self) -> Iterator[sqlite3.Connection]:
        """The database for work that leaves nothing behind, or that only reads."""
        with sqlite_errors(self.path):
            yield self.db

    def begin(self, name: str, source: str, now_ms: int) -> Run:
        """Begin a run. `source` is where its users come from."""
        with self.writing() as db:
            if self.open_run() is not None:
                raise AssertionError("a run is open already")
            db.execute(
                "INSERT INTO runs (name, source, stage, began_ms) VALUES (?, ?, ?, ?)",
                (name, source, Stage.ASKED, now_ms),
            )
        return self._must("1")

    def move(self, run: Run, stage: Stage, **columns: Any) -> Run:
        """Take an open run to a stage; inside a transaction of the caller's if there is one."""
        self._update("runs", {"stage": stage, **columns}, {"id": run.id})
        return self._must("outcome IS NULL")

    def sizes(self, since_ms: int) -> tuple[int, int]:
        """The largest size since then, or since removals were allowed; and that of the last run."""
        size = "json_extract(plan, '$.users')"
        ((peak,),) = self._rows(
            f"SELECT max({size}) FROM runs WHERE outcome = 'done'"  # noqa: S608 - a literal
            " AND ended_ms >= ? AND id >= (SELECT coalesce(max(id), 0) FROM runs"
            "  WHERE outcome = 'done' AND allowed = 1)",
            since_ms,
        )
        last = self._rows(
            f"SELECT {size} FROM runs WHERE outcome = 'done' ORDER BY id DESC LIMIT 1"  # noqa: S608 - a literal
        )
        return int(peak or 0), int((last[0][0] or 0) if last else 0)

    def end(self, run: Run, outcome: Outcome, now_ms: int, problem: str | None = None) -> Run:
        """End a run. What is known about it stays; the list of its changes goes."""
        with self.writing() as db:
            values = {"outcome": outcome, "ended_ms": now_ms, "problem": problem}
            self._update("runs", values, {"id": run.id})
            db.execute("DELETE FROM changes")
        with sqlite_errors(self.path):
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self._must("1")

    def add_parts(
        self, run: Run, files: Iterable[Part], form: FileFormat, expiration_minutes: int | None
    ) -> Run:
        """Note the files of a run that are on the disk."""
        with self.writing() as db:
            db.execute("DELETE FROM parts WHERE run = ?", (run.id,))
            self._insert(run.id, files, form)
            return self.move(run, Stage.WRITTEN, expiration_minutes=expiration_minutes)

    def take_apart(self, part: PartRecord, pieces: Iterable[Part], **columns: Any) -> None:
        """A part is replaced by pieces of it. Inside a transaction of the caller's."""
        self._insert(part.run, pieces, part.format, part.number)
        self.set_part(part, state=PartState.APART, **columns)

    def last_number(self, run_id: int) -> int:
        """The number of the last part of a run."""
        ((last,),) = self._rows("SELECT max(number) FROM parts WHERE run = ?", run_id)
        return int(last or 0)

    def _insert(
        self, run: int, files: Iterable[Part], form: FileFormat, parent: int | None = None
    ) -> None:
        self.db.executemany(
            "INSERT INTO parts (run, format, parent, number, file, size_bytes, lines, first_place,"
            " last_place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((run, form, parent, *astuple(file)) for file in files),
        )

    def parts(self, run: Run, after: int = 0) -> list[PartRecord]:
        """The files of a run, in order; those after a number."""
        found = self._rows(
            "SELECT * FROM parts WHERE run = ? AND number > ? ORDER BY number", run.id, after
        )
        return _PARTS.validate_python([dict(row) for row in found])

    def set_part(self, part: PartRecord, **columns: Any) -> None:
        """Note something about a file; inside a transaction of the caller's if there is one."""
        self._update("parts", columns, {"run": part.run, "number": part.number})

    def keep(self, part: PartRecord, trip: Trip) -> None:
        """Note what was asked of the platform for a file. In a transaction of the caller's."""
        attempts = _ATTEMPTS.dump_json(trip.attempts).decode()
        self.set_part(part, import_id=trip.import_id, attempts=attempts)

    def _run(self, condition: str) -> Run | None:
        rows = self._rows(
            f"SELECT * FROM runs WHERE {condition} ORDER BY id DESC LIMIT 1"  # noqa: S608 - conditions are literals of this file
        )
        return _RUN.validate_python(dict(rows[0])) if rows else None

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with sqlite_errors(self.path):
            return self.db.execute(query, values).fetchall()

    def _must(self, condition: str) -> Run:
        if (run := self._run(condition)) is None:
            raise AssertionError("the run is not in its ledger")
        return run

    def _update(self, table: str, values: dict[str, Any], key: dict[str, Any]) -> None:
        assignments = ", ".join(f"{name} = ?" for name in values)
        conditions = " AND ".join(f"{name} = ?" for name in key)
        with sqlite_errors(self.path):
            self.db.execute(
                f"UPDATE {table} SET {assignments} WHERE {conditions}",  # noqa: S608 - names are literals of this package
                (*values.values(), *key.values()),
            )

    def _check_about(self, about: dict[str, str], *, read_only: bool) -> None:
        known = {row["key"]: row["value"] for row in self.db.execute("SELECT * FROM about")}
        if not known and not read_only:
            with transaction(self.db):
                self.db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            return
        other = [key for key, value in about.items() if known.get(key, value) != value]
        if other:
            raise LocalStateError(
                f"the ledger {self.path} was begun with another {' and '.join(other)}",
                hint="its list of members is of no use for this: give the sync a new name",
            )
