"""Which dead letters are meant."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.dead_letters.selection import Selection, moment_ms, span
from relay.dead_letters.stored import StoredLetter, letter
from relay.errors import InputError
from relay.model import DeadLetter, DeadLetterClass, Partition, Position, Record
from relay.road.settling.dead_letter import envelope
from tests.support.app_events import example

NOW = 1_800_000_000_000


def dead(value=b"{}", *, died_ms=NOW, at=5, deaths=(("refused", "http_400", 17),), to="default"):
    headers = ()
    for cls, code, offset in deaths:
        record = Record("events", 3, offset, 0, b"k", value, headers)
        died = DeadLetter(record, DeadLetterClass(cls), code, "why", destination=to)
        headers = envelope(died, "1")
    return letter(StoredLetter(Position("events.dlq", 0, at), died_ms, b"k", value, headers))


def about(**user):
    return dead(json.dumps({**example("track"), "user": user}).encode())


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(codes=frozenset({"http_400", "x"})), True),
        (Selection(codes=frozenset({"http_413"})), False),
        (Selection(classes=frozenset({DeadLetterClass.REFUSED})), True),
        (Selection(classes=frozenset({DeadLetterClass.UNDECODABLE})), False),
        (Selection(since_ms=NOW), True),
        (Selection(since_ms=NOW + 1), False),
        (Selection(until_ms=NOW), False),
        (Selection(until_ms=NOW + 1), True),
        (Selection(spans=(span("events.dlq-0-5"),)), True),
        (Selection(spans=(span("events-3-17"),)), True),
        (Selection(spans=(span("events-3-10..20"),)), True),
        (Selection(spans=(span("events-2-17"), span("events-3-18..20"))), False),
        (Selection(codes=frozenset({"http_400"}), until_ms=NOW), False),
    ],
)
def test_everything_that_was_asked_for_must_hold(selection, taken):
    assert selection.takes(dead()) is taken


@pytest.mark.parametrize("to", ["shop-fr", "shop-de", "default"])
def test_of_several_datamarts_only_letters_for_those_that_are_named(to):
    letter = dead(to=to)

    assert Selection(destinations=frozenset({to})).takes(letter)
    assert Selection(destinations=frozenset({to, "gone"})).takes(letter)
    assert not Selection(destinations=frozenset({"gone"})).takes(letter)


def test_codes_are_those_of_the_last_death_and_places_those_of_any():
    twice = dead(deaths=(("refused", "http_400", 17), ("exhausted", "timeout", 99)))

    assert not Selection(codes=frozenset({"http_400"})).takes(twice)
    assert Selection(codes=frozenset({"timeout"})).takes(twice)
    assert Selection(spans=(span("events-3-17"),)).takes(twice)
    assert Selection(spans=(span("events-3-99"),)).takes(twice)


@pytest.mark.parametrize(
    ("user", "known"),
    [
        ({"accounts": [{"id": "crm-1"}, {"id": "crm-2"}]}, ["crm-1", "crm-2"]),
        ({"emails": [{"address": "Ann@example.org"}]}, ["Ann@example.org"]),
        ({"emails": [{"hash": "a" * 64}]}, ["a" * 64]),
        ({"devices": [{"id": "vec:89998434"}]}, ["vec:89998434", "89998434"]),
        (
            {"devices": [{"os": "ios", "advertising_id": "6D92078A-8246"}]},
            ["mob:ios:raw:6D92078A-8246", "6D92078A-8246"],
        ),
    ],
)
def test_a_user_is_found_by_whatever_the_event_knows_it_by(user, known):
    for name in known:
        assert Selection(users=frozenset({name, "somebody"})).takes(about(**user))
    assert not Selection(users=frozenset({"crm-9"})).takes(about(**user))


def test_a_user_in_a_record_that_nobody_can_read_is_found_letter_by_letter():
    broken = dead(b'{"user": {"accounts": [{"id": "crm-1"}]')

    assert Selection(users=frozenset({"crm-1"})).takes(broken)
    assert not Selection(users=frozenset({"crm-2"})).takes(broken)
    assert not Selection(users=frozenset({"crm-2"})).takes(dead(None))


def test_users_stand_in_no_repr():
    assert "crm-1" not in repr(Selection(users=frozenset({"crm-1"})))


def test_a_record_of_somebody_else_is_no_letter():
    assert letter(StoredLetter(Position("t", 0, 0), NOW, None, b"x", (("h", b"1"),))) is None


@given(
    st.text("abc.-_09", min_size=1), st.integers(0, 999), st.integers(0, 10**12), st.integers(0, 9)
)
def test_a_position_is_read_as_it_is_written(topic, partition, offset, more):
    one = span(f"{topic}-{partition}-{offset}")
    many = span(f"{topic}-{partition}-{offset}..{offset + more}")

    assert one.partition == many.partition == Partition(topic, partition)
    assert (one.first, one.last) == (offset, offset)
    assert (many.first, many.last) == (offset, offset + more)


def test_a_span_that_ends_before_it_begins_is_refused():
    with pytest.raises(InputError, match="the last lies before the first"):
        span("events-3-5..4")


@pytest.mark.parametrize("text", ["", "events", "events-3", "events-x-1", "events-3-1.."])
def test_what_is_no_position_is_refused(text):
    with pytest.raises(InputError, match="not a position"):
        span(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90s", NOW - 90_000),
        ("30m", NOW - 1_800_000),
        ("2h", NOW - 7_200_000),
        ("7d", NOW - 604_800_000),
        ("99999d", 0),
        ("999999999999d", 0),
        ("0001-01-01T00:00:00+14:00", 0),
        ("2026-01-31T09:30:00Z", 1_769_851_800_000),
        ("2026-01-31T10:30:00.5+01:00", 1_769_851_800_500),
    ],
)
def test_times_are_ages_or_moments(text, ms):
    assert moment_ms(text, NOW) == ms


@pytest.mark.parametrize(
    "text", ["", "2", "h", "yesterday", "2026-01-31T09:30:00", "-2h", "9" * 5_000 + "d"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InputError, match="not a time"):
        moment_ms(text, NOW)
