"""Users behind a dead letter → whether their next events must follow it. Pure; steady seconds."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable

_USERS_MAX = 100_000


class ParkedUsers:
    """Lanes whose events follow a dead letter; of too many, the one parked first goes on."""

    def __init__(self, park_s: float) -> None:
        self._park_s = park_s
        self._until: OrderedDict[Hashable, float] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._until)

    def park(self, lane: Hashable, now: float) -> None:
        """One of its events is a dead letter."""
        self._until[lane] = now + self._park_s
        if len(self._until) > _USERS_MAX:
            self._until.popitem(last=False)

    def is_parked(self, lane: Hashable, now: float, unconfirmed: Iterable[Hashable]) -> bool:
        """Whether its events follow; `unconfirmed`: the lanes of letters that no broker has yet."""
        until = self._until.get(lane)
        if until is None:
            return False
        # Whoever followed and is not confirmed would be tried again after a crash.
        if until > now or lane in unconfirmed:
            return True
        del self._until[lane]
        return False
