"""The SQLite file behind a ledger: opened, of the right version, its errors translated.

A file for each segment, so that syncs of different segments never wait for one another. Its
directory is locked by a file beside it, which the system unlocks when a process ends, however.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from relay.disk import LocalStateError, disk_errors
from relay.segments.errors import SegmentBusy

# "RlyS": another program's database is told apart from a damaged one of ours.
_APPLICATION_ID = 0x526C7953
VERSION = 4

_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One row for each sync or import that was begun. `outcome` is null while it is open.
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  stage TEXT NOT NULL,
  outcome TEXT,
  problem TEXT,
  began_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  source TEXT NOT NULL,
  export_id TEXT,
  exported_ms INTEGER,
  expiration_minutes INTEGER,
  plan TEXT,
  -- Whether somebody allowed removals: what was before it is no measure any more.
  allowed INTEGER NOT NULL DEFAULT 0
);

-- The files of a run. What one does to whom are the `changes` at its places.
CREATE TABLE parts (
  run INTEGER NOT NULL REFERENCES runs,
  number INTEGER NOT NULL,
  file TEXT NOT NULL,
  format TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  lines INTEGER NOT NULL,
  first_place INTEGER,
  last_place INTEGER,
  import_id TEXT,
  state TEXT NOT NULL DEFAULT 'written',
  succeeded INTEGER,
  rejected INTEGER,
  problem TEXT,
  -- The part that this one is a piece of, where that one was taken apart.
  parent INTEGER,
  -- The attempts to upload it, as JSON. Written before each call; an id comes with the answer, or
  -- later.
  attempts TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (run, number)
);

-- Who is in the segment by what was imported. `expires_ms` is the earliest moment at which the
-- platform may let the user go, `gone_ms` the moment by which it has; 0 is never. `sure` is 0 where
-- the outcome of the last command is not known.
CREATE TABLE members (
  user TEXT PRIMARY KEY,
  expires_ms INTEGER NOT NULL,
  gone_ms INTEGER NOT NULL,
  sure INTEGER NOT NULL
) WITHOUT ROWID;

-- What the open run does to whom, in the order of the lines of its files.
CREATE TABLE changes (place INTEGER PRIMARY KEY, user TEXT NOT NULL, operation TEXT NOT NULL);

-- Whose last command was rejected. They fly in files of their own, which keeps the others whole.
CREATE TABLE rejected (user TEXT PRIMARY KEY) WITHOUT ROWID;
"""


# What makes a version of the one before, statement by statement.
_TO_2 = (
    "ALTER TABLE runs ADD COLUMN allowed INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE parts ADD COLUMN parent INTEGER",
    "ALTER TABLE parts ADD COLUMN lot INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE parts ADD COLUMN attempts TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE parts DROP COLUMN sha256",
    (
        "UPDATE parts SET attempts = (SELECT json_group_array(json_object('number', attempt,"
        " 'asked_ms', asked_ms, 'execution_id', execution_id, 'adopted', adopted,"
        " 'vanished', vanished, 'status', status)) FROM executions"
        " WHERE run = parts.run AND part = parts.number)"
    ),
    "DROP TABLE executions",
    "DROP TABLE rejections",
    "ALTER TABLE changes ADD COLUMN lot INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE rejected (user TEXT PRIMARY KEY) WITHOUT ROWID",
)
_TO_3 = (
    "ALTER TABLE changes RENAME TO listed",
    "CREATE TABLE changes (place INTEGER PRIMARY KEY, user TEXT NOT NULL, operation TEXT NOT NULL)",
    (
        "INSERT INTO changes SELECT (lot << 40) + row_number() OVER (ORDER BY lot, user),"
        " user, operation FROM listed"
    ),
    "DROP TABLE listed",
    "ALTER TABLE parts RENAME COLUMN first_user TO first_place",
    "ALTER TABLE parts RENAME COLUMN last_user TO last_place",
    (
        "UPDATE parts SET first_place = (SELECT place FROM changes WHERE user = first_place),"
        " last_place = (SELECT place FROM changes WHERE user = last_place)"
    ),
    "ALTER TABLE parts DROP COLUMN lot",
)
_TO_4 = ("ALTER TABLE parts DROP COLUMN import_asked",)
_STEPS = (_TO_2, _TO_3, _TO_4)


def open_database(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a ledger's database, and make it if there is none."""
    with sqlite_errors(path), disk_errors(path):
        if read_only:
            db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        else:
            path.touch(mode=0o600)  # it names people
            db = sqlite3.connect(path, isolation_level=None)
        db.row_factory = sqlite3.Row
        try:
            _check_version(path, db)
            if not read_only:
                _prepare(db)
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, and on the disk when it ends."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite has ended it already where the disk was full
            db.execute("ROLLBACK")
        raise


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Translate what SQLite says about the file at `path`."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith("SQLITE_FULL"):
            problem, hint = "the disk is full", "make room, then run again: it resumes"
        elif name.startswith("SQLITE_BUSY"):
            problem, hint = "another process holds it", "wait until that has ended"
        elif name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            problem = "it is damaged, or no ledger at all"
            hint = "restore it, or move it away: the next sync then sends every member again"
        else:
            problem, hint = f"{name or type(error).__name__}", "check the disk and the rights"
        raise LocalStateError(f"the ledger {path}: {problem}", hint=hint) from None


@contextmanager
def locked(directory: Path, what: str) -> Iterator[None]:
    """Hold the directory for this process alone, or raise SegmentBusy."""
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            raise SegmentBusy(
                f"{what} is being worked on by process {holder or 'unknown'}",
                hint="one at a time: wait until it has ended",
            ) from None
        with disk_errors(directory):
            os.truncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def _check_version(path: Path, db: sqlite3.Connection) -> None:
    (application_id,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application_id not in (0, _APPLICATION_ID):
        raise LocalStateError(f"{path} is a database of another program")
    if version > VERSION:
        raise LocalStateError(
            f"the ledger {path} is of version {version}, this Relay knows {VERSION}",
            hint="use the newer Relay that wrote it; nothing was changed",
        )


def _prepare(db: sqlite3.Connection) -> None:
    # Readers (`status`) do not wait for a sync; a commit is on the disk when it returns.
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    # Bounds of memory: 20 MB of pages; sorting beyond that goes to temporary files.
    db.execute("PRAGMA cache_size = -20000")
    db.execute("PRAGMA temp_store = FILE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version < VERSION:
        with transaction(db):
            steps = (_SCHEMA.split(";\n"),) if version == 0 else _STEPS[version - 1 :]
            for statement in chain(*steps):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
