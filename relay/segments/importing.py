"""A file of segment commands → the platform, once: read, checked whole, cut into parts, uploaded.

What was imported is known by the SHA-256 of the file: the same content is not uploaded again unless
that is asked for, and an import that was cut off is gone on with.
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from relay.disk import disk_errors
from relay.errors import InputError
from relay.segments.contradictions import Contradictions
from relay.segments.driver import Platform
from relay.segments.formats import FileFormat, encoder, read_commands
from relay.segments.ledger import Ledger, Outcome, Run, Stage, Written
from relay.segments.model import Operation, SegmentCommand
from relay.segments.parts import write_parts
from relay.segments.policy import UploadPolicy
from relay.segments.progress import Progress
from relay.segments.report import Report, keep_rejected, report, why_failed
from relay.segments.uploads import Uploads

_CHUNK_BYTES = 1 << 20


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
    with Contradictions() as asked:
        for count, (number, command) in enumerate(read_commands(path, form), start=1):
            counts[command.operation] += 1
            used |= command.model_fields_set
            asked.add(number, command)
            if count % 10_000 == 0:
                progress.at(count)
        asked.check(path)
    if not any(counts.values()):
        raise InputError(f"{path}: holds no command")
    columns = tuple(name for name in SegmentCommand.model_fields if name in used)
    return Checked(_sha256(path), counts[Operation.UPDATE], counts[Operation.DELETE], columns)


@dataclass(frozen=True, slots=True)
class FileImport:
    """Imports one file. The caller holds the lock on the ledger's directory."""

    path: Path
    form: FileFormat
    part_bytes_max: int
    policy: UploadPolicy
    ledger: Ledger
    directory: Path
    platform: Platform
    rng: random.Random
    progress: Progress

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
            run = self._begin(checked)
        if run.stage is not Stage.WRITTEN:
            run = self._write(run, checked)
        await self._upload(run)
        return report(self.ledger, self._finish(run), resumed=resumed)

    def _begin(self, checked: Checked) -> Run:
        now_ms = self.platform.clock.now_ms()
        stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        name = f"relay-import-{checked.sha256[:8]}-{stamp}-{self.rng.getrandbits(32):08x}"
        return self.ledger.begin(name, "file", now_ms)

    def _write(self, run: Run, checked: Checked) -> Run:
        self.progress.begin("writing files", checked.commands, "lines")
        codec = encoder(self.form, checked.columns)
        parts = write_parts(
            self._lines(codec.line),
            self.directory,
            self.form.value,
            header=codec.header,
            bytes_max=self.part_bytes_max,
        )
        written = [Written(part) for part in parts]
        if sum(file.part.lines for file in written) != checked.commands:
            raise InputError(f"{self.path}: was changed while it was read: nothing was uploaded")
        return self.ledger.add_parts(run, written, self.form, None)

    def _lines(self, line: Callable[[SegmentCommand], bytes]) -> Iterator[bytes]:
        for count, (_, command) in enumerate(read_commands(self.path, self.form), start=1):
            yield line(command)
            if count % 10_000 == 0:
                self.progress.at(count)

    async def _upload(self, run: Run) -> None:
        await Uploads(
            self.platform, self.ledger, self.directory, run, self.policy, self.progress
        ).see_through()

    def _finish(self, run: Run) -> Run:
        keep_rejected(self.ledger, run, self.directory)
        failed = why_failed(self.ledger, run, "the same command imports the file again")
        outcome = Outcome.DONE if failed is None else Outcome.FAILED
        problem = None if failed is None else failed.problem
        ended = self.ledger.end(run, outcome, self.platform.clock.now_ms(), problem)
        with disk_errors(self.directory):
            for path in self.directory.glob("part-*"):
                path.unlink()
        if failed is not None:
            raise failed
        return ended


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
