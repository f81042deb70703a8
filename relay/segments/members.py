"""The users of an export against the members by the last import → what to send. In SQLite.

A million users are compared on the disk and in the order of their ids, so memory stays small
whatever the size. What was applied is applied to the members in one transaction with the ledger.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from relay.segments.database import transaction
from relay.segments.model import Operation
from relay.segments.plan import Plan

_BATCH = 10_000
_WHY_UPDATE = {
    "entering": "m.user IS NULL",
    "again": "m.sure = 0",
    # Also who was to stay for ever and now is not, or the other way round.
    "renewing": "m.sure = 1 AND (m.expires_ms BETWEEN 1 AND :horizon"
    " OR (m.expires_ms = 0) != (:minutes = 0))",
}
MINUTE_MS = 60_000
ORDINARY, DOUBTFUL = 0, 1
"""Lots: whose last command was rejected fly in files of their own. Numbers above are of pieces."""


@dataclass(frozen=True, slots=True)
class ExpiryPolicy:
    """How long a member stays by itself, and when it is renewed."""

    minutes: int = 10_080
    """0 is for ever: a sync that nobody runs any more then leaves its members behind."""
    renew_before_minutes: int = 5_040

    def __post_init__(self) -> None:
        if self.minutes and not 0 <= self.renew_before_minutes < self.minutes:
            raise ValueError("renew_before_minutes must be below minutes")


def load(
    db: sqlite3.Connection, users: Iterable[str | None], on_rows: Callable[[int], None]
) -> tuple[int, int]:
    """Put the users of an export into a scratch table; rows, and rows without a user."""
    db.execute("DROP TABLE IF EXISTS temp.seen")
    db.execute("DROP TABLE IF EXISTS temp.incoming")
    db.execute("CREATE TEMP TABLE seen (user TEXT NOT NULL)")
    rows = without = 0
    batch: list[tuple[str]] = []
    with transaction(db):
        for user in users:
            rows += 1
            if user is None:
                without += 1
            else:
                batch.append((user,))
            if len(batch) >= _BATCH:
                db.executemany("INSERT INTO seen VALUES (?)", batch)
                batch.clear()
                on_rows(rows)
        db.executemany("INSERT INTO seen VALUES (?)", batch)
        on_rows(rows)
        # Sorted first: a table that grows at its end is written once, wherever it must go.
        db.execute("CREATE TEMP TABLE incoming (user TEXT PRIMARY KEY) WITHOUT ROWID")
        db.execute("INSERT INTO incoming SELECT DISTINCT user FROM seen ORDER BY user")
        db.execute("DROP TABLE temp.seen")
    return rows, without


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
    db.execute("UPDATE changes SET lot = ? WHERE user IN (SELECT user FROM rejected)", (DOUBTFUL,))
    db.execute("DELETE FROM rejected WHERE user NOT IN (SELECT user FROM changes)")
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


def changes(db: sqlite3.Connection, lot: int) -> Iterator[tuple[str, Operation]]:
    """What has to be sent of a lot, in the order of users."""
    update, delete = Operation.UPDATE, Operation.DELETE
    for user, operation in db.execute(
        "SELECT user, operation FROM changes WHERE lot = ? ORDER BY user", (lot,)
    ):
        yield user, update if operation == "UPDATE" else delete


def nth_change(db: sqlite3.Connection, place: int, lot: int) -> str:
    """The user who is at this place of a lot, counted from 0."""
    row = db.execute(
        "SELECT user FROM changes WHERE lot = ? ORDER BY user LIMIT 1 OFFSET ?", (lot, place)
    ).fetchone()
    return str(row[0])


@dataclass(frozen=True, slots=True)
class Range:
    """The users of one file: those of a lot between two users, both included."""

    first: str
    last: str
    lot: int = ORDINARY

    def changes(self, columns: str, operation: str = "%") -> tuple[str, dict[str, Any]]:
        """A query for what is done to them, and its values."""
        query = (
            f"SELECT {columns} FROM changes WHERE user BETWEEN :first AND :last AND lot = :lot"  # noqa: S608 - literals of this file
            " AND operation LIKE :operation"
        )
        return query, {**asdict(self), "operation": operation}


def users_in(db: sqlite3.Connection, users: Range) -> Iterator[str]:
    """The users of a file, in the order of its lines."""
    query, values = users.changes("user")
    for (user,) in db.execute(f"{query} ORDER BY user", values):
        yield user


def set_apart(db: sqlite3.Connection, of: Range, users: Iterable[str], lot: int) -> int:
    """Give some of the users of a file a lot of their own."""
    db.executemany(
        "UPDATE changes SET lot = ? WHERE user = ? AND lot = ?",
        ((lot, user, of.lot) for user in users),
    )
    return lot


def apply_sure(db: sqlite3.Connection, users: Range, expires_ms: int, gone_ms: int) -> None:
    """A file was imported."""
    everybody, values = users.changes("user")
    db.execute(f"DELETE FROM rejected WHERE user IN ({everybody})", values)  # noqa: S608 - literals
    entering, values = users.changes("user, :expires, :gone, 1", "UPDATE")
    db.execute(
        f"INSERT OR REPLACE INTO members (user, expires_ms, gone_ms, sure) {entering}",
        values | {"expires": expires_ms, "gone": gone_ms},
    )
    leaving, values = users.changes("user", "DELETE")
    db.execute(f"DELETE FROM members WHERE user IN ({leaving})", values)  # noqa: S608 - literals


def apply_rejected(db: sqlite3.Connection, users: Range) -> None:
    """Every line of a file was rejected: its users are as they were."""
    everybody, values = users.changes("user")
    db.execute(f"INSERT OR IGNORE INTO rejected {everybody}", values)


def apply_unsure(db: sqlite3.Connection, users: Range, gone_ms: int) -> None:
    """Something of a file was imported, nobody knows what: everybody in it may be a member."""
    entering, values = users.changes("user, 0, :gone, 0", "UPDATE")
    db.execute(
        f"INSERT INTO members (user, expires_ms, gone_ms, sure) {entering}"
        " ON CONFLICT (user) DO UPDATE SET sure = 0, gone_ms ="
        " CASE WHEN gone_ms = 0 OR excluded.gone_ms = 0 THEN 0"
        " ELSE max(gone_ms, excluded.gone_ms) END",
        values | {"gone": gone_ms},
    )
    leaving, values = users.changes("user", "DELETE")
    db.execute(f"UPDATE members SET sure = 0 WHERE user IN ({leaving})", values)  # noqa: S608 - literals


def member_count(db: sqlite3.Connection) -> tuple[int, int]:
    """Members, and how many of them are not sure."""
    row = db.execute("SELECT count(*), coalesce(sum(sure = 0), 0) FROM members").fetchone()
    return int(row[0]), int(row[1])


def _count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - literals
