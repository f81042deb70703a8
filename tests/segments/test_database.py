"""The ledger's file: opened, refused, locked."""

import errno
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap

import pytest

from relay.disk import LocalStateError
from relay.errors import ExitStatus
from relay.segments.database import (
    _TO_2,
    VERSION,
    locked,
    open_database,
    sqlite_errors,
    transaction,
)
from relay.segments.errors import SegmentBusy
from relay.segments.ledger import Outcome, PartState, RunLedger
from relay.segments.members import LOTS, changes
from relay.segments.model import Operation
from relay.segments.next_step import Attempt

ABOUT = {"datamart": "1", "segment": "segment_id 7"}


def test_a_ledger_names_people_and_is_for_its_owner_alone(tmp_path):
    RunLedger(tmp_path / "ledger.sqlite", ABOUT).close()
    assert stat.S_IMODE((tmp_path / "ledger.sqlite").stat().st_mode) == 0o600


def test_a_ledger_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "ledger.sqlite"
    RunLedger(path, ABOUT).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(LocalStateError, match="version 5, this Relay knows 4") as caught:
        RunLedger(path, ABOUT)
    assert caught.value.exit_status is ExitStatus.LOCAL_STATE
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all, but long enough to look like one" * 20])
def test_a_file_that_is_no_ledger_is_refused(tmp_path, content):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(LocalStateError, match="damaged, or no ledger at all"):
        RunLedger(path, ABOUT)


def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA application_id = 7")
        db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(LocalStateError, match="another program"):
        RunLedger(path, ABOUT)


def test_a_ledger_of_another_segment_is_refused(tmp_path):
    RunLedger(tmp_path / "ledger.sqlite", ABOUT).close()
    with pytest.raises(LocalStateError, match="another segment"):
        RunLedger(tmp_path / "ledger.sqlite", ABOUT | {"segment": "segment_id 8"})


def test_a_ledger_can_be_read_while_it_is_written(tmp_path):
    path = tmp_path / "ledger.sqlite"
    ledger = RunLedger(path, ABOUT)
    run = ledger.begin("r", "s", 1)
    with ledger.writing() as db:
        db.execute("DELETE FROM members")
        reader = RunLedger(path, {}, read_only=True)
        assert reader.open_run() == run
        reader.close()
    ledger.close()


def test_a_full_disk_is_said_as_such_and_changes_nothing(tmp_path):
    path = tmp_path / "ledger.sqlite"
    ledger = RunLedger(path, ABOUT)
    pages = ledger.db.execute("PRAGMA page_count").fetchone()[0]
    ledger.db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LocalStateError, match="the disk is full"), ledger.writing() as db:
        db.executemany("INSERT INTO members VALUES (?, 0, 0, 1)", ((str(n),) for n in range(9999)))
    assert ledger.db.execute("SELECT count(*) FROM members").fetchone()[0] == 0
    ledger.close()


def fail_half_way(db):
    db.execute("INSERT INTO about VALUES ('a', 'b')")
    db.execute("SELECT * FROM nothing")


def test_a_commit_is_on_the_disk_when_it_returns(tmp_path):
    """In a log that is written ahead, only FULL (2) waits for the disk at each commit."""
    with open_database(tmp_path / "ledger.sqlite") as db:
        assert tuple(db.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
        assert tuple(db.execute("PRAGMA synchronous").fetchone()) == (2,)


def test_a_transaction_is_all_or_nothing(tmp_path):
    db = open_database(tmp_path / "ledger.sqlite")
    with pytest.raises(sqlite3.OperationalError), transaction(db):
        fail_half_way(db)
    assert db.execute("SELECT count(*) FROM about").fetchone()[0] == 0
    db.close()


def test_other_errors_of_the_database_have_a_meaning_too(tmp_path):
    with pytest.raises(LocalStateError, match="SQLITE_ERROR"), sqlite_errors(tmp_path):
        sqlite3.connect(":memory:").execute("SELECT * FROM nothing")


def test_one_process_at_a_time_works_on_a_segment(tmp_path):
    with locked(tmp_path / "churn", "the sync churn"):
        script = textwrap.dedent(f"""
            from pathlib import Path
            from relay.segments.database import locked
            with locked(Path({str(tmp_path / "churn")!r}), "the sync churn"):
                print("in")
        """)
        other = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert f"SegmentBusy: the sync churn is being worked on by process {os.getpid()}" in (
            other.stderr
        )
    with locked(tmp_path / "churn", "the sync churn"):
        pass
    assert SegmentBusy("x").exit_status is ExitStatus.SEGMENT_BUSY


def test_a_run_ends_once_and_its_list_of_changes_with_it(tmp_path):
    ledger = RunLedger(tmp_path / "ledger.sqlite", ABOUT)
    run = ledger.begin("r", "s", 1)
    assert ledger.open_run() == run
    ledger.db.execute("INSERT INTO changes (user, operation) VALUES ('u', 'UPDATE')")
    ended = ledger.end(run, Outcome.DONE, 2)
    assert (ended.outcome, ended.ended_ms) == (Outcome.DONE, 2)
    assert ledger.open_run() is None
    assert ledger.last_run() == ended
    assert ledger.db.execute("SELECT count(*) FROM changes").fetchone()[0] == 0
    ledger.close()


def test_a_disk_that_is_full_at_the_very_start_is_said_as_such(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(LocalStateError, match="No space left"), locked(tmp_path / "d", "it"):
        raise AssertionError("it was not locked")


def test_a_ledger_of_the_version_before_is_taken_along(tmp_path):
    path = tmp_path / "ledger.sqlite"
    db = sqlite3.connect(path)
    db.executescript(V1)
    db.close()
    ledger = RunLedger(path, {})
    (part,) = ledger.parts(ledger.last_run())
    assert (part.state, part.parent, part.users) == (PartState.DONE, None, None)
    assert part.attempts == [Attempt(1, 7, "e-1", status="SUCCEEDED")]
    assert ledger.sizes(0) == (5, 5)
    ledger.close()


def test_an_open_run_of_the_second_version_goes_on_with_the_same_users(tmp_path):
    path = tmp_path / "ledger.sqlite"
    db = sqlite3.connect(path)
    db.executescript(V1 + ";".join(_TO_2))
    db.executescript("""
        INSERT INTO changes VALUES ('b', 'UPDATE', 0), ('a', 'DELETE', 0), ('c', 'UPDATE', 1),
          ('d', 'UPDATE', 0);
        UPDATE runs SET outcome = NULL;
        UPDATE parts SET first_user = 'a', last_user = 'b';
        INSERT INTO parts (run, number, file, format, size_bytes, lines, first_user, last_user, lot)
          VALUES (1, 2, 'part-0002.ndjson', 'ndjson', 1, 1, 'd', 'd', 0),
                 (1, 3, 'part-0003.ndjson', 'ndjson', 1, 1, 'c', 'c', 1);
        PRAGMA user_version = 2;
    """)
    db.close()
    ledger = RunLedger(path, {})
    parts = ledger.parts(ledger.open_run())
    found = [[user for user, _ in changes(ledger.db, part.users)] for part in parts]
    assert found == [["a", "b"], ["d"], ["c"]]
    assert dict(changes(ledger.db, LOTS[1])) == {"c": Operation.UPDATE}
    ledger.close()


V1 = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stage TEXT NOT NULL,
  outcome TEXT, problem TEXT, began_ms INTEGER NOT NULL, ended_ms INTEGER, source TEXT NOT NULL,
  export_id TEXT, exported_ms INTEGER, expiration_minutes INTEGER, plan TEXT);
CREATE TABLE parts (run INTEGER NOT NULL, number INTEGER NOT NULL, file TEXT NOT NULL,
  format TEXT NOT NULL, size_bytes INTEGER NOT NULL, lines INTEGER NOT NULL, sha256 TEXT NOT NULL,
  first_user TEXT, last_user TEXT, import_asked INTEGER NOT NULL DEFAULT 0, import_id TEXT,
  state TEXT NOT NULL DEFAULT 'written', succeeded INTEGER, rejected INTEGER, problem TEXT,
  PRIMARY KEY (run, number));
CREATE TABLE executions (run INTEGER NOT NULL, part INTEGER NOT NULL, attempt INTEGER NOT NULL,
  asked_ms INTEGER NOT NULL, execution_id TEXT, adopted INTEGER NOT NULL DEFAULT 0,
  vanished INTEGER NOT NULL DEFAULT 0, status TEXT, PRIMARY KEY (run, part, attempt));
CREATE TABLE members (user TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL, gone_ms INTEGER NOT NULL,
  sure INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE changes (user TEXT PRIMARY KEY, operation TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rejections (part INTEGER NOT NULL, line INTEGER, user TEXT, reason TEXT NOT NULL);
INSERT INTO about VALUES ('segment', 'x');
INSERT INTO runs VALUES (1, 'r', 'written', 'done', NULL, 1, 2, 's', NULL, NULL, 5,
  '{"rows": 5, "without_id": 0, "repeated": 0, "users": 5, "members": 0, "entering": 5,
    "renewing": 0, "again": 0, "leaving": 0}');
INSERT INTO parts (run, number, file, format, size_bytes, lines, sha256, state)
  VALUES (1, 1, 'part-0001.ndjson', 'ndjson', 1, 1, '', 'done');
INSERT INTO executions VALUES (1, 1, 1, 7, 'e-1', 0, 0, 'SUCCEEDED');
PRAGMA application_id = 0x526C7953;
PRAGMA user_version = 1;
"""
