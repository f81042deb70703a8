"""Odd characters and doubled identifiers: each has a decided answer, on every route."""

import json

import pytest

from relay.model import Activity, Request, Undecodable
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.mapping import MappingPolicy, map_event
from relay.stream.mapping.policy import IdentityPolicy

NOW = 1769851800123
POLICY = MappingPolicy(identity=IdentityPolicy(default_compartment_id="1000"), datamart_id="1234")
CHOICE = {"type": "choice", "id": "1", "ts": NOW, "processing_id": "7", "accepted": True}


def outcome(document):
    event = decode(json.dumps(document).encode(), DecodingPolicy())
    return event if isinstance(event, Undecodable) else map_event(event, POLICY, NOW)


@pytest.mark.parametrize("character", ["\x00", "\n", "\r", "\t", "\x1b", "\x7f"])
@pytest.mark.parametrize(
    "place",
    [
        {"user": {"accounts": [{"id": "a%"}]}},
        {"user": {"accounts": [{"id": "a", "compartment": "1%"}]}},
        {"user": {"emails": [{"address": "a%@b.example"}]}},
        {"user": {"emails": [{"hash": "a%"}]}},
        {"user": {"devices": [{"id": "vec:1%"}]}},
        {"user": {"accounts": [{"id": "a"}]}, "processing_id": "7%"},
        {"user": {"accounts": [{"id": "a"}]}, "user_point_id": "7%"},
    ],
)
def test_a_control_character_in_an_id_is_no_event_and_is_not_repeated(place, character):
    text = json.dumps({**CHOICE, **place}).replace("%", json.dumps(character)[1:-1])
    found = decode(text.encode(), DecodingPolicy())
    assert isinstance(found, Undecodable)
    assert found.code == "invalid_field"
    assert character not in found.reason


@pytest.mark.parametrize("text", ["é", "日本", "a\u0301", "👩‍👧", "क\u200dष", "%41"])
def test_letters_of_any_script_stay_as_they_are_neither_composed_nor_decoded(text):
    user = {"accounts": [{"id": text}]}
    activity = outcome({**CHOICE, "user": user, "properties": {text: text}})
    assert isinstance(activity, Activity)
    sent = json.loads(activity.body())
    assert sent["$user_identifiers"][0]["$user_account_id"] == text
    assert sent["$events"][0]["$properties"][text] == text
    put = outcome({**CHOICE, "user": user, "route": "user_choices", "properties": {text: text}})
    assert isinstance(put, Request)
    assert json.loads(put.body)[text] == text


def test_control_characters_in_properties_are_the_producers_own_and_travel_escaped():
    user = {"accounts": [{"id": "a"}]}
    activity = outcome({**CHOICE, "user": user, "properties": {"note": "a\n\x00b"}})
    assert b"\n" not in activity.body()
    assert json.loads(activity.body())["$events"][0]["$properties"]["note"] == "a\n\x00b"


def test_half_a_character_is_no_event():
    found = decode(b'{"type":"choice","id":"\\ud800"}', DecodingPolicy())
    assert (found.code, "surrogate" in found.reason) == ("invalid_json", False)


def test_of_two_emails_both_identify_an_activity_and_the_first_selects_on_a_path():
    hashes = ["a" * 64, "b" * 64]
    user = {"emails": [{"hash": one} for one in hashes]}
    activity = outcome({**CHOICE, "user": user})
    sent = json.loads(activity.body())["$user_identifiers"]
    assert [one["$hash"] for one in sent] == hashes
    put = outcome({**CHOICE, "user": user, "route": "user_choices"})
    assert f"/email_hash={hashes[0]}/" in put.path
