"""How a dead letter becomes smaller, step by step, down to one that fits everywhere."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import DeadLetter, DeadLetterClass, Record
from relay.road.settling.dead_letter import HISTORY_MAX, Cut, envelope, opened
from relay.road.settling.dead_letter_cut import (
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
    cut,
    next_step,
    whole,
)

LAST = len(VALUE_BYTES_MAX) - 1


def letter(value=b"v", key=b"k", headers=(("h", b"1"),)):
    record = Record("events", 0, 1, 7, key, value, tuple(headers), 1)
    return DeadLetter(record, DeadLetterClass.REFUSED, "http_400", "no")


def test_whole_it_is_the_record_as_it_was():
    content = whole(letter(), "1")
    assert (content.key, content.value, opened(content.headers)[0]) == (b"k", b"v", (("h", b"1"),))


@pytest.mark.parametrize(
    ("size", "step", "following"),
    [
        (2_000_000, None, 0),
        (2_000_000, 0, 1),
        (524_288, None, 1),
        (5_000, None, 2),
        (4_096, None, LAST),
        (0, None, LAST),
        (2_000_000, LAST, None),
        (0, LAST, None),
    ],
)
def test_a_step_that_would_change_nothing_is_left_out(size, step, following):
    assert next_step(letter(b"x" * size), step) == following


@given(st.none() | st.binary(max_size=6_000), st.integers(0, LAST))
def test_what_is_left_is_the_beginning_with_size_and_hash_of_all(value, step):
    content = cut(letter(value), "1", step)
    all_of_it = value or b""

    assert all_of_it.startswith(content.value)
    assert len(content.value) <= VALUE_BYTES_MAX[step]
    said = opened(content.headers)[1][-1].cut
    digest = hashlib.sha256(all_of_it).hexdigest()
    assert said == Cut(len(all_of_it), digest, value_only=step < LAST)


def test_the_last_step_is_small_whatever_the_record_was():
    headers = (("h", b"x" * 1_000_000),)
    for _ in range(2 * HISTORY_MAX):
        headers = envelope(letter(headers=headers), "1")
    content = cut(letter(b"x" * 5_000_000, b"x" * (KEY_BYTES_MAX + 1), headers), "1", LAST)

    original, history = opened(content.headers)
    assert (content.key, content.value, original, len(history)) == (None, b"", (), 2)


def test_nothing_of_the_record_is_in_its_repr():
    assert "secret" not in repr(whole(letter(b"secret", b"secret", [("secret", b"secret")]), "1"))
