"""The envelope: written, read back, and grown by every death of a record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import DeadLetter, DeadLetterClass, Position, Record
from relay.road.settling.dead_letter import (
    HISTORY_MAX,
    PREFIX,
    TEXT_BYTES_MAX,
    Cut,
    Envelope,
    envelope,
    opened,
    sealed,
)

ms = st.integers(0, 4_102_444_800_000)
words = st.text(max_size=80)
cuts = st.builds(
    Cut,
    value_bytes=st.integers(0, 2**40),
    value_sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    value_only=st.booleans(),
)
header = st.tuples(
    st.text(max_size=10).filter(lambda name: not name.startswith(PREFIX)),
    st.none() | st.binary(max_size=20),
)
envelopes = st.builds(
    Envelope,
    position=st.builds(Position, words, st.integers(0, 10_000), st.integers(0)),
    timestamp_ms=st.integers(-1, 2**63),
    cls=st.sampled_from(DeadLetterClass),
    code=words,
    reason=words,
    mapping_version=words,
    status=st.integers(0, 599),
    excerpt=words,
    attempts=st.integers(0, 1000),
    first_attempt_ms=st.none() | ms,
    last_attempt_ms=st.none() | ms,
    cut=st.none() | cuts,
)


HERE = Position("app-events", 3, 42)


def letter(position=HERE, headers=(), **given):
    record = Record(*position, timestamp_ms=7, key=b"k", value=b"v", headers=tuple(headers))
    return DeadLetter(record, **({"cls": DeadLetterClass.REFUSED, "code": "http_400"} | given))


@given(st.lists(header, max_size=5), st.lists(envelopes, max_size=4))
def test_what_is_sealed_can_be_opened(headers, deaths):
    written = (*headers, *(h for death in deaths for h in sealed(death)))

    assert opened(written) == (tuple(headers), tuple(deaths))


@given(st.lists(header, max_size=5), st.lists(envelopes, max_size=3))
def test_a_death_adds_to_the_history_and_changes_nothing_else(headers, deaths):
    before = (*headers, *(h for death in deaths for h in sealed(death)))
    died = letter(
        headers=before, reason="no", status=400, attempts=2, first_attempt_ms=1, last_attempt_ms=2
    )

    original, history = opened(envelope(died, "1"))

    assert original == tuple(headers)
    assert history[:-1] == tuple(deaths)
    assert history[-1] == Envelope(
        position=Position("app-events", 3, 42),
        timestamp_ms=7,
        cls=DeadLetterClass.REFUSED,
        code="http_400",
        reason="no",
        mapping_version="1",
        status=400,
        attempts=2,
        first_attempt_ms=1,
        last_attempt_ms=2,
    )


def test_the_headers_are_readable_by_people():
    died = letter(
        reason="events[0].$name is missing",
        status=400,
        excerpt='{"status":"error"}',
        attempts=1,
        first_attempt_ms=1_700_000_000_123,
        last_attempt_ms=1_700_000_000_123,
    )

    assert dict(envelope(died, "1")) == {
        "relay-dlq-version": b"1",
        "relay-dlq-topic": b"app-events",
        "relay-dlq-partition": b"3",
        "relay-dlq-offset": b"42",
        "relay-dlq-timestamp": b"7",
        "relay-dlq-class": b"refused",
        "relay-dlq-code": b"http_400",
        "relay-dlq-reason": b"events[0].$name is missing",
        "relay-dlq-status": b"400",
        "relay-dlq-excerpt": b'{"status":"error"}',
        "relay-dlq-attempts": b"1",
        "relay-dlq-first-attempt": b"2023-11-14T22:13:20.123Z",
        "relay-dlq-last-attempt": b"2023-11-14T22:13:20.123Z",
        "relay-dlq-mapping": b"1",
    }


def test_a_record_that_dies_for_ever_keeps_its_first_and_its_latest_deaths():
    headers = (("h", b"1"),)
    for offset in range(3 * HISTORY_MAX):
        headers = envelope(letter(Position("t", 0, offset), headers, reason=""), "1")

    original, history = opened(headers)

    assert original == (("h", b"1"),)
    last = 3 * HISTORY_MAX
    assert [death.position.offset for death in history] == [
        0,
        *range(last - HISTORY_MAX + 1, last),
    ]


@given(st.text(min_size=TEXT_BYTES_MAX))
def test_long_texts_are_cut_between_characters(text):
    excerpt = dict(envelope(letter(reason="", excerpt=text), "1"))["relay-dlq-excerpt"]

    assert len(excerpt) <= TEXT_BYTES_MAX
    assert text.startswith(excerpt.decode())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    PREFIX + n
                    for n in (
                        "version",
                        "topic",
                        "offset",
                        "class",
                        "attempts",
                        "first-attempt",
                        "x",
                    )
                ]
            ),
            st.none() | st.sampled_from([b"1", b"2", b"\xff", b"x", b"9" * 400]),
        ),
        max_size=12,
    )
)
def test_what_only_looks_like_an_envelope_stays_with_the_original(headers):
    assert opened(headers) == (tuple(headers), ())


def forged(fields):
    """An envelope of ours in which a producer has written some fields anew."""
    ours = dict(sealed(Envelope(HERE, 7, DeadLetterClass.REFUSED, "http_400", "no", "1")))
    return [*(ours | {PREFIX + name: value for name, value in fields.items()}).items()]


TIMES = ("first-attempt", "last-attempt")
NUMBERS = (
    *("partition", "offset", "timestamp", "status", "attempts"),
    *("events", "events-total", "value-bytes"),
)
odd_times = st.one_of(
    st.sampled_from(["2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", ""]),
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(str),
    st.text(max_size=30),
).map(str.encode)
odd_numbers = st.sampled_from([b"-1", b"1e3", b"1-2", b"9" * 400, b"9" * 5_000, b"\xff", b"", None])


@given(
    st.dictionaries(st.sampled_from(TIMES), odd_times),
    st.dictionaries(st.sampled_from(NUMBERS), odd_numbers),
)
def test_whatever_a_producer_writes_into_an_envelope_its_record_can_die(odd, more):
    before = forged({**odd, **more})

    written = envelope(letter(headers=before, reason="again"), "1")

    assert opened(written)[1][-1].reason == "again"


@pytest.mark.parametrize("text", [b"2026-01-01", b"0001-01-01T00:00:00+14:00"])
def test_a_time_that_relay_would_not_write_makes_no_envelope(text):
    headers = forged({"first-attempt": text})

    assert opened(headers) == (tuple(headers), ())


def test_envelopes_that_claim_more_than_relay_writes_cost_no_memory():
    many = forged({"events": b"0-999999", "events-total": b"1000000"})
    assert opened(many) == (tuple(many), ())

    more = [header for offset in range(100) for header in forged({"offset": b"%d" % offset})]
    original, deaths = opened(more)
    assert [death.position.offset for death in deaths] == [0, *range(93, 100)]
    assert len(original) == 92 * len(forged({}))
