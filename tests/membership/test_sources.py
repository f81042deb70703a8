"""Membership events of a topic with a source: which events are ours, and what their letters say."""

import json
import random

import pytest

from relay.apis.mediarithmics_document_imports import Execution
from relay.membership.engine import MembershipEngine
from relay.membership.mapping import OTHER_EVENT, Change, Several, changing
from relay.membership.policy import ChangePolicy, MembershipPolicy
from relay.model import DeadLetter, DeadLetterClass, Fate, Moment, Partition, Record
from relay.road.settling.dead_letter import envelope
from relay.segments.hints import Hints
from relay.segments.outcome import Landed, Unclear
from relay.settings import load
from relay.settings.topics import sources_of
from relay.sources.formats.schemas import SchemaCache
from relay.sources.interpret import DELIVERED_BEFORE
from relay.stream.mapping.policy import IdentityPolicy, MappingPolicy

DONE = Execution("1", "SUCCEEDED")
NOW_MS = 1_767_225_600_000
SETTINGS = """
sources:
  - {topics: [loyalty], mapping: loyalty}
  - {topics: [web], preset: segment}
mappings:
  loyalty:
    all: {id: .no, ts: .at, user: {accounts: [{id: .who, compartment: "1"}]}}
    rules:
      - {when: has(.tier), segment: .move, segment_technical_names: [.tier]}
      - {track: .name}
"""


@pytest.fixture
def sources(tmp_path):
    path = tmp_path / "relay.yaml"
    path.write_text(SETTINGS, encoding="utf-8")
    settings = load(path, {}, needs=["sources", "mappings", "decoding"])
    return sources_of(settings.sources, settings.mappings, settings.decoding)


def policy():
    return ChangePolicy(mapping=MappingPolicy(identity=IdentityPolicy(default_compartment_id="1")))


def record(topic, value, headers=(), offset=0):
    return Record(topic, 0, offset, NOW_MS, None, json.dumps(value).encode(), headers, 1)


def tier(number, who="u1", move="add", name="gold"):
    return {"no": str(number), "at": NOW_MS, "who": who, "move": move, "tier": name}


def seen(number):
    return {"no": str(number), "at": NOW_MS, "who": "u1", "name": "seen"}


def test_a_mapping_makes_membership_events_and_the_others_are_the_streams(sources):
    changes_of = changing(policy(), sources)
    (change,) = changes_of(record("loyalty", tier(1)), NOW_MS)
    assert isinstance(change, Change)
    assert change.enters
    assert changes_of(record("loyalty", seen(1)), NOW_MS) is OTHER_EVENT
    mixed = changes_of(record("loyalty", [seen(1), tier(2), {"tier": "x"}]), NOW_MS)
    assert isinstance(mixed, Several)
    first, second, third = mixed.outcomes
    assert first is third is OTHER_EVENT  # what cannot be read the stream buries
    assert len(second) == 1


def test_a_topic_without_a_source_is_read_in_the_own_format(sources):
    own = {
        "type": "segment", "id": "1", "ts": NOW_MS, "user": {"accounts": [{"id": "u"}]},
        "action": "add", "segment_ids": ["88"],
    }  # fmt: skip
    changes_of = changing(policy(), sources)
    assert len(changes_of(record("others", own), NOW_MS)) == 1
    assert changes_of(record("web", own), NOW_MS) is OTHER_EVENT


def test_a_source_that_makes_no_membership_events_is_not_even_read(sources):
    loyalty, web = sources
    assert loyalty.makes_segments
    assert not web.makes_segments


def test_a_replayed_letter_moves_only_the_members_that_it_names(sources):
    value = [tier(1, "u1"), tier(2, "u2"), seen(3)]
    died = DeadLetter(
        record("loyalty", value), DeadLetterClass.REFUSED, "line_rejected", "no",
        events=(1,), events_total=3,
    )  # fmt: skip
    again = record("elsewhere", value, envelope(died, "1"))
    outcomes = changing(policy(), sources)(again, NOW_MS).outcomes
    assert outcomes[0] is outcomes[2] is DELIVERED_BEFORE
    assert len(outcomes[1]) == 1


def engine(sources):
    made = MembershipEngine(
        MembershipPolicy(changes=policy(), gather_s=0.0),
        changing(policy(), sources),
        random.Random(1),
    )
    made.custody.assign({Partition("loyalty", 0): None}, 1, 0.0)
    return made


def test_of_a_record_with_several_events_one_letter_names_those_that_died(sources):
    made = engine(sources)
    nobody = {**tier(3), "who": None}
    value = [seen(0), tier(1, "u1"), tier(2, "u2"), nobody]
    made.admit(record("loyalty", value), Moment(0.0, NOW_MS))
    assert not made.custody.letters  # its other members are under way
    made.custody.committed(made.custody.commits(0.0))
    batch = made.next_batch(Moment(1.0, NOW_MS))
    bad = [place for place, line in enumerate(batch.lines) if b"u2" in line]
    made.ended(batch, Unclear(DONE, 1), Hints(dict.fromkeys(bad, "")), 2.0)
    for _ in range(2):
        batch = made.next_batch(Moment(3.0, NOW_MS))
        rejected = sum(b"u2" in line for line in batch.lines)
        made.ended(batch, Landed(DONE, rejected), Hints(), 3.0)
    (pending,) = made.custody.next_letters(10)
    letter = pending.letter
    assert (letter.events, letter.events_total) == ((2, 3), 4)
    assert (letter.code, letter.cls) == ("line_rejected", DeadLetterClass.REFUSED)
    made.custody.letters_written([pending])
    assert made.custody.ledger.dead_lettered.total() == 1
    assert made.custody.ledger.balanced
    assert made.custody.ledger.open_bytes == 0
    assert made.custody.assigned[Partition("loyalty", 0)].frontier.snapshot().offset == 1


@pytest.mark.parametrize(
    ("value", "fate", "code"),
    [
        ([seen(0), seen(1)], Fate.SKIPPED, "not_a_membership"),
        ([tier(0), seen(1)], Fate.DELIVERED, ""),
        ([seen(0), {**tier(1), "who": None}], Fate.DEAD_LETTERED, "no_identifier"),
    ],
)
def test_the_fate_of_a_record_is_that_of_its_membership_events(sources, value, fate, code):
    made = engine(sources)
    made.admit(record("loyalty", value), Moment(0.0, NOW_MS))
    made.custody.committed(made.custody.commits(0.0))
    batch = made.next_batch(Moment(1.0, NOW_MS))
    if batch is not None:
        made.ended(batch, Landed(DONE, 0), Hints(), 2.0)
    letters = made.custody.next_letters(10)
    made.custody.letters_written(letters)
    ledger = made.custody.ledger
    assert (ledger.open, ledger.balanced) == (0, True)
    match fate:
        case Fate.SKIPPED:
            assert ledger.skipped[code] == 1
        case Fate.DELIVERED:
            assert ledger.delivered == 1
        case Fate.DEAD_LETTERED:
            assert letters[0].letter.code == code
            assert letters[0].letter.events == (1,)


def test_a_record_whose_schema_is_not_known_holds_its_partition(tmp_path):
    path = tmp_path / "relay.yaml"
    text = SETTINGS.replace("mapping: loyalty}", "format: avro, mapping: loyalty}")
    path.write_text("schema_registry: {urls: ['http://127.0.0.1:1']}\n" + text, encoding="utf-8")
    settings = load(path, {}, needs=["sources", "mappings", "decoding", "schema_registry"])
    cache = SchemaCache()
    made = engine(sources_of(settings.sources, settings.mappings, settings.decoding, cache))
    given = record("loyalty", "")._replace(value=b"\0\0\0\0\7x")
    made.admit(given, Moment(0.0, NOW_MS))
    assert made.custody.paused() == {given.tp}
    assert not made.custody.letters
    assert made.custody.ledger.open == 0
