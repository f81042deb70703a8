"""The users of an export against the members by the last import → what to send. In SQLite.

A million users are compared on the disk and in the order of their ids, so memory stays small
whatever the size. What was applied is applied to the members in one transaction with the ledger.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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
    db.execute("UPDATE changes SET doubtful = 1 WHERE user IN (SELECT user FROM rejected)")
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


def changes(db: sqlite3.Connection, *, doubtful: bool) -> Iterator[tuple[str, Operation]]:
    """What has to be sent, in the order of users; `doubtful`: whose last command was rejected."""
    update, delete = Operation.UPDATE, Operation.DELETE
    for user, operation in db.execute(
        "SELECT user, operation FROM changes WHERE doubtful = ? ORDER BY user", (doubtful,)
    ):
        yield user, update if operation == "UPDATE" else delete


def nth_change(db: sqlite3.Connection, place: int, *, doubtful: bool) -> str:
    """The user who is at this place among those changes, counted from 0."""
    row = db.execute(
        "SELECT user FROM changes WHERE doubtful = ? ORDER BY user LIMIT 1 OFFSET ?",
        (doubtful, place),
    ).fetchone()
    return str(row[0])


@dataclass(frozen=True, slots=True)
class Range:
    """The users of one file: between two users, both included."""

    first: str
    last: str
    doubtful: bool = False


def users_in(db: sqlite3.Connection, users: Range) -> Iterator[str]:
    """The users of a file, in the order of its lines."""
    for (user,) in db.execute(
        "SELECT user FROM changes WHERE user BETWEEN ? AND ? AND doubtful = ? ORDER BY user",
        (users.first, users.last, users.doubtful),
    ):
        yield user


def apply_sure(
    db: sqlite3.Connection, part: int, users: Range, expires_ms: int, gone_ms: int
) -> None:
    """A file was imported but for the rejected lines: those users are as they were."""
    of_part = "SELECT user FROM rejections WHERE part = :part AND user IS NOT NULL"
    scope = f"user BETWEEN :first AND :last AND doubtful = :doubtful AND user NOT IN ({of_part})"
    values = {
        "first": users.first, "last": users.last, "doubtful": users.doubtful, "part": part,
    }  # fmt: skip
    db.execute(
        f"DELETE FROM rejected WHERE user IN (SELECT user FROM changes WHERE {scope})",  # noqa: S608 - a literal
        values,
    )
    db.execute(f"INSERT OR IGNORE INTO rejected {of_part}", {"part": part})
    db.execute(
        "INSERT OR REPLACE INTO members (user, expires_ms, gone_ms, sure)"  # noqa: S608 - a literal
        f" SELECT user, :expires, :gone, 1 FROM changes WHERE operation = 'UPDATE' AND {scope}",
        values | {"expires": expires_ms, "gone": gone_ms},
    )
    db.execute(
        "DELETE FROM members WHERE user IN"  # noqa: S608 - a literal
        f" (SELECT user FROM changes WHERE operation = 'DELETE' AND {scope})",
        values,
    )


def apply_unsure(db: sqlite3.Connection, users: Range, gone_ms: int) -> None:
    """Something of a file was imported, nobody knows what: everybody in it may be a member."""
    values = {
        "first": users.first, "last": users.last, "doubtful": users.doubtful, "gone": gone_ms,
    }  # fmt: skip
    db.execute(
        "INSERT INTO members (user, expires_ms, gone_ms, sure)"
        " SELECT user, 0, :gone, 0 FROM changes"
        " WHERE operation = 'UPDATE' AND user BETWEEN :first AND :last AND doubtful = :doubtful"
        " ON CONFLICT (user) DO UPDATE SET sure = 0, gone_ms ="
        " CASE WHEN gone_ms = 0 OR excluded.gone_ms = 0 THEN 0"
        " ELSE max(gone_ms, excluded.gone_ms) END",
        values,
    )
    db.execute(
        "UPDATE members SET sure = 0 WHERE user IN (SELECT user FROM changes"
        " WHERE operation = 'DELETE' AND user BETWEEN :first AND :last AND doubtful = :doubtful)",
        values,
    )


def member_count(db: sqlite3.Connection) -> tuple[int, int]:
    """Members, and how many of them are not sure."""
    row = db.execute("SELECT count(*), coalesce(sum(sure = 0), 0) FROM members").fetchone()
    return int(row[0]), int(row[1])


def _count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - literals
