"""What was produced, the API's log and the dead letters → what was lost, broken, repeated. Pure.

An event is named by its user and its number among the events of that user. One request may carry
several events, so everything is counted for each event, in the order in which the API stored them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Event(NamedTuple):
    """Names an event: `number` counts from 0 for each user, in the order they were produced."""

    user: str
    number: int


@dataclass(frozen=True)
class Letter:
    """A record in the dead-letter topic."""

    origin: tuple[str, str, str]
    """Topic, partition and offset of the record that died."""
    place: str
    """Where the letter lies, as topic-partition-offset."""
    code: str
    event: Event | None
    """None: the record was not an event."""


@dataclass
class Produced:
    """What was sent to the topic."""

    good: dict[str, int] = field(default_factory=Counter)
    """For each user how many events."""
    bad: int = 0
    """Records that are not events."""
    twice: set[Event] = field(default_factory=set)
    """Events that were sent in two records."""
    refused: set[Event] = field(default_factory=set)
    """Events that the API refuses for a while: only they may become dead letters."""
    joinable: set[str] = field(default_factory=set)
    """Users whose events may travel together; after a crash in another composition."""

    @property
    def total(self) -> int:
        """The records."""
        return sum(self.good.values()) + len(self.twice) + self.bad

    def events(self) -> set[Event]:
        """All events."""
        return {Event(user, n) for user, count in self.good.items() for n in range(count)}


@dataclass(frozen=True)
class Judgement:
    """What an independent look at the two ends says. Events are counted, unless said otherwise."""

    delivered: int
    """Different events that the API stored."""
    lost: int
    """Neither stored nor, where they are no events, dead-lettered."""
    order_breaks: int
    """Stored for the first time after a later one of the same user. Replayed ones come late."""
    duplicates: int
    """Times that an event was stored again under a `$unique_key` that it had before."""
    repeats: int
    """Times that it was stored again under another `$unique_key`."""
    foreign_repeats: int
    """The repeats among events that always travel alone: their key must never change."""
    reused_keys: int
    """Requests with the `$unique_key` of other events: a platform may ignore them."""
    unaccounted: int
    """Duplicates and repeats of events that were produced once and never dead-lettered."""
    passed_twice: int
    """Of the events that were produced twice: those that were stored more than once."""
    travelled_together: int
    """Requests with several events."""
    answers_lost: int
    """Events whose request was stored and its answer lost, each time counted."""
    dead_lettered: int
    """Records with a dead letter."""
    wrongly_dead_lettered: int
    """Events with a dead letter that the API never refused."""
    replayed: int
    """Events that had a dead letter and were stored."""


def judge(
    produced: Produced, requests: Iterable[Mapping[str, Any]], letters: Iterable[Letter]
) -> Judgement:
    """Compare what was produced with the API's log and the dead letters."""
    letters = list(letters)
    dead = {letter.event for letter in letters if letter.event is not None}
    keys: defaultdict[Event, list[str | None]] = defaultdict(list)
    contents: dict[str, tuple[Event, ...]] = {}
    highest: dict[str, int] = {}
    counts: Counter[str] = Counter()
    for request in _as_stored(requests):
        key, events = request["unique_key"], _events(request)
        counts["travelled_together"] += len(events) > 1
        counts["answers_lost"] += len(events) if request["answer_lost"] else 0
        counts["reused_keys"] += contents.setdefault(key, events) != events
        for event in events:
            before = keys[event]
            if before:
                same = key in before
                counts["duplicates" if same else "repeats"] += 1
                counts["foreign_repeats"] += not same and event.user not in produced.joinable
                counts["unaccounted"] += event not in dead and event not in produced.twice
            elif event not in dead:
                counts["order_breaks"] += event.number < highest.get(event.user, -1)
                highest[event.user] = max(highest.get(event.user, -1), event.number)
            before.append(key)
    malformed = {letter.origin for letter in letters if letter.event is None}
    return Judgement(
        delivered=len(keys),
        lost=len(produced.events() - keys.keys()) + max(0, produced.bad - len(malformed)),
        order_breaks=counts["order_breaks"],
        duplicates=counts["duplicates"],
        repeats=counts["repeats"],
        foreign_repeats=counts["foreign_repeats"],
        reused_keys=counts["reused_keys"],
        unaccounted=counts["unaccounted"],
        passed_twice=sum(len(keys.get(event, ())) > 1 for event in produced.twice - dead),
        travelled_together=counts["travelled_together"],
        answers_lost=counts["answers_lost"],
        dead_lettered=len(malformed) + len(dead),
        wrongly_dead_lettered=len(dead - produced.refused),
        replayed=len(dead & keys.keys()),
    )


def stored_events(requests: Iterable[Mapping[str, Any]]) -> set[Event]:
    """The different events that the API stored."""
    return {event for request in _as_stored(requests) for event in _events(request)}


def _as_stored(requests: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The requests with events that were stored, in the order of that."""
    stored = (r for r in requests if r["stored"] != "no" and r["events"])
    return sorted(stored, key=lambda request: request["stored_n"])


def _events(request: Mapping[str, Any]) -> tuple[Event, ...]:
    (user,) = [one.rsplit(":", 1)[-1] for one in request["identifiers"] if "user-" in one]
    return tuple(Event(user, event["seq"]) for event in request["events"])
