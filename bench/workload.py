"""The events that every contender gets: the same bytes for the same arguments.

An event is a `track` of the native input format, padded to its size. The marker in its properties
(`bench:<user>:<number>:<created>`) is what the sink looks for; `number` counts that user's events
from 0, which is the order that has to be kept.
"""

import bisect
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

DATAMART = "1234"
COMPARTMENT = "1000"


class Event(NamedTuple):
    """A record to be produced: its key is the user."""

    user: int
    key: bytes
    value: bytes


@dataclass(frozen=True)
class Workload:
    """How many events, whose, and how large. `zipf` 0 gives every user the same share."""

    events: int
    users: int = 20_000
    zipf: float = 1.1
    size_bytes: int = 600
    seed: int = 1

    def users_in_order(self) -> Iterator[int]:
        """Whose each event is."""
        rng = random.Random(self.seed)
        if self.zipf == 0:
            for _ in range(self.events):
                yield rng.randrange(self.users)
            return
        shares = list(itertools.accumulate((rank + 1) ** -self.zipf for rank in range(self.users)))
        # Users are not numbered by rank: neighbours in rank would share partitions.
        names = list(range(self.users))
        rng.shuffle(names)
        for _ in range(self.events):
            yield names[bisect.bisect_left(shares, rng.random() * shares[-1])]

    def make(self, created_us: Iterator[int] | None = None) -> Iterator[Event]:
        """The events; `created_us` gives each its time, or all are from the same moment."""
        numbers = [0] * self.users
        same = itertools.repeat(1_767_261_600_000_000)  # 2026-01-01: no clock in recorded bytes
        padding = max(0, self.size_bytes - len(_event(0, 0, 0, 0)) + len("x"))
        for user, created in zip(self.users_in_order(), created_us or same, strict=False):
            number = numbers[user]
            numbers[user] += 1
            yield Event(user, b"user-%07d" % user, _event(user, number, created, padding))

    def counts(self) -> list[int]:
        """How many events each user has: what the judge expects."""
        counts = [0] * self.users
        for user in self.users_in_order():
            counts[user] += 1
        return counts

    def expect(self, path: Path) -> None:
        """Writes down what the judge expects."""
        path.write_text(json.dumps(self.counts()))


def _event(user: int, number: int, created_us: int, padding: int) -> bytes:
    return (
        b'{"type":"track","id":"%07d-%09d","ts":%013d,"user":{"accounts":[{"id":"crm-%07d"}]},'
        b'"app_id":"1023","session_status":"IN_SESSION","event":"page_seen","properties":'
        b'{"page":"shoes","price":49.9,"marker":"bench:%07d:%09d:%016d","text":"%s"}}'
        % (user, number, created_us // 1000, user, user, number, created_us, b"x" * (padding or 1))
    )
