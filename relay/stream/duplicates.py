"""Keys of events that came lately → whether another with the same key is a duplicate. Pure."""

from collections import OrderedDict
from typing import TypeAlias

from relay.model import Position

Place: TypeAlias = Position | tuple[Position, int]
"""A record's position; of a record that holds several events also which of them, from 0."""


class RecentKeys:
    """Where the events of the last keys stand; of more than `window`, the oldest are forgotten."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._places: OrderedDict[str, Place] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._places)

    def is_duplicate(self, key: str | None, place: Place) -> bool:
        """Whether an event with this key was taken lately, from another place."""
        if key is None:
            return False
        # The same place again is not a duplicate but the same record, read again.
        first = self._places.setdefault(key, place)
        if len(self._places) > self._window:
            self._places.popitem(last=False)
        return first != place

    def forget(self, key: str | None, place: Place) -> None:
        """What was not delivered may come again and is no duplicate then.

        It comes from the dead letters, or from a partition that was given back.
        """
        if key is not None and self._places.get(key) == place:
            del self._places[key]
