"""Who is who: identifiers in, the one user point that they belong to out, merging as needed.

Identifiers that are seen together belong to one user point; when they belonged to several, those
become one (documented). The oldest survives and keeps its id; an id that was merged away leads to
the survivor (inferred).
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from relay.sandbox.choices import Choices
from relay.sandbox.order import OrderMarks
from relay.sandbox.profiles import Profile, ProfileKey
from relay.sandbox.sessions import Session
from relay.sandbox.validation import id_text


class Identifier(NamedTuple):
    """What a user is known by. `compartment` is empty except for accounts."""

    kind: str
    compartment: str
    value: str

    def __str__(self) -> str:
        return ":".join(part for part in self if part)


@dataclass(slots=True)
class UserPoint:
    """One person, as far as the sandbox knows, and everything that is theirs."""

    id: str
    number: int
    created_ms: int
    identifiers: dict[Identifier, int] = field(default_factory=dict)
    """With the time at which each was first seen."""
    posts: list[int] = field(default_factory=list)
    """Activities by their numbers, without those of sessions."""
    sessions: list[Session] = field(default_factory=list)
    first_open: int | None = None
    """The activity with the first `$app_open`."""
    profiles: dict[ProfileKey, Profile] = field(default_factory=dict)
    choices: Choices = field(default_factory=Choices)
    marks: OrderMarks = field(default_factory=OrderMarks)
    merged_into: "UserPoint | None" = None

    def absorb(self, other: "UserPoint") -> None:
        """Take over everything of a point that turns out to be the same person."""
        self.identifiers.update(other.identifiers)
        self.posts = sorted(self.posts + other.posts)
        self.sessions = sorted(self.sessions + other.sessions, key=lambda s: s.posts[0])
        opens = [first for first in (self.first_open, other.first_open) if first is not None]
        self.first_open = min(opens, default=None)
        # Inferred: of two profiles with one key, the one that changed last stays.
        both = sorted([*self.profiles.values(), *other.profiles.values()], key=lambda p: p.revision)
        self.profiles = {profile.key: profile for profile in both}
        self.choices.absorb(other.choices)
        self.marks.absorb(other.marks)


def identifiers_of(activity: dict[str, Any], default_compartment: str) -> list[Identifier]:
    """The identifiers of a valid activity, in both documented forms, in their order."""
    found: list[Identifier] = []
    for entry in activity.get("$user_identifiers") or ():
        match entry["$type"]:
            case "USER_ACCOUNT":
                found.append(account_of(entry, default_compartment))
            case "USER_EMAIL":
                found.append(Identifier("USER_EMAIL", "", id_text(entry["$hash"])))
            case _:
                found.append(Identifier("USER_AGENT", "", id_text(entry["$user_agent_id"])))
    if activity.get("$user_account_id") is not None:
        found.append(account_of(activity, default_compartment))
    if (agent := activity.get("$user_agent_id")) is not None:
        found.append(Identifier("USER_AGENT", "", id_text(agent)))
    if (email := activity.get("$email_hash")) is not None:
        found.append(Identifier("USER_EMAIL", "", id_text(email["$hash"])))
    return found


def account_of(document: Mapping[str, Any], default_compartment: str) -> Identifier:
    """The account that `$user_account_id` and `$compartment_id` of a valid document name."""
    compartment = document.get("$compartment_id")
    where = default_compartment if compartment is None else id_text(compartment)
    return Identifier("USER_ACCOUNT", where, id_text(document["$user_account_id"]))


class UserPoints:
    """The user points of one datamart."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._by_identifier: dict[Identifier, UserPoint] = {}
        self._by_id: dict[str, UserPoint] = {}
        self._alive: dict[str, UserPoint] = {}
        self.merged = 0

    def __len__(self) -> int:
        return len(self._alive)

    def __iter__(self) -> Iterator[UserPoint]:
        return iter(self._alive.values())

    def find(self, identifier: Identifier) -> UserPoint | None:
        """The point that has `identifier`."""
        return self._by_identifier.get(identifier)

    def by_id(self, point_id: str) -> UserPoint | None:
        """The point with this id, or the one that it was merged into."""
        point = self._by_id.get(point_id)
        while point is not None and point.merged_into is not None:
            point = point.merged_into
        return point

    def meet(self, identifiers: Iterable[Identifier], now_ms: int) -> UserPoint:
        """The one point of identifiers that are seen together: found, merged or created."""
        wanted = list(identifiers)
        # Identifiers that are seen together are one person's:
        #
        #     none is known          a new point
        #     one point has them     that one
        #     several points do      the oldest takes over all of the others
        #
        # What is merged stays merged: nothing takes two people apart again. That is why Relay
        # guards what it sends (`relay.stream.mapping.guard`).
        known = {p.number: p for i in wanted if (p := self._by_identifier.get(i)) is not None}
        if not known:
            point = self._create(now_ms)
        else:
            point, *others = (known[number] for number in sorted(known))
            for other in others:
                self._merge(point, other)
        for identifier in wanted:
            point.identifiers.setdefault(identifier, now_ms)
            self._by_identifier[identifier] = point
        return point

    def _create(self, now_ms: int) -> UserPoint:
        point_id = str(UUID(int=self._rng.getrandbits(128), version=4))
        point = UserPoint(point_id, len(self._by_id), now_ms)
        self._by_id[point_id] = self._alive[point_id] = point
        return point

    def _merge(self, point: UserPoint, other: UserPoint) -> None:
        point.absorb(other)
        for identifier in other.identifiers:
            self._by_identifier[identifier] = point
        other.merged_into = point
        del self._alive[other.id]
        self.merged += 1
