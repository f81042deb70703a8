"""Counts of records by fate: what came in is always accounted for.

    taken = delivered + dead_lettered + skipped + returned + open

`returned` are records given back unsettled when their partition left us; whoever gets the partition
takes them again. `open` is counted by those who hold the records, not derived from the others, so
the sum is a check and not a definition.
"""

from collections import Counter
from dataclasses import dataclass, field

from relay.model import Fate

_DELIVERED = Fate.DELIVERED  # found once: it is the fate of nearly all


@dataclass(slots=True)
class Ledger:
    """The books of one process. Owned by the engine."""

    taken: int = 0
    delivered: int = 0
    dead_lettered: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    returned: int = 0
    open: int = 0
    open_bytes: int = 0
    fenced: int = 0

    def took(self, size_bytes: int) -> None:
        """A record came in."""
        self.taken += 1
        self.open += 1
        self.open_bytes += size_bytes

    def settled(self, fate: Fate, code: str, size_bytes: int) -> None:
        """A record met its fate."""
        self._release(size_bytes)
        if fate is _DELIVERED:
            self.delivered += 1
        elif fate is Fate.DEAD_LETTERED:
            self.dead_lettered[code] += 1
        else:
            self.skipped[code] += 1

    def gave_back(self, size_bytes: int) -> None:
        """A record's partition left before the record met a fate."""
        self._release(size_bytes)
        self.returned += 1

    @property
    def balanced(self) -> bool:
        """Whether every record that came in is accounted for."""
        settled = self.delivered + self.dead_lettered.total() + self.skipped.total()
        return self.taken == settled + self.returned + self.open

    def by_event(self, joined: "Ledger", parts: "Ledger") -> "Ledger":
        """The same books, counted by event.

        A record is one event, save those of `joined`, which stand in these books, too; `parts`
        are the books of their events.
        """
        return Ledger(
            taken=self.taken - joined.taken + parts.taken,
            delivered=self.delivered - joined.delivered + parts.delivered,
            dead_lettered=self.dead_lettered - joined.dead_lettered + parts.dead_lettered,
            skipped=self.skipped - joined.skipped + parts.skipped,
            returned=self.returned - joined.returned + parts.returned,
            open=self.open - joined.open + parts.open,
            open_bytes=self.open_bytes,
            fenced=self.fenced,
        )

    def _release(self, size_bytes: int) -> None:
        self.open -= 1
        self.open_bytes -= size_bytes
        if self.open < 0 or self.open_bytes < 0:
            raise AssertionError("a record was settled twice")
