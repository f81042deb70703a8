"""Which dead letters are meant: by code, class, time, user and position. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from relay.dead_letters.stored import OwnLetter
from relay.errors import InputError
from relay.model import (
    DEFAULT_DESTINATION,
    DeadLetterClass,
    Partition,
    Position,
    Undecodable,
    Unwanted,
)
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.decoding.app_event import AppEvent
from relay.stream.decoding.user import User
from relay.stream.mapping.identity import own_id, user_agent_id

_ANY_SIZE = DecodingPolicy(record_bytes_max=2**31)
_SPAN = re.compile(
    r"^(?P<topic>.+)-(?P<partition>\d{1,10})-(?P<first>\d{1,19})(\.\.(?P<last>\d{1,19}))?$"
)
_AGE = re.compile(r"^(?P<count>\d{1,12})(?P<unit>[smhd])$")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of one partition, from the first to the last, both included."""

    partition: Partition
    first: int
    last: int

    def __contains__(self, position: Position) -> bool:
        return position[:2] == self.partition and self.first <= position.offset <= self.last


@dataclass(frozen=True, slots=True)
class Selection:
    """What is empty or None does not restrict."""

    codes: frozenset[str] = frozenset()
    classes: frozenset[DeadLetterClass] = frozenset()
    destinations: frozenset[str] = frozenset()
    """Of several datamarts those by these names; a letter that names none is of `default`."""
    since_ms: int | None = None
    until_ms: int | None = None
    users: frozenset[str] = field(default=frozenset(), repr=False)
    spans: tuple[Span, ...] = ()
    events_of: Callable[[OwnLetter], Sequence[AppEvent]] = field(default=lambda _: (), repr=False)
    """The events that a letter is about, where the source of its topic can tell them."""

    def takes(self, letter: OwnLetter) -> bool:
        """Whether the letter is meant. The cheap questions come first."""
        died_ms = letter.stored.died_ms
        return (
            (not self.codes or letter.last.code in self.codes)
            and (not self.classes or letter.last.cls in self.classes)
            and (not self.destinations or _destination(letter) in self.destinations)
            and (self.since_ms is None or died_ms >= self.since_ms)
            and (self.until_ms is None or died_ms < self.until_ms)
            and (not self.spans or self._within(letter))
            and (not self.users or bool(self.users.intersection(self._users(letter))))
        )

    def _users(self, letter: OwnLetter) -> Iterator[str]:
        """What the users are known by of the events that the letter is about."""
        events = self.events_of(letter)
        value = letter.stored.value or b""
        if not events:
            # No source of the settings knows the topic: the value may be in our own format. If it
            # is not even that, its bytes are searched for the name.
            event = decode(value, _ANY_SIZE)
            if isinstance(event, Undecodable | Unwanted):
                # Nobody can say whose it is; what stands in it letter by letter has to do.
                yield from (user for user in self.users if user.encode() in value)
                return
            events = (event,)
        for event in events:
            yield from _names(event.user)

    def _within(self, letter: OwnLetter) -> bool:
        """By where it lies, or by where the record stood at any of its deaths."""
        places = (letter.stored.position, *(death.position for death in letter.deaths))
        return any(place in span for span in self.spans for place in places)


def _destination(letter: OwnLetter) -> str:
    return letter.last.destination or DEFAULT_DESTINATION


def span(text: str) -> Span:
    """`topic-partition-offset`, or `topic-partition-first..last`.

    Raises:
        InputError: It is neither.
    """
    found = _SPAN.match(text)
    if found is None:
        raise InputError(f"{text}: not a position", hint="topic-partition-offset, or …-first..last")
    first = int(found["first"])
    last = first if found["last"] is None else int(found["last"])
    if last < first:
        raise InputError(f"{text}: the last lies before the first", hint="no letter is there")
    return Span(Partition(found["topic"], int(found["partition"])), first, last)


def moment_ms(text: str, now_ms: int) -> int:
    """A time as RFC 3339, or as an age: `90s`, `30m`, `2h`, `7d`.

    Before 1970 it is 0: nothing in Kafka is older, and it cannot be asked for less.

    Raises:
        InputError: It is neither.
    """
    age = _AGE.match(text)
    if age is not None:
        return max(0, now_ms - int(age["count"]) * _UNIT_MS[age["unit"]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InputError(
            f"{text}: not a time", hint="2h, 7d, or RFC 3339 with an offset: 2026-01-31T09:30:00Z"
        )
    return max(0, round(moment.timestamp() * 1000))


def _names(user: User) -> Iterator[str]:
    """What a user is known by, as producers wrote it."""
    for account in user.accounts:
        yield account.id
    for email in user.emails:
        yield from (known for known in (email.address, email.hash) if known is not None)
    for device in user.devices:
        yield user_agent_id(device, normalise=False)
        yield user_agent_id(device)
        yield own_id(device)
