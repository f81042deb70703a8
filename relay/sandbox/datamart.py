"""What the platform keeps of one datamart: valid activities in, users and their timelines out."""

import random
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.sandbox.journal import EventSeen, Stored
from relay.sandbox.options import RepeatPolicy, SandboxOptions
from relay.sandbox.order import OrderBreak, judge
from relay.sandbox.user_points import Identifier, UserPoint, UserPoints, identifiers_of
from relay.sandbox.validation import whole

BREAKS_SHOWN = 20


@dataclass(slots=True)
class Counts:
    """What happened to activities; repeats of a `$unique_key` are counted apart."""

    activities: int = 0
    events: int = 0
    duplicates: int = 0
    duplicate_events: int = 0
    out_of_order: int = 0
    breaks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an activity, for the log."""

    user: UserPoint
    identifiers: tuple[Identifier, ...]
    events: tuple[EventSeen, ...]
    stored: Stored


class Datamart:
    """The state of one datamart."""

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        self.users = UserPoints(random.Random(options.seed))
        self.counts = Counts()
        self._rows: OrderedDict[int, bytes] = OrderedDict()
        self._row_of_key: OrderedDict[str, int] = OrderedDict()
        self._rows_made = 0

    def take(self, activity: dict[str, Any], now_ms: int) -> Taken:
        """Store a valid activity."""
        identifiers = identifiers_of(activity, self._options.default_compartment_id)
        user = self.users.meet(identifiers, now_ms)
        events = self.events_seen(activity)
        key = activity.get("$unique_key")
        known_row = None if key is None else self._row_of_key.get(key)
        if known_row is None:
            stored = Stored.NEW
            self._first(user, events)
            row = self._add_row(user, activity, now_ms)
            if key is not None:
                self._remember(key, row)
        else:
            stored = Stored.REPEAT
            self._repeat(user, known_row, activity, now_ms)
        return Taken(user, tuple(identifiers), events, stored)

    def latest(self, limit: int) -> list[dict[str, Any]]:
        """The last stored activities, the newest first."""
        bodies: list[dict[str, Any]] = []
        for number in reversed(self._rows):
            if len(bodies) >= limit:
                break
            bodies.append(orjson.loads(self._rows[number]))
        return bodies

    def timeline(self, user: UserPoint) -> Iterator[dict[str, Any]]:
        """The user's stored activities, in the order in which they were stored."""
        for number in sorted(user.rows):
            body = self._rows.get(number)
            if body is not None:
                yield orjson.loads(body)

    def events_seen(self, activity: dict[str, Any]) -> tuple[EventSeen, ...]:
        """What order is judged on, of a valid activity."""
        name = self._options.order_property
        outer = whole(activity.get(name))
        seen: list[EventSeen] = []
        for event in activity["$events"]:
            properties = event.get("$properties") or {}
            seq = whole(properties.get(name))
            if seq is None:
                seq = outer
            ts = whole(event.get("$ts"))
            seen.append(EventSeen(event["$event_name"], seq, ts))
        return tuple(seen)

    def judge_first(self, user: UserPoint, events: tuple[EventSeen, ...]) -> None:
        """Judge the order of events that are stored for the first time."""
        judgement = judge(user.marks, events)
        self.counts.duplicate_events += judgement.repeated_events
        self.counts.out_of_order += len(judgement.breaks)
        for found in judgement.breaks:
            self._show(user, found)

    def _first(self, user: UserPoint, events: tuple[EventSeen, ...]) -> None:
        self.counts.activities += 1
        self.counts.events += len(events)
        self.judge_first(user, events)

    def _repeat(self, user: UserPoint, row: int, activity: dict[str, Any], now_ms: int) -> None:
        self.counts.duplicates += 1
        match self._options.repeat_policy:
            case RepeatPolicy.ADD:
                self._add_row(user, activity, now_ms)
            case RepeatPolicy.OVERWRITE:
                if row in self._rows:
                    self._rows[row] = orjson.dumps(activity)
            case RepeatPolicy.IGNORE:
                pass

    def _add_row(self, user: UserPoint, activity: dict[str, Any], now_ms: int) -> int:
        if activity.get("$ts") is None:
            activity["$ts"] = now_ms  # Inferred: an activity without a time happened now.
        self._rows_made += 1
        number = self._rows_made
        self._rows[number] = orjson.dumps(activity)
        user.rows.append(number)
        if len(self._rows) > self._options.activities_max:
            self._rows.popitem(last=False)
        return number

    def _remember(self, key: str, row: int) -> None:
        self._row_of_key[key] = row
        if len(self._row_of_key) > self._options.keys_max:
            self._row_of_key.popitem(last=False)

    def _show(self, user: UserPoint, found: OrderBreak) -> None:
        if len(self.counts.breaks) < BREAKS_SHOWN:
            self.counts.breaks.append(
                {"user": user.id, "by": found.by, "value": found.value, "after": found.after}
            )
