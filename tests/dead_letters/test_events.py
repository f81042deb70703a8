"""`relay dlq show` of a letter about some events of its record: those events, and no others."""

import json

import pytest

from relay.cli.dlq.letters import in_full, in_words
from relay.dead_letters.events import LetterReader
from relay.dead_letters.selection import Selection
from relay.dead_letters.stored import StoredLetter, letter
from relay.model import DeadLetter, DeadLetterClass, Position, Record
from relay.road.settling.dead_letter import envelope
from relay.settings import load

SETTINGS = {
    "sources": [
        {"topics": ["batches"], "preset": "mparticle"},
        {"topics": ["lines"], "preset": "segment"},
        {"topics": ["own"], "mapping": "python:json:loads"},
    ]
}
TS = "2026-11-22T09:30:00Z"
BATCH = {"batch_id": 1, "events": [{"event_type": "a"}, {"event_type": "b", "data": "jane"}]}
LINES = [{"type": "track", "event": "x"}, {"type": "track", "event": "jane"}]


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "relay.yaml"
    path.write_text(json.dumps(SETTINGS), encoding="utf-8")
    return load(path, {}, needs=["sources", "mappings", "decoding"])


def stored(topic, value, events=(), total=0):
    record = Record(topic, 0, 7, 0, b"k", json.dumps(value).encode(), (("own", b"x"),))
    death = DeadLetter(
        record, DeadLetterClass.REFUSED, "http_400", "no", events=events, events_total=total
    )
    found = letter(
        StoredLetter(
            Position(f"{topic}.dlq", 0, 3), 0, record.key, record.value, envelope(death, "1")
        )
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("topic", "value", "events", "total", "shown"),
    [
        ("batches", BATCH, (1,), 2, {1: BATCH["events"][1]}),
        ("batches", BATCH, (0, 1), 2, dict(enumerate(BATCH["events"]))),
        ("lines", LINES, (1,), 2, {1: LINES[1]}),
        ("batches", BATCH, (), 0, {}),  # about the record as a whole
        ("batches", BATCH, (1,), 3, {}),  # the mapping makes another number of them by now
        ("others", BATCH, (1,), 2, {}),  # no source
        ("own", BATCH, (1,), 2, {}),  # nobody knows what a function of theirs looks at
    ],
)
def test_the_events_that_a_letter_names_are_shown(  # noqa: PLR0917
    settings, topic, value, events, total, shown
):
    assert LetterReader(settings).parts(stored(topic, value, events, total)) == shown


def test_they_are_masked_unless_asked_for_and_stand_in_place_of_the_record(settings):
    one = stored("batches", BATCH, (1,), 2)
    events = LetterReader(settings).parts(one)
    words = in_words(in_full(one, events, exact=False))
    assert 'event #1: {"event_type": "***", "data": "***"}' in words
    assert "value (" not in words
    assert "jane" not in words
    assert "jane" in in_words(in_full(one, events, exact=True))
    whole = in_words(in_full(stored("batches", BATCH), {}, exact=False))
    assert "value (" in whole


ORDERS = [
    {"type": "track", "event": "e", "messageId": str(n), "userId": user, "timestamp": TS}
    for n, user in enumerate(["ann", "bob", "ann"])
]


@pytest.mark.parametrize(
    ("events", "total", "found"),
    [
        ((1,), 3, {"bob"}),
        ((0, 2), 3, {"ann"}),
        ((), 0, {"ann", "bob"}),  # about the record as a whole
        ((1,), 4, {"ann", "bob"}),  # nobody can say any more which are meant
    ],
)
def test_a_user_is_looked_for_in_the_events_that_a_letter_names(settings, events, total, found):
    one = stored("lines", ORDERS, events, total)
    reader = LetterReader(settings)
    for user in ("ann", "bob", "cid"):
        selection = Selection(users=frozenset({user}), events_of=reader.events)
        assert selection.takes(one) is (user in found)


def test_what_cannot_be_read_is_searched_as_text(settings):
    one = stored("lines", [{"type": "track", "userId": "ann"}])
    selection = Selection(users=frozenset({"ann"}), events_of=LetterReader(settings).events)
    assert selection.takes(one)
