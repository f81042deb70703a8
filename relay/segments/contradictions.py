"""UPDATE and DELETE of one user in one segment in one file: which of them wins, nobody knows.

In a temporary database on the disk, by a digest of user and segment: files may have millions of
lines, and name people.
"""

import hashlib
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from relay.disk import disk_errors
from relay.errors import InputError
from relay.segments.database import sqlite_errors
from relay.segments.model import Operation, SegmentCommand

_BATCH = 10_000


class Contradictions:
    """Takes the commands of a file, then checks them all."""

    def __enter__(self) -> Self:
        self._db = sqlite3.connect("")
        self._db.execute("PRAGMA cache_size = -16000")
        self._db.execute("CREATE TABLE asked (whom BLOB, enters INTEGER, line INTEGER)")
        self._rows: list[tuple[bytes, bool, int]] = []
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def add(self, line: int, command: SegmentCommand) -> None:
        """A command, and the line on which it stands."""
        enters = command.operation is Operation.UPDATE
        for segment in command.segments:
            text = "\0".join((*command.user, *segment))
            digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            self._rows.append((digest, enters, line))
        if len(self._rows) >= _BATCH:
            self._flush()

    def check(self, file: Path) -> None:
        """Raise InputError where a user is both put in and taken out."""
        self._flush()
        with disk_errors(file), sqlite_errors(file):
            found = self._db.execute(
                "SELECT min(line), max(line) FROM asked GROUP BY whom"
                " HAVING min(enters) < max(enters) ORDER BY 1 LIMIT 1"
            ).fetchone()
        if found is not None:
            raise InputError(
                f"{file}:{found[1]}: the user of this line stands in line {found[0]} too, once to "
                "enter the segment and once to leave it",
                hint="the platform may read the lines in any order: leave one of the two",
            )

    def _flush(self) -> None:
        self._db.executemany("INSERT INTO asked VALUES (?, ?, ?)", self._rows)
        self._rows.clear()
