"""Several destinations and one memory budget → whose share is used up. Pure.

A quarter of the budget is guaranteed, in equal parts: nobody can take it from a destination. The
rest belongs to whoever needs it. What a destination holds beyond its guaranteed part it takes from
that rest; when the rest is used up, those who have taken of it get nothing more:

    | what is held                          | so                                               |
    |---------------------------------------|--------------------------------------------------|
    | the rest of the budget is not used up | all go on                                        |
    | it is, and this one holds no more     | it goes on                                       |
    | than its guaranteed part              |                                                  |
    | it is, and this one holds more        | every partition of which it holds records pauses |

Kafka gives the records of a partition in their order, so a partition that carries several
destinations pauses for all of them when it pauses for one. Before that the others had all the time
in which the budget filled.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from relay.road.consuming.intake import IntakePolicy, SetAside
from relay.road.settling.assigned import Assigned

GUARANTEED = 0.25
"""The part of the budget that is divided among all."""
_STEP = 0.02
"""What is held is counted anew when this part of the budget has come or gone."""
NOTHING = SetAside(0, 0)


class Held(NamedTuple):
    """What is held for one destination: what waits for it, and what is in flight."""

    records: int
    size_bytes: int
    partitions: frozenset[Assigned] = frozenset()
    """The partitions that it came from."""


class Holding(Protocol):
    """Something that holds records for one destination."""

    requests: int
    """How many have left so far."""

    def held(self) -> Held:
        """Count what it holds. Looks at all of it."""
        ...


def used_up(limit: int, held: Sequence[int], *, was: bool, resume_below: float) -> list[bool]:
    """Of each, whether it may hold no more. `was`: one of them could not, at the last look."""
    part = limit * GUARANTEED / len(held)
    rest = limit * (1 - GUARANTEED)
    # The table above, in numbers: `part` nobody can take from anybody, `rest` is for whoever needs
    # it. Once it was used up it must fall to `resume_below` of it, or the pause would flap.
    taken = sum(max(0.0, one - part) for one in held)
    if taken < rest * (resume_below if was else 1.0):
        return [False] * len(held)
    return [one > part for one in held]


class Shares:
    """What each destination holds, counted now and then; between two counts nothing is done."""

    def __init__(self, policy: IntakePolicy, holding: Sequence[Holding]) -> None:
        self._policy = policy
        self._holding = holding
        self._fed: dict[int, set[Assigned]] = {}
        """Whose share is used up, by its place in `holding`, and the partitions that feed it."""
        self._aside = NOTHING
        self._records = self._bytes = self._requests = 0

    def look(self, records: int, size_bytes: int) -> SetAside:
        """`records` and `size_bytes` are held in all. Returns what those hold who get no more."""
        if self._is_calm(records, size_bytes):
            self._fed.clear()
            self._aside = NOTHING
        # Counting looks at everything that is held, so it is done when a fiftieth of the budget has
        # come, gone or left: with a full budget of 10,000 records, every 200.
        elif self._has_changed(records, size_bytes):
            self._count(records, size_bytes)
        return self._aside

    def came(self, to: Holding, assigned: Assigned) -> None:
        """A record of a partition came for this one."""
        for place, partitions in self._fed.items():
            if self._holding[place] is to:
                partitions.add(assigned)

    def is_fed_by(self, assigned: Assigned) -> bool:
        """Whether a partition holds records for one whose share is used up."""
        return any(assigned in partitions for partitions in self._fed.values())

    def is_used_up(self, by: Holding) -> bool:
        """Whether this one may hold no more."""
        return any(self._holding[place] is by for place in self._fed)

    # -- inside -------------------------------------------------------------------------------

    def _is_calm(self, records: int, size_bytes: int) -> bool:
        """Whether so little is held that the rest cannot be used up."""
        policy = self._policy
        enough = (1 - GUARANTEED) * (policy.resume_below if self._fed else 1.0)
        return (
            records < policy.memory_records_max * enough
            and size_bytes < policy.memory_bytes_max * enough
        )

    def _has_changed(self, records: int, size_bytes: int) -> bool:
        policy = self._policy
        step = max(1.0, _STEP * policy.memory_records_max)
        return (
            abs(records - self._records) >= step
            or abs(size_bytes - self._bytes) >= _STEP * policy.memory_bytes_max
            or self._left() - self._requests >= step
        )

    def _left(self) -> int:
        return sum(one.requests for one in self._holding)

    def _count(self, records: int, size_bytes: int) -> None:
        self._records, self._bytes, self._requests = records, size_bytes, self._left()
        policy, was = self._policy, bool(self._fed)
        held = [one.held() for one in self._holding]
        by_records = used_up(
            policy.memory_records_max,
            [one.records for one in held],
            was=was,
            resume_below=policy.resume_below,
        )
        by_bytes = used_up(
            policy.memory_bytes_max,
            [one.size_bytes for one in held],
            was=was,
            resume_below=policy.resume_below,
        )
        over = [place for place in range(len(held)) if by_records[place] or by_bytes[place]]
        self._fed = {place: set(held[place].partitions) for place in over}
        self._aside = SetAside(
            sum(held[place].records for place in over),
            sum(held[place].size_bytes for place in over),
        )
