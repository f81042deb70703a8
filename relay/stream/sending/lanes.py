"""Parcels in → the next parcel that may be sent, so that each lane's parcels keep their order.

A lane is a queue with at most one parcel in flight. Lanes that are ready take turns, so a lane
with a thousand parcels and a lane with one get the same share of the wire: a hot user cannot
starve the others. Parcels without a lane get one each. Each route has a line of ready lanes of its
own, so that a route that is closed holds only the lanes whose heads need it.

    waiting ──ready──▶ in flight ──done──▶ gone
                 ▲          │
                 ├──resting─┤   (a failed head rests; its lane waits behind it, nobody else does)
                 ├──paused──┤   (the API asked for it: only time ends it)
                 └───held───┘   (a dead head: its lane waits until the dead letter is confirmed)
"""

import heapq
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from relay.model import Parcel, RequestKind
from relay.road.settling.assigned import Assigned, Part


@dataclass(slots=True, eq=False)
class Waiting:
    """A parcel under way and what has been tried with it. Owned by the engine, changed there only.

    `attempts` are all that were made; `failures` those that count against it. Times in ms are wall
    clock, `tried_since` is the steady clock. `throttled` counts refusals by a limiter; `told`: a
    line of the log was about its trouble. `group` is not 0 once it has flown: what flew together
    is tried again together, under the same key.
    """

    parcel: Parcel = field(repr=False)
    lane: Hashable = field(repr=False)
    assigned: Assigned = field(repr=False)
    size_bytes: int
    attempts: int = 0
    failures: int = 0
    tried_since: float = 0.0
    first_attempt_ms: int | None = None
    last_attempt_ms: int | None = None
    last_code: str = ""
    others_delivered: int = 0
    throttled: int = 0
    told: bool = False
    group: int = 0
    route: RequestKind = RequestKind.ACTIVITY
    part: Part | None = None
    """Which event it is of a record that holds several."""


_BACKLOG = 20


class Lanes:
    """All lanes of the road."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[Waiting]] = {}
        self._flying: dict[Hashable, list[Waiting]] = {}
        self._ready: dict[RequestKind, deque[Hashable]] = {kind: deque() for kind in RequestKind}
        self._lines = tuple(self._ready.items())
        self._activities = self._ready[RequestKind.ACTIVITY]
        self._points = self._ready[RequestKind.USER_POINT]
        self._resting = _Alarms()
        self._paused = _Alarms()
        self._held: set[Hashable] = set()
        self.waiting = 0
        self.in_flight = 0
        """How many flights are under way: one for each lane at most."""

    @property
    def count(self) -> int:
        """How many lanes have something waiting or in flight."""
        return len(self._queues)

    @property
    def resting(self) -> int:
        """How many lanes wait behind a head that failed."""
        return len(self._resting.until)

    @property
    def paused(self) -> int:
        """How many lanes wait because the API asked them to."""
        return len(self._paused.until)

    @property
    def has_ready(self) -> bool:
        """Whether some lane's head may fly now, as far as the lanes go."""
        return bool(self._activities or self._points)

    @property
    def has_backlog(self) -> bool:
        """Whether more is here than what is in flight and a few heads that rest."""
        return self.waiting >= _BACKLOG or bool(self._activities or self._points)

    @property
    def none_sleeps(self) -> bool:
        """Whether no lane rests or is paused."""
        return not (self._resting.until or self._paused.until)

    def is_paused(self, lane: Hashable) -> bool:
        """Whether the lane waits because the API asked it to."""
        return lane in self._paused.until

    def ready_routes(self) -> list[RequestKind]:
        """The routes that some lane's head needs which may fly now."""
        if not self._points:
            return _ACTIVITIES if self._activities else []
        return [kind for kind, line in self._lines if line]

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
            if not self._paused.until or lane not in self._paused.until:
                self._line(waiting.route).append(lane)
            return 1
        queue.append(waiting)
        return len(queue) + len(self._flying.get(lane, ()))

    def take(
        self,
        joins: Callable[[list[Waiting], Waiting], bool],
        route: RequestKind = RequestKind.ACTIVITY,
    ) -> list[Waiting] | None:
        """The head of the lane whose turn it is on this route, and the successors that join it."""
        line = self._activities if route is _ACTIVITY else self._points
        if not line:
            return None
        # Holds always: a lane is in at most one of the ready lines, `_resting`, `_paused`,
        # `_flying` and `_held`. It is what keeps a user's order, so it is looked at before each
        # flight.
        lane = line.popleft()
        if lane in self._flying or lane in self._held:
            raise AssertionError("two flights of one lane")
        queue = self._queues[lane]
        members = [queue.popleft()]
        while queue and joins(members, queue[0]):
            members.append(queue.popleft())
        self._flying[lane] = members
        self.in_flight += 1
        self.waiting -= len(members)
        return members

    # A flight ends in one of three ways, and the lane goes on by it:
    #
    #     `done`   its records have a fate    the next may fly: now, or when a pause is over
    #     `hold`   a dead letter is written   the next may fly when the broker has confirmed it
    #     `back`   it is to be tried again    the same records head the lane: at once, after a rest
    #                                         (ours, which `wake_all` ends) or a pause (the API's)
    def done(self, lane: Hashable, paused_until: float | None = None) -> None:
        """The flight of the lane ended with a fate: the next of the lane may fly, now or then."""
        del self._flying[lane]
        self.in_flight -= 1
        queue = self._queues[lane]
        if paused_until is not None:
            self._paused.set(lane, paused_until)
        elif queue:
            self._line(queue[0].route).append(lane)
        if not queue:
            del self._queues[lane]

    def hold(self, lane: Hashable) -> None:
        """The flight ended, and its fate is not certain yet: the lane waits until `release`."""
        del self._flying[lane]
        self.in_flight -= 1
        self._held.add(lane)

    def release(self, lane: Hashable) -> None:
        """What the lane was held for is certain, or gone."""
        self._held.remove(lane)
        if self._queues[lane]:
            self._make_ready(lane)
        else:
            del self._queues[lane]

    def back(
        self, lane: Hashable, rest_until: float | None, paused_until: float | None = None
    ) -> None:
        """The flight ended without a fate: it heads its lane again.

        At once, after a rest, or when the pause is over that the API asked for.
        """
        members = self._flying.pop(lane)
        self.in_flight -= 1
        self._queues[lane].extendleft(reversed(members))
        self.waiting += len(members)
        if paused_until is not None:
            self._paused.set(lane, paused_until)
        elif rest_until is not None:
            self._resting.set(lane, rest_until)
        else:
            self._make_ready(lane)

    def wake_next(self) -> None:
        """Make the lane ready whose rest ends next. Call after `next_alarm` said when that is."""
        self._make_ready(self._resting.pop())

    def wake_paused(self, now: float) -> None:
        """Make every lane ready whose pause is over."""
        while (at := self._paused.next()) is not None and at <= now:
            lane = self._paused.pop()
            if lane in self._queues:
                self._make_ready(lane)

    def wake_all(self) -> None:
        """Make every resting lane ready: what they waited for has changed.

        A pause that was asked for is not over.
        """
        for lane in self._resting.until:
            self._make_ready(lane)
        self._resting.clear()

    def next_alarm(self) -> float | None:
        """When the next rest is over."""
        return self._resting.next()

    def next_pause_end(self) -> float | None:
        """When the next pause of a lane is over."""
        return self._paused.next()

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
            # What happens to a lane that loses records:
            #
            #     it flies or is held          nothing else: it goes on when that has ended
            #     its head, that rested, left  ready: the rest was that head's own
            #     it rests or is paused        so it stays: the same head, or asked for
            #     nothing is left              gone, unless it flies or is held
            #
            # Lines are sorted anew at the end, since the new head may need another route.
            lost_head = gone(queue[0])
            self._queues[lane] = kept = deque(w for w in queue if not gone(w))
            if lane in self._flying or lane in self._held:
                continue
            if lost_head and self._resting.drop(lane):
                self._ready[RequestKind.ACTIVITY].append(lane)  # sorted below
            if not kept:
                emptied.add(lane)
        for lane in emptied:
            del self._queues[lane]
        if dropped:
            self._sort_ready()
        self.waiting -= len(dropped)
        return dropped

    def _line(self, route: RequestKind) -> deque[Hashable]:
        # Not looked up in the dictionary: hashing an enum costs more than all the rest.
        return self._activities if route is _ACTIVITY else self._points

    def _make_ready(self, lane: Hashable) -> None:
        self._line(self._queues[lane][0].route).append(lane)

    def _sort_ready(self) -> None:
        """Put each ready lane in the line of its head, which may be another one now."""
        ready = [lane for _, line in self._lines for lane in line]
        for _, line in self._lines:
            line.clear()
        for lane in ready:
            if lane in self._queues:
                self._make_ready(lane)


_ACTIVITY = RequestKind.ACTIVITY  # found once: it is asked of each event
_ACTIVITIES = [_ACTIVITY]


class _Alarms:
    """Lanes that wait for a time."""

    __slots__ = ("_count", "_heap", "until")

    def __init__(self) -> None:
        self.until: dict[Hashable, float] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._count = 0

    def set(self, lane: Hashable, until: float) -> None:
        self._count += 1
        self.until[lane] = until
        heapq.heappush(self._heap, (until, self._count, lane))

    def next(self) -> float | None:
        """When the next is due."""
        while self._heap:
            at, _, lane = self._heap[0]
            # An entry counts while it is the lane's newest; others were dropped or set anew, and
            # are taken out when they come to the top.
            if self.until.get(lane) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def pop(self) -> Hashable:
        """The one that `next` told of."""
        lane = heapq.heappop(self._heap)[2]
        del self.until[lane]
        return lane

    def drop(self, lane: Hashable) -> bool:
        """Forget a lane. Returns whether it waited."""
        return self.until.pop(lane, None) is not None

    def clear(self) -> None:
        self.until.clear()
        self._heap.clear()
