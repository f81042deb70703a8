"""One partition's open offsets → how far its commit may move. Called by the engine.

Only what is open is kept, never what is finished: a record that is stuck for an hour while
millions finish behind it costs one entry.
"""

from collections import deque

from relay.road.settling.offset_map import OffsetMap


class Frontier:
    """The open offsets of one assigned partition.

    `taken` is called in the order of the partition, `finished` in any order. Offsets that never
    appear (compacted away, transaction markers) are gaps: they hold nothing up.
    """

    def __init__(self, start: OffsetMap) -> None:
        # Ascending, because offsets are taken in ascending order: nothing has to be sorted.
        self._open: dict[int, None] = dict.fromkeys(start.open_offsets)
        self._unseen = deque(start.open_offsets)
        self._known_end = start.end
        self._next = start.offset
        self._committed = start.offset
        self.gaps = 0

    def seen_before(self, offset: int) -> bool:
        """Whether the map of an earlier life says that the record at `offset` met its fate."""
        return offset < self._known_end and offset not in self._open

    @property
    def next_offset(self) -> int:
        """One past the last offset that was taken."""
        return self._next

    def is_rewind(self, offset: int) -> bool:
        """Whether a record at `offset` cannot come now unless the log was cut and grew again."""
        return offset < self._next

    # Three kinds of offsets beyond the commit, by the map that came with it:
    #
    #     finished, says the map    taken and skipped (`seen_before`); never in `_open`
    #     open, says the map        in `_open` from the start, and in `_unseen` until it comes
    #     beyond the map's end      in `_open` from when it is taken
    #
    # Of the second kind some never come (the log was compacted): when a later one does, they are
    # gaps, and hold the commit up no longer.
    def taken(self, offset: int) -> None:
        """A record came; it is open until `finished`."""
        if offset < self._next:
            raise AssertionError(f"offset {offset} came after {self._next - 1}")
        self._next = offset + 1
        if offset >= self._known_end:
            self._open[offset] = None
        if self._unseen:
            self._forget_gaps_below(offset)
            if self._unseen and self._unseen[0] == offset:
                self._unseen.popleft()

    def withdraw(self, offset: int) -> None:
        """The record that was taken last, and is open, is not taken after all: it comes again."""
        if self._next != offset + 1:
            raise AssertionError(f"offset {offset} was not taken last")
        self._next = offset
        if offset < self._known_end:
            self._unseen.appendleft(offset)
        else:
            del self._open[offset]

    def finished(self, offset: int) -> None:
        """The record met its fate. Raises KeyError when it was not open: a fate comes once."""
        del self._open[offset]

    @property
    def open_count(self) -> int:
        """How many records were taken and are open."""
        return len(self._open) - len(self._unseen)

    @property
    def end(self) -> int:
        """One past the highest offset about which anything is known."""
        return max(self._known_end, self._next)

    @property
    def lowest_open(self) -> int | None:
        """The offset that pins the frontier."""
        return next(iter(self._open), None)

    def snapshot(self) -> OffsetMap:
        """The value to commit: frontier and map, computed together so that they cannot disagree."""
        # `_open` is ascending: what the map said is open lies below its end, and the rest was taken
        # in order behind that. So the first is the lowest, and nothing is sorted.
        opened = tuple(self._open)
        offset = opened[0] if opened else self.end
        if offset < self._committed:
            raise AssertionError(f"the frontier moved back from {self._committed} to {offset}")
        self._committed = offset
        return OffsetMap(offset, self.end, opened)

    def _forget_gaps_below(self, offset: int) -> None:
        while self._unseen and self._unseen[0] < offset:
            del self._open[self._unseen.popleft()]
            self.gaps += 1
