"""Records of topics with a source: which source, how many events, and which after a replay."""

import json

import pytest

from relay.model import DeadLetter, DeadLetterClass, Parcel, Record, Undecodable, Unwanted
from relay.road.settling.dead_letter import envelope
from relay.settings import load
from relay.settings.topics import sources_of
from relay.sources.interpret import DELIVERED_BEFORE, source_interpreter
from relay.stream.decoding import DecodingPolicy
from relay.stream.interpret import Events, InterpretPolicy
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.unique_key import unique_key

NOW_MS = 1_767_225_600_000
SETTINGS = """
sources:
  - topics: ["web.*"]
    format: json
    preset: segment
    settings: {compartment: "1000"}
  - topics: [shop]
    mapping: shop
mappings:
  shop:
    rules:
      - name: seen
        track: seen
        id: .no
        ts: .at
        user: {accounts: [{id: .who, compartment: "1000"}]}
decoding: {events_per_record_max: 3}
"""
NEEDS = ["sources", "mappings", "decoding"]


@pytest.fixture
def interpret(tmp_path):
    path = tmp_path / "relay.yaml"
    path.write_text(SETTINGS, encoding="utf-8")
    settings = load(path, {}, needs=NEEDS)
    sources = sources_of(settings.sources, settings.mappings, settings.decoding)
    read = source_interpreter(sources, InterpretPolicy(DecodingPolicy(), MappingPolicy()))
    return lambda *given, **more: read(record(*given, **more), NOW_MS)


def record(topic, value, headers=()):
    return Record(topic, 0, 7, NOW_MS, None, json.dumps(value).encode(), headers)


def seen(number, who="u1"):
    return {"no": str(number), "at": NOW_MS, "who": who}


def test_a_preset_reads_the_topics_that_its_pattern_fits(interpret):
    action = {"type": "track", "event": "Done", "messageId": "m1", "userId": "u1"}
    action["timestamp"] = "2026-01-01T00:00:00Z"
    outcome = interpret("web.clicks", action)
    assert isinstance(outcome, Parcel), outcome
    assert b'"Done"' in outcome.payload.events[0]


def test_a_topic_that_no_source_fits_is_in_the_own_format(interpret):
    outcome = interpret("shop.other", seen(1))
    assert isinstance(outcome, Undecodable)
    assert "type" in outcome.reason


def test_an_array_is_several_events_in_their_order_the_bad_one_by_itself(interpret):
    outcome = interpret("shop", [seen(1), {"no": "2"}, seen(3)])
    assert isinstance(outcome, Events)
    first, second, third = outcome.outcomes
    assert isinstance(second, Undecodable)
    assert first.lane == third.lane
    assert first.payload.unique_key != third.payload.unique_key


@pytest.mark.parametrize(
    ("value", "kind", "code"),
    [([], Unwanted, "no_events"), ([seen(n) for n in range(4)], Undecodable, "too_many_events")],
)
def test_none_and_too_many_are_one_outcome(interpret, value, kind, code):
    outcome = interpret("shop", value)
    assert (type(outcome), outcome.code) == (kind, code)


def test_a_replayed_record_sends_the_events_that_its_letter_names_wherever_it_was_sent(interpret):
    died = record("shop", [seen(1), seen(2), seen(3)], (("own", b"x"),))
    letter = DeadLetter(
        died, DeadLetterClass.REFUSED, "http_400", "bad", events=(1,), events_total=3
    )
    headers = envelope(letter, "1")
    assert ("relay-dlq-events", b"1") in headers
    outcome = interpret("shop.dlq", [seen(1), seen(2), seen(3)], headers=headers)
    first, second, third = outcome.outcomes
    assert first is third is DELIVERED_BEFORE
    assert isinstance(second, Parcel)


def test_a_record_that_holds_another_number_of_events_now_is_sent_as_a_whole(interpret):
    died = record("shop", [seen(1), seen(2), seen(3)])
    letter = DeadLetter(died, DeadLetterClass.REFUSED, "x", "y", events=(1,), events_total=3)
    outcome = interpret("shop", [seen(1), seen(2)], headers=envelope(letter, "1"))
    assert all(isinstance(part, Parcel) for part in outcome.outcomes)


def test_two_sources_with_the_same_id_and_time_have_keys_of_their_own_where_they_are_named(
    tmp_path,
):
    path = tmp_path / "relay.yaml"
    web, app = "{topics: [web], mapping: shop}", "{topics: [app], mapping: shop, ids_from: app}"
    own = SETTINGS.partition("mappings:")[2]
    path.write_text(f"sources: [{web}, {app}]\nmappings:{own}", encoding="utf-8")
    settings = load(path, {}, needs=NEEDS)
    sources = sources_of(settings.sources, settings.mappings, settings.decoding)
    read = source_interpreter(sources, InterpretPolicy(DecodingPolicy(), MappingPolicy()))
    keys = [read(record(topic, seen(1)), NOW_MS).payload.unique_key for topic in ("web", "app")]
    assert keys[0] != keys[1]
    # What was stored before there was a source for the topic keeps its key.
    assert keys[0] == unique_key("", "1", NOW_MS)
