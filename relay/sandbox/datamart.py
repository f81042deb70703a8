"""What the platform keeps of one datamart: valid requests in, users and what is theirs out."""

import random
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.sandbox.choices import Choice, custom_fields
from relay.sandbox.documents import SET_CHOICE, SET_PROFILE
from relay.sandbox.journal import EventSeen, Stored
from relay.sandbox.options import RepeatPolicy, SandboxOptions
from relay.sandbox.order import judge
from relay.sandbox.processing import OPEN, REMOVED, processed
from relay.sandbox.profiles import Profile, ProfileKey, Strategy, properties_of, updated
from relay.sandbox.sessions import aggregated, join, key_of, visited_by
from relay.sandbox.user_points import UserPoint, UserPoints, account_of, identifiers_of
from relay.sandbox.validation import id_text, whole

BREAKS_SHOWN = 20


@dataclass(slots=True)
class Counts:
    """What happened; repeats of a `$unique_key` are counted apart."""

    activities: int = 0
    events: int = 0
    duplicates: int = 0
    duplicate_events: int = 0
    out_of_order: int = 0
    profile_updates: int = 0
    choice_updates: int = 0
    removed_events: Counter[str] = field(default_factory=Counter)
    breaks: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an activity, for the log."""

    user: UserPoint
    identifiers: tuple[str, ...]
    events: tuple[EventSeen, ...]
    stored: Stored


class Datamart:
    """The state of one datamart."""

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        self._timeout_ms = options.session_timeout_s * 1000
        self.users = UserPoints(random.Random(options.seed))
        self.counts = Counts()
        self._posts: OrderedDict[int, bytes] = OrderedDict()
        self._post_of_key: OrderedDict[str, int] = OrderedDict()
        self._posted = 0
        self._revision = 0

    def take(self, activity: dict[str, Any], body: bytes, now_ms: int) -> Taken:
        """Store a valid activity, which came as `body`."""
        identifiers = identifiers_of(activity, self._options.default_compartment_id)
        user = self.users.meet(identifiers, now_ms)
        events = self._events_seen(activity)
        key = activity.get("$unique_key")
        # A `$unique_key` that is known is a repeat. What the platform does with one its
        # documentation leaves open, so the sandbox can do each (`RepeatPolicy`), and always counts
        # it.
        known = None if key is None else self._post_of_key.get(key)
        if known is None:
            stored = Stored.NEW
            self.counts.activities += 1
            self.counts.events += len(events)
            self._judge(user, events)
            number = self._store(user, activity, body, now_ms)
            if key is not None:
                self._remember(key, number)
        else:
            stored = Stored.REPEAT
            self.counts.duplicates += 1
            self._repeat(user, known, activity, body, now_ms)
        return Taken(user, tuple(map(str, identifiers)), events, stored)

    def put_profile(
        self,
        user: UserPoint,
        key: ProfileKey,
        given: Mapping[str, Any],
        strategy: Strategy,
        now_ms: int,
    ) -> Profile:
        """Change or create one profile of the user."""
        self.counts.profile_updates += 1
        self._revision += 1
        profile = user.profiles.get(key)
        if profile is None:
            profile = user.profiles[key] = Profile(key, now_ms, now_ms, self._revision)
        profile.properties = updated(profile.properties, properties_of(given), strategy)
        profile.modified_ms, profile.revision = now_ms, self._revision
        return profile

    def put_choice(
        self, user: UserPoint, processing_id: str, given: Mapping[str, Any], ts: int, now_ms: int
    ) -> Choice:
        """Add to what the user chose."""
        self.counts.choice_updates += 1
        self._revision += 1
        accepted = given["$choice_acceptance_value"]
        custom = custom_fields(given)
        choice = Choice(processing_id, ts, accepted, now_ms, self._revision, custom)
        user.choices.log.append(choice)
        return choice

    def judge_document(
        self, user: UserPoint, name: str, document: Mapping[str, Any], ts: int | None
    ) -> tuple[EventSeen, ...]:
        """Judge a profile or choice that came by a route of its own."""
        seen = (EventSeen(name, whole(document.get(self._options.order_property)), ts),)
        self._judge(user, seen)
        return seen

    def timeline(self, user: UserPoint, now_ms: int, *, live: bool) -> list[dict[str, Any]]:
        """The user's activities, oldest first; `live` shows open sessions too."""
        entries = [(number, [number], None) for number in user.posts]
        sessions = [
            (session.posts[-1], session.posts, "IN_SESSION" if is_open else "CLOSED_SESSION")
            for session in user.sessions
            if not (is_open := session.is_open(now_ms, self._timeout_ms)) or live
        ]
        shown: list[dict[str, Any]] = []
        for _, numbers, status in sorted([*entries, *sessions], key=lambda entry: entry[0]):
            posts = [
                processed(orjson.loads(body), first_open=number == user.first_open)
                for number in numbers
                if (body := self._posts.get(number)) is not None
            ]
            if posts:
                shown.append(posts[0] if status is None else aggregated(posts, status))
        return shown

    def everything(self, user: UserPoint, now_ms: int) -> dict[str, Any]:
        """All that the platform knows of the user."""
        return {
            "user_point_id": user.id,
            "identifiers": [str(identifier) for identifier in user.identifiers],
            "profiles": [profile.document() for profile in user.profiles.values()],
            "choices": [choice.document(user.id) for choice in user.choices.current()],
            "choice_log": [choice.document(user.id) for choice in user.choices.log],
            "activities": self.timeline(user, now_ms, live=True),
        }

    def latest(self, limit: int) -> list[dict[str, Any]]:
        """The last activities as they came, the newest first."""
        newest: list[dict[str, Any]] = []
        for number in reversed(self._posts):
            if len(newest) >= limit:
                break
            newest.append(orjson.loads(self._posts[number]))
        return newest

    def _events_seen(self, activity: Mapping[str, Any]) -> tuple[EventSeen, ...]:
        name = self._options.order_property
        outer = whole(activity.get(name))
        seen: list[EventSeen] = []
        for event in activity["$events"]:
            seq = whole((event.get("$properties") or {}).get(name))
            seen.append(
                EventSeen(
                    event["$event_name"], outer if seq is None else seq, whole(event.get("$ts"))
                )
            )
        return tuple(seen)

    def _judge(self, user: UserPoint, events: tuple[EventSeen, ...]) -> None:
        judgement = judge(user.marks, events)
        counts = self.counts
        counts.duplicate_events += judgement.repeated_events
        counts.out_of_order += len(judgement.breaks)
        for found in judgement.breaks[: BREAKS_SHOWN - len(counts.breaks)]:
            counts.breaks.append(
                {"user": user.id, "by": found.by, "value": found.value, "after": found.after}
            )

    def _store(self, user: UserPoint, activity: dict[str, Any], body: bytes, now_ms: int) -> int:
        self._posted += 1
        number = self._posted
        self._posts[number] = body
        if len(self._posts) > self._options.activities_max:
            self._posts.popitem(last=False)
        if activity.get("$session_status") == "IN_SESSION":
            visited = visited_by(activity)
            session = join(user.sessions, key_of(activity), visited, now_ms, self._timeout_ms)
            session.posts.append(number)
        else:
            user.posts.append(number)
        self._effects(user, number, activity, now_ms)
        return number

    def _repeat(
        self, user: UserPoint, known: int, activity: dict[str, Any], body: bytes, now_ms: int
    ) -> None:
        # What a platform may do with a key that it knows; nobody outside has said which it does.
        match self._options.repeat_policy:
            case RepeatPolicy.ADD:
                self._store(user, activity, body, now_ms)
            case RepeatPolicy.OVERWRITE:
                if known in self._posts:
                    self._posts[known] = body
                self._effects(user, known, activity, now_ms)
            case RepeatPolicy.IGNORE:
                pass

    def _effects(self, user: UserPoint, number: int, activity: dict[str, Any], now_ms: int) -> None:
        """Inferred: profiles and choices change on arrival, not when a session closes."""
        for event in activity["$events"]:
            name = event["$event_name"]
            if name in REMOVED:
                self.counts.removed_events[name] += 1
            elif name == OPEN:
                user.first_open = number if user.first_open is None else user.first_open
            elif name == SET_PROFILE:
                properties = event["$properties"]
                account = account_of(properties, self._options.default_compartment_id)
                key = ProfileKey(account.compartment, account.value)
                strategy = self._options.profile_event_strategy
                self.put_profile(user, key, properties, strategy, now_ms)
            elif name == SET_CHOICE:
                properties = event["$properties"]
                # Inferred: the event's time is the choice's time.
                ts = whole(event.get("$ts")) or whole(activity.get("$ts")) or now_ms
                self.put_choice(user, id_text(properties["$processing_id"]), properties, ts, now_ms)

    def _remember(self, key: str, number: int) -> None:
        self._post_of_key[key] = number
        if len(self._post_of_key) > self._options.keys_max:
            self._post_of_key.popitem(last=False)
