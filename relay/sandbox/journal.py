"""Every request as it came, in order of arrival, and what became of it: the log of the sandbox.

A chaos test reads it (`GET /_sandbox/log`) and judges loss, order and duplicates from it alone.
It is bounded: the oldest entries go first, and `dropped` says how many.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import orjson


class Stored(StrEnum):
    """Whether a request changed what the sandbox keeps."""

    NO = "no"
    NEW = "new"
    REPEAT = "repeat"
    """Its `$unique_key` was known already."""


@dataclass(frozen=True, slots=True)
class EventSeen:
    """What order is judged on: the event's name, its sequence number and its time, if given."""

    name: str
    seq: int | None
    ts: int | None


@dataclass(slots=True)
class Entry:
    """One request, with the fields of its line in the log. Filled in while it is processed."""

    n: int
    at_ms: int
    method: str
    path: str
    unique_key: str | None = None
    user: str | None = None
    identifiers: tuple[str, ...] = ()
    events: tuple[EventSeen, ...] = ()
    stored: Stored = Stored.NO
    stored_n: int | None = None
    status: int | None = None
    answer_lost: bool = False
    fault: str | None = None


class Journal:
    """The entries in order of arrival, numbered from 1."""

    def __init__(self, entries_max: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=entries_max)
        self.arrived = 0
        self.stored = 0

    @property
    def dropped(self) -> int:
        """How many entries had to go."""
        return self.arrived - len(self._entries)

    def open(self, at_ms: int, method: str, path: str) -> Entry:
        """A request has arrived."""
        self.arrived += 1
        entry = Entry(self.arrived, at_ms, method, path)
        self._entries.append(entry)
        return entry

    def store(self, entry: Entry, stored: Stored) -> None:
        """The request changed the state; `stored_n` tells in which order that happened."""
        self.stored += 1
        entry.stored = stored
        entry.stored_n = self.stored

    def lines(self) -> Iterator[bytes]:
        """The log as NDJSON. The entries are those of the moment of the call."""
        for entry in list(self._entries):
            yield orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
