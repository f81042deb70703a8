"""Parcels in → the next parcel that may fly, so that each lane's parcels keep their order.

A lane is a queue with at most one parcel in flight. Lanes that are ready take turns, so a lane
with a thousand parcels and a lane with one get the same share of the wire: a hot user cannot
starve the others. Parcels without a lane get one each.

    waiting ──ready──▶ in flight ──done──▶ gone
                 ▲          │
                 ├──resting─┤   (a failed head rests; its lane waits behind it, nobody else does)
                 └───held───┘   (a dead head: its lane waits until the dead letter is confirmed)
"""

import heapq
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from relay.model import Parcel
from relay.road.settling.assigned import Assigned, Part


@dataclass(slots=True, eq=False)
class Waiting:
    """A parcel under way and what has been tried with it. Owned by the engine, changed there only.

    `attempts` are all that were made; `failures` those that count against it. Times in ms are wall
    clock, `tried_since` is the steady clock. `group` is not 0 once it has flown: what flew together
    is tried again together, under the same key.
    """

    parcel: Parcel = field(repr=False)
    lane: Hashable = field(repr=False)
    home: Assigned = field(repr=False)
    size_bytes: int
    attempts: int = 0
    failures: int = 0
    tried_since: float = 0.0
    first_attempt_ms: int | None = None
    last_attempt_ms: int | None = None
    last_code: str = ""
    others_delivered: int = 0
    group: int = 0
    part: Part | None = None
    """Which event it is of a record that holds several."""


class Lanes:
    """All lanes of the road."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[Waiting]] = {}
        self._flying: dict[Hashable, list[Waiting]] = {}
        self._ready: deque[Hashable] = deque()
        self._resting: dict[Hashable, float] = {}
        self._held: set[Hashable] = set()
        self._alarms: list[tuple[float, int, Hashable]] = []
        self._alarm_count = 0
        self.waiting = 0

    @property
    def in_flight(self) -> int:
        """How many flights are under way: one for each lane at most."""
        return len(self._flying)

    @property
    def count(self) -> int:
        """How many lanes have something waiting or in flight."""
        return len(self._queues)

    @property
    def resting(self) -> int:
        """How many lanes wait behind a head that failed."""
        return len(self._resting)

    @property
    def has_ready(self) -> bool:
        """Whether some lane's head may fly now."""
        return bool(self._ready)

    def length(self, lane: Hashable) -> int:
        """How many parcels the lane holds, those in flight included."""
        return len(self._queues.get(lane, ())) + len(self._flying.get(lane, ()))

    def add(self, waiting: Waiting) -> int:
        """Put a parcel at the end of its lane. Returns how many the lane holds now."""
        lane = waiting.lane
        self.waiting += 1
        queue = self._queues.get(lane)
        if queue is None:
            self._queues[lane] = deque((waiting,))
            self._ready.append(lane)
            return 1
        queue.append(waiting)
        return len(queue) + len(self._flying.get(lane, ()))

    def take(self, joins: Callable[[list[Waiting], Waiting], bool]) -> list[Waiting] | None:
        """The head of the lane whose turn it is, and the successors that may join it."""
        if not self._ready:
            return None
        lane = self._ready.popleft()
        if lane in self._flying or lane in self._held:
            raise AssertionError("two flights of one lane")
        queue = self._queues[lane]
        members = [queue.popleft()]
        while queue and joins(members, queue[0]):
            members.append(queue.popleft())
        self._flying[lane] = members
        self.waiting -= len(members)
        return members

    def done(self, lane: Hashable) -> None:
        """The flight of the lane ended with a fate: the next of the lane may fly."""
        del self._flying[lane]
        if self._queues[lane]:
            self._ready.append(lane)
        else:
            del self._queues[lane]

    def hold(self, lane: Hashable) -> None:
        """The flight ended, and its fate is not certain yet: the lane waits until `release`."""
        del self._flying[lane]
        self._held.add(lane)

    def release(self, lane: Hashable) -> None:
        """What the lane was held for is certain, or gone."""
        self._held.remove(lane)
        if self._queues[lane]:
            self._ready.append(lane)
        else:
            del self._queues[lane]

    def back(self, lane: Hashable, rest_until: float | None) -> None:
        """The flight ended without a fate: it heads its lane again, at once or after a rest."""
        members = self._flying.pop(lane)
        self._queues[lane].extendleft(reversed(members))
        self.waiting += len(members)
        if rest_until is None:
            self._ready.append(lane)
        else:
            self._rest(lane, rest_until)

    def wake_next(self) -> None:
        """Make the lane ready whose alarm is next. Call after `next_alarm` said when that is."""
        lane = heapq.heappop(self._alarms)[2]
        del self._resting[lane]
        self._ready.append(lane)

    def wake_all(self) -> None:
        """Make every resting lane ready: what they waited for has changed."""
        self._ready.extend(self._resting)
        self._resting.clear()
        self._alarms.clear()

    def next_alarm(self) -> float | None:
        """When the next rest is over."""
        while self._alarms:
            at, _, lane = self._alarms[0]
            if self._resting.get(lane) == at:
                return at
            heapq.heappop(self._alarms)
        return None

    def flying(self) -> Iterator[Waiting]:
        """Everything in flight."""
        for members in self._flying.values():
            yield from members

    def queued(self) -> Iterator[Waiting]:
        """Everything that waits, lane by lane in order."""
        for queue in self._queues.values():
            yield from queue

    def followers(self, lane: Hashable) -> list[Waiting]:
        """Take everything that waits behind a flight out of its lane."""
        queue = self._queues[lane]
        taken = list(queue)
        queue.clear()
        self.waiting -= len(taken)
        return taken

    def drop(self, gone: Callable[[Waiting], bool]) -> list[Waiting]:
        """Take out what waits and is `gone`; what is in flight stays until it lands."""
        dropped: list[Waiting] = []
        emptied: set[Hashable] = set()
        for lane, queue in self._queues.items():
            leaving = [w for w in queue if gone(w)]
            if not leaving:
                continue
            dropped += leaving
            lost_head = gone(queue[0])
            self._queues[lane] = kept = deque(w for w in queue if not gone(w))
            if lane in self._flying or lane in self._held:
                continue
            if lost_head and self._resting.pop(lane, None) is not None:
                self._ready.append(lane)
            if not kept:
                emptied.add(lane)
        for lane in emptied:
            del self._queues[lane]
        self._ready = deque(lane for lane in self._ready if lane not in emptied)
        self.waiting -= len(dropped)
        return dropped

    def _rest(self, lane: Hashable, until: float) -> None:
        self._alarm_count += 1
        self._resting[lane] = until
        heapq.heappush(self._alarms, (until, self._alarm_count, lane))
