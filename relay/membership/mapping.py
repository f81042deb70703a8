"""Record → the changes of membership that it asks for, or why there are none. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import orjson

from relay.membership.policy import ChangePolicy, MembershipCode
from relay.model import NeedsSchema, Record, Unmappable, Unwanted
from relay.segments.formats import CONTROL, FileFormat
from relay.segments.members import MINUTE_MS
from relay.segments.model import Named, SegmentCommand, User
from relay.sources.events import EventPart
from relay.sources.interpret import Reader, Reading, Source, by_topic, owed, reader_of
from relay.stream.decoding import Segment, decode
from relay.stream.mapping.identity import Entry, best_of, identify
from relay.stream.mapping.rules import check_consent, check_time

Member: TypeAlias = tuple[User, Named]
"""Who and where."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one event asks for one user and one segment."""

    member: Member = field(repr=False)
    enters: bool
    expires_ms: int | None = None
    """When the membership ends, in epoch milliseconds; None leaves it to the settings."""
    data_bag: str | None = field(default=None, repr=False)


Changes: TypeAlias = tuple[Change, ...] | Unmappable | Unwanted


class Several(NamedTuple):
    """What each event of a record that holds several asks for, in the order of the record."""

    outcomes: tuple[Changes, ...]


Changing: TypeAlias = Callable[[Record, int], Changes | Several | NeedsSchema]
"""`NeedsSchema`: it cannot be said before that schema is fetched."""

OTHER_EVENT = Unwanted(MembershipCode.NOT_A_MEMBERSHIP, "the stream sends it, or dead-letters it")


def changing(policy: ChangePolicy, sources: Sequence[Source] = ()) -> Changing:
    """A function of (record, wall clock in ms) that says what becomes of the record.

    On a topic of a source membership events are those that its mapping makes; on every other topic
    those of Relay's own format.
    """
    readers = [reader_of(one) if one.makes_segments else _nothing_of_ours for one in sources]
    chosen = by_topic(sources, readers, _own_format(policy))

    def changes_of_part(event: EventPart, now_ms: int) -> Changes:
        return (
            changes_of_event(event, policy, now_ms) if isinstance(event, Segment) else OTHER_EVENT
        )

    def changes_of(record: Record, now_ms: int) -> Changes | Several | NeedsSchema:
        read, death = chosen(record)
        found = read(record)
        if isinstance(found, NeedsSchema):
            return found
        if not isinstance(found, list):
            return changes_of_part(found, now_ms)
        outcomes = tuple([changes_of_part(event, now_ms) for event in found])
        return Several(outcomes if death is None else owed(death, outcomes))

    return changes_of


def _nothing_of_ours(_record: Record) -> Unwanted:
    return OTHER_EVENT


def _own_format(policy: ChangePolicy) -> Reader:
    def read(record: Record) -> Reading:
        value = record.value
        # Of most records nothing is ours, and they are decoded by the stream as well. The word
        # stands in every membership event, unless it is spelt in escapes.
        if value is None or (b"segment" not in value and b"\\u" not in value):
            return OTHER_EVENT
        return decode(value, policy.decoding)

    return read


def changes_of_event(event: Segment, policy: ChangePolicy, now_ms: int) -> Changes:
    """What a segment event asks for, or why nothing becomes of it."""
    refusal = check_time(event, policy.mapping, now_ms)
    if refusal is not None:
        return refusal
    enters = event.action == "add"
    # Taking somebody out needs nobody's consent.
    unwanted = check_consent(event, policy.mapping) if enters else None
    if unwanted is not None:
        return unwanted
    found = identify(event.user, policy.mapping.identity)
    if isinstance(found, Unmappable):
        return found
    user = _user(best_of(found.entries))
    segments = dict.fromkeys(
        [
            *(("id", value) for value in event.segment_ids),
            *(("technical_name", value) for value in event.segment_technical_names),
        ]
    )
    bag = orjson.dumps(event.properties).decode() if event.properties and enters else None
    changes = tuple(
        Change((user, segment), enters, event.expires_at if enters else None, bag)
        for segment in segments
    )
    if policy.form is FileFormat.NDJSON or all(_is_writable(change) for change in changes):
        return changes
    return Unmappable(
        MembershipCode.IDENTIFIER_NOT_WRITABLE,
        "user or segment: an identifier holds a line break or another control character",
    )


def command(change: Change, expiration_minutes: int, now_ms: int) -> SegmentCommand:
    """The line to import, at `now_ms`. Who has expired by then is taken out."""
    minutes: int | None = expiration_minutes
    if change.expires_ms is not None:
        minutes = -((now_ms - change.expires_ms) // MINUTE_MS)  # never shorter than was asked for
    ended = change.expires_ms is not None and change.expires_ms <= now_ms
    return SegmentCommand.of(
        *change.member,
        minutes if change.enters and not ended else None,
        expires_ms=change.expires_ms,
        data_bag=change.data_bag,
    )


def _user(entry: Entry) -> User:
    match entry["$type"]:
        case "USER_ACCOUNT":
            compartment = str(entry.get("$compartment_id", ""))
            return "user_account_id", compartment, entry["$user_account_id"]
        case "USER_EMAIL":
            return "email_hash", "", entry["$hash"]
        case _:
            return "user_agent_id", "", entry["$user_agent_id"]


def _is_writable(change: Change) -> bool:
    """A CSV cannot hold everything that an identifier may be."""
    (_, *user), (_, name) = change.member
    return not any(CONTROL.search(text) for text in (*user, name))
