"""A file of segment commands → the platform, once: read, checked whole, cut into parts, uploaded.

What was imported is known by the SHA-256 of the file: the same content is not uploaded again unless
that is asked for, and an import that was cut off is gone on with.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from relay.disk import disk_errors
from relay.errors import InputError
from relay.segments.database import sqlite_errors
from relay.segments.formats import FileFormat, encoder, read_commands
from relay.segments.ledger import Outcome, Run, Stage
from relay.segments.model import Operation, SegmentCommand
from relay.segments.parts import write_parts
from relay.segments.policy import UploadPolicy
from relay.segments.progress import Progress, told
from relay.segments.report import Report, report
from relay.segments.runs import Runs


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that can be imported."""

    sha256: str
    updates: int
    deletes: int
    columns: tuple[str, ...]
    """The fields that it uses."""

    @property
    def commands(self) -> int:
        """Lines that would be uploaded."""
        return self.updates + self.deletes


def check_file(path: Path, form: FileFormat, progress: Progress) -> Checked:
    """Read all of a file; raise InputError at the first line that is not a command."""
    progress.begin("checking the file", None, "lines")
    used: set[str] = set()
    counts = dict.fromkeys(Operation, 0)

    def asked() -> Iterator[tuple[bytes, bool, int]]:
        for number, command in told(progress, read_commands(path, form)):
            counts[command.operation] += 1
            used.update(command.model_fields_set)
            enters = command.operation is Operation.UPDATE
            yield from ((digest, enters, number) for digest in _memberships(command))

    _refuse_contradictions(path, asked())
    if not any(counts.values()):
        raise InputError(f"{path}: holds no command")
    columns = tuple(name for name in SegmentCommand.model_fields if name in used)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Checked(sha256, counts[Operation.UPDATE], counts[Operation.DELETE], columns)


def _memberships(command: SegmentCommand) -> Iterator[bytes]:
    """User and segment, as digests: files may have millions of lines, and name people."""
    for segment in command.segments:
        text = "\0".join((*command.user, *segment)).encode("utf-8", "surrogatepass")
        yield hashlib.blake2b(text, digest_size=16).digest()


def _refuse_contradictions(path: Path, asked: Iterator[tuple[bytes, bool, int]]) -> None:
    """UPDATE and DELETE of one user in one segment: which of them wins, nobody knows."""
    # A temporary database, on the disk where it is large.
    with closing(sqlite3.connect("")) as db, disk_errors(path), sqlite_errors(path):
        db.execute("PRAGMA cache_size = -16000")
        db.execute("CREATE TABLE asked (whom BLOB, enters INTEGER, line INTEGER)")
        db.executemany("INSERT INTO asked VALUES (?, ?, ?)", asked)
        found = db.execute(
            "SELECT min(line), max(line) FROM asked GROUP BY whom"
            " HAVING min(enters) < max(enters) ORDER BY 1 LIMIT 1"
        ).fetchone()
    if found is not None:
        raise InputError(
            f"{path}:{found[1]}: the user of this line stands in line {found[0]} too, once to "
            "enter the segment and once to leave it",
            hint="the platform may read the lines in any order: leave one of the two",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImport(Runs):
    """Imports one file."""

    path: Path
    form: FileFormat
    part_bytes_max: int
    policy: UploadPolicy

    async def run(self, checked: Checked, *, again: bool = False) -> Report:
        """Go on with the open import of this file, or begin one, and see it through."""
        run = self.ledger.open_run()
        resumed = run is not None
        if run is None:
            last = self.ledger.last_run()
            if last is not None and last.outcome is Outcome.DONE and not again:
                when = datetime.fromtimestamp((last.ended_ms or 0) / 1000, UTC)
                raise InputError(
                    f"{self.path}: was imported at {when:%Y-%m-%d %H:%M} UTC as {last.name}",
                    hint="to import the same commands again, say --again",
                )
            run = self.begin(f"import-{checked.sha256[:8]}", "file")
        if run.stage is not Stage.WRITTEN:
            run = self._write(run, checked)
        await self.upload(run, self.policy)
        ended = self.finish(run, "the same command imports the file again")
        return report(self.ledger, ended, resumed=resumed)

    def _write(self, run: Run, checked: Checked) -> Run:
        self.progress.begin("writing files", checked.commands, "lines")
        codec = encoder(self.form, checked.columns)
        commands = told(self.progress, read_commands(self.path, self.form))
        written = list(
            write_parts(
                (codec.line(command) for _, command in commands),
                self.directory,
                self.form.value,
                header=codec.header,
                bytes_max=self.part_bytes_max,
            )
        )
        if sum(part.lines for part in written) != checked.commands:
            raise InputError(f"{self.path}: was changed while it was read: nothing was uploaded")
        return self.ledger.add_parts(run, written, self.form, None)
