"""The published schema of the envelope, and what is written to the dead-letter topic."""

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from relay.model import DeadLetterClass, Position
from relay.road.settling.dead_letter import PREFIX, Cut, Envelope, sealed
from relay.road.settling.dead_letter_schema import FIELDS, OPTIONAL, dead_letter_schema

VALIDATOR = Draft202012Validator(dead_letter_schema())
FULL = Envelope(
    position=Position("app-events", 3, 42),
    timestamp_ms=7,
    cls=DeadLetterClass.REFUSED,
    code="http_400",
    reason="no",
    destination="shop-fr",
    mapping_version="1",
    status=400,
    excerpt="{}",
    attempts=2,
    first_attempt_ms=1,
    last_attempt_ms=2,
    cut=Cut(2_000_000, "0" * 64),
    events=(1, 4, 5, 6),
    events_total=9,
    codes=((1, "missing_field"), (4, "invalid_field")),
)
some_events = st.sets(st.integers(0, 98), min_size=1).map(lambda which: tuple(sorted(which)))
ms = st.none() | st.integers(0, 4_102_444_800_000)
some = st.text(min_size=1, max_size=20)


def written(death):
    return {name: value.decode() for name, value in sealed(death)}


def test_the_schema_is_itself_valid():
    Draft202012Validator.check_schema(dead_letter_schema())


def test_the_schema_names_what_is_written_in_its_order():
    assert [name.removeprefix(PREFIX) for name in written(FULL)] == list(FIELDS)


def test_what_may_be_absent_is_absent_when_there_is_nothing_to_say():
    bare = Envelope(Position("t", 0, 0), -1, DeadLetterClass.UNDECODABLE, "bad_json", "", "1")

    assert {name.removeprefix(PREFIX) for name in written(bare)} == FIELDS.keys() - OPTIONAL
    VALIDATOR.validate(written(bare))


@given(
    st.builds(
        Envelope,
        position=st.builds(Position, some, st.integers(0, 999), st.integers(0, 2**62)),
        timestamp_ms=st.integers(-1, 2**62),
        cls=st.sampled_from(DeadLetterClass),
        code=some,
        reason=st.text(max_size=50),
        mapping_version=some,
        status=st.integers(0, 599),
        excerpt=st.text(max_size=50),
        attempts=st.integers(0, 99),
        first_attempt_ms=ms,
        last_attempt_ms=ms,
        events=some_events,
        events_total=st.just(99),
    )
)
def test_whatever_is_written_is_valid(death):
    VALIDATOR.validate(written(death))


def test_what_relay_does_not_write_is_not_valid():
    for name in FIELDS.keys() - OPTIONAL:
        headers = written(FULL)
        del headers[PREFIX + name]
        assert not VALIDATOR.is_valid(headers), name
    for name, wrong in (("class", "lost"), ("offset", "-1"), ("last-attempt", "now"), ("x", "")):
        assert not VALIDATOR.is_valid(written(FULL) | {PREFIX + name: wrong}), name
