"""The users of an export against the members by the last import → what to send. In SQLite.

A million users are compared on the disk and in the order of their ids, so memory stays small
whatever the size. What was applied is applied to the members in one transaction with the ledger.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from relay.segments.database import transaction
from relay.segments.model import Operation
from relay.segments.plan import Plan

_WHY_UPDATE = {
    "entering": "m.user IS NULL",
    "again": "m.sure = 0",
    # Also who was to stay for ever and now is not, or the other way round.
    "renewing": "m.sure = 1 AND (m.expires_ms BETWEEN 1 AND :horizon"
    " OR (m.expires_ms = 0) != (:minutes = 0))",
}
MINUTE_MS = 60_000
_ENTERING = "FROM changes WHERE place BETWEEN ? AND ? AND operation = 'UPDATE'"
_LEAVING = "FROM changes WHERE place BETWEEN ? AND ? AND operation = 'DELETE'"


class Places(NamedTuple):
    """Where the changes of a file stand in `changes`: from one place to another, both included."""

    first_place: int
    last_place: int


_DOUBTFUL = 1 << 40
LOTS = (Places(1, _DOUBTFUL - 1), Places(_DOUBTFUL, 1 << 62))
"""Whose last command was rejected fly in files of their own, which keeps the others whole."""


@dataclass(frozen=True, slots=True)
class ExpiryPolicy:
    """How long a member stays by itself, and when it is renewed."""

    minutes: int = 10_080
    """0 is for ever: a sync that nobody runs any more then leaves its members behind."""
    renew_before_minutes: int = 5_040

    def __post_init__(self) -> None:
        if self.minutes and not 0 <= self.renew_before_minutes < self.minutes:
            raise ValueError("renew_before_minutes must be below minutes")


def load(db: sqlite3.Connection, users: Iterable[str | None]) -> tuple[int, int]:
    """Put the users of an export into a scratch table; rows, and rows without a user."""
    db.execute("DROP TABLE IF EXISTS temp.seen")
    db.execute("DROP TABLE IF EXISTS temp.incoming")
    db.execute("CREATE TEMP TABLE seen (user TEXT)")
    with transaction(db):
        rows = db.executemany("INSERT INTO seen VALUES (?)", ((user,) for user in users)).rowcount
        named = int(db.execute("SELECT count(user) FROM seen").fetchone()[0])
        # Sorted first: a table that grows at its end is written once, wherever it must go.
        db.execute("CREATE TEMP TABLE incoming (user TEXT PRIMARY KEY) WITHOUT ROWID")
        db.execute(
            "INSERT INTO incoming SELECT DISTINCT user FROM seen WHERE user IS NOT NULL"
            " ORDER BY user"
        )
        db.execute("DROP TABLE temp.seen")
    return rows, rows - named


def compare(
    db: sqlite3.Connection, loaded: tuple[int, int], policy: ExpiryPolicy, now_ms: int
) -> Plan:
    """Fill `changes` with what has to be sent. Within a transaction of the caller's."""
    rows, without = loaded
    db.execute("DELETE FROM changes")
    # Expired on the platform for certain: these are members no more, and need no DELETE.
    db.execute("DELETE FROM members WHERE gone_ms != 0 AND gone_ms <= ?", (now_ms,))
    horizon = now_ms + policy.renew_before_minutes * MINUTE_MS
    counts = {"entering": 0, "again": 0, "renewing": 0, "leaving": 0}
    for why, condition in _WHY_UPDATE.items():
        counts[why] = db.execute(
            "INSERT INTO changes (user, operation) SELECT i.user, 'UPDATE' FROM temp.incoming i"  # noqa: S608 - literals above
            f" LEFT JOIN members m ON m.user = i.user WHERE {condition} ORDER BY i.user",
            {"horizon": horizon, "minutes": policy.minutes},
        ).rowcount
    counts["leaving"] = db.execute(
        "INSERT INTO changes (user, operation) SELECT m.user, 'DELETE' FROM members m"
        " WHERE NOT EXISTS (SELECT 1 FROM temp.incoming i WHERE i.user = m.user) ORDER BY m.user"
    ).rowcount
    db.execute(
        "UPDATE changes SET place = place + ? WHERE EXISTS (SELECT 1 FROM rejected)"
        " AND user IN (SELECT user FROM rejected)",
        (_DOUBTFUL,),
    )
    db.execute(
        "DELETE FROM rejected WHERE user NOT IN (SELECT user FROM changes WHERE place >= ?)",
        (_DOUBTFUL,),
    )
    users = _count(db, "temp.incoming")
    members = _count(db, "members")
    db.execute("DROP TABLE temp.incoming")
    return Plan(
        rows=rows,
        without_id=without,
        repeated=rows - without - users,
        users=users,
        members=members,
        **counts,
    )


def changes(db: sqlite3.Connection, of: Places) -> Iterator[tuple[str, Operation]]:
    """What has to be sent, in the order of places."""
    update, delete = Operation.UPDATE, Operation.DELETE
    query = "SELECT user, operation FROM changes WHERE place BETWEEN ? AND ? ORDER BY place"
    for user, operation in db.execute(query, of):
        yield user, update if operation == "UPDATE" else delete


def next_places(db: sqlite3.Connection, after: int, lines: int) -> Places:
    """The places of so many lines after a place."""
    query = "SELECT place FROM changes WHERE place > ? ORDER BY place LIMIT ?"
    row = db.execute(f"SELECT min(place), max(place) FROM ({query})", (after, lines)).fetchone()  # noqa: S608 - a literal
    return Places(*row)


def set_apart(db: sqlite3.Connection, of: Places, users: Iterable[str]) -> Places:
    """Give some of the users of a file places of their own, behind all others."""
    theirs = "place BETWEEN ? AND ? AND user IN (SELECT value FROM json_each(?))"
    values = (*of, json.dumps(list(users)))
    last = int(db.execute("SELECT max(place) FROM changes").fetchone()[0])
    moved = db.execute(
        "INSERT INTO changes (user, operation) SELECT user, operation FROM changes"  # noqa: S608 - a literal
        f" WHERE {theirs} ORDER BY place",
        values,
    ).rowcount
    db.execute(f"DELETE FROM changes WHERE {theirs}", values)  # noqa: S608 - a literal
    return Places(last + 1, last + moved)


def apply_sure(db: sqlite3.Connection, of: Places, expires_ms: int, gone_ms: int) -> None:
    """A file was imported."""
    # Only of whose last command was rejected some are in that list.
    db.execute(
        "DELETE FROM rejected WHERE user IN"
        " (SELECT user FROM changes WHERE place BETWEEN max(?, ?) AND ?)",
        (_DOUBTFUL, *of),
    )
    db.execute(
        "INSERT OR REPLACE INTO members (user, expires_ms, gone_ms, sure)"
        f" SELECT user, ?, ?, 1 {_ENTERING}",
        (expires_ms, gone_ms, *of),
    )
    db.execute(f"DELETE FROM members WHERE user IN (SELECT user {_LEAVING})", of)  # noqa: S608 - literals


def apply_rejected(db: sqlite3.Connection, of: Places) -> None:
    """Every line of a file was rejected: its users are as they were."""
    query = "INSERT OR IGNORE INTO rejected SELECT user FROM changes WHERE place BETWEEN ? AND ?"
    db.execute(query, of)


def apply_unsure(db: sqlite3.Connection, of: Places, gone_ms: int) -> None:
    """Something of a file was imported, nobody knows what: everybody in it may be a member."""
    db.execute(
        "INSERT INTO members (user, expires_ms, gone_ms, sure)"
        f" SELECT user, 0, ?, 0 {_ENTERING}"
        " ON CONFLICT (user) DO UPDATE SET sure = 0, gone_ms ="
        " CASE WHEN gone_ms = 0 OR excluded.gone_ms = 0 THEN 0"
        " ELSE max(gone_ms, excluded.gone_ms) END",
        (gone_ms, *of),
    )
    db.execute(f"UPDATE members SET sure = 0 WHERE user IN (SELECT user {_LEAVING})", of)  # noqa: S608 - literals


def member_count(db: sqlite3.Connection) -> tuple[int, int]:
    """Members, and how many of them are not sure."""
    row = db.execute("SELECT count(*), coalesce(sum(sure = 0), 0) FROM members").fetchone()
    return int(row[0]), int(row[1])


def _count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - literals
