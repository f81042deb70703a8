"""What is wrong between a source and the place its records come from, and which trouble to show.

One owner for all of them: each part of a source reports its own kind here, and `state` shows the
worst. Pure: the time is an argument.
"""

from relay.road.consuming.source import SourceState, SourceTrouble


class Troubles:
    """The troubles that there are now; of each kind at most one."""

    def __init__(self) -> None:
        self._now: dict[SourceTrouble, SourceState] = {}

    def raised(self, trouble: SourceTrouble, reason: str, now: float) -> bool:
        """Note a trouble, `now` in steady seconds; whether it is news (a new kind or reason)."""
        before = self._now.get(trouble)
        if before is not None and before.reason == reason:
            return False
        since = now if before is None else before.since
        self._now[trouble] = SourceState(trouble=trouble, reason=reason, since=since)
        return True

    def cleared(self, trouble: SourceTrouble) -> bool:
        """The trouble is over; whether there was one."""
        return self._now.pop(trouble, None) is not None

    def present(self, trouble: SourceTrouble) -> bool:
        """Whether there is a trouble of this kind now."""
        return trouble in self._now

    def worst(self) -> SourceState:
        """The one to show: the order of `SourceTrouble` is from the worst on."""
        for trouble in SourceTrouble:
            if trouble in self._now:
                return self._now[trouble]
        return SourceState()
