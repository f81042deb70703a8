"""Which destination an event goes to: the table of the module, line by line."""

import orjson
import pytest
from pydantic import ValidationError

from relay.model import DeadLetter, DeadLetterClass, Record, Unmappable
from relay.road.settling.dead_letter import envelope
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.routing import RoutingPolicy, chooser

NAMES = ("fr", "de", "es")


def event(**fields):
    document = {
        "type": "track",
        "id": "1",
        "ts": 1_767_225_600_000,
        "user": {"accounts": [{"id": "ada", "compartment": "1"}]},
        "event": "seen",
        **fields,
    }
    found = decode(orjson.dumps(document), DecodingPolicy())
    assert not isinstance(found, Unmappable)
    return found


def record(topic="shops", *headers):
    return Record(topic, 0, 7, 1_767_225_600_000, None, b"{}", headers)


def chosen(policy, of=None, at=None):
    return chooser(RoutingPolicy(**policy), NAMES)(at or record(), of or event())


@pytest.mark.parametrize(
    ("policy", "fields", "name"),
    [
        ({"field": "site_id"}, {"site_id": "de"}, "de"),
        ({"field": "site_id", "table": {"A": "fr"}}, {"site_id": "A"}, "fr"),
        ({"field": "properties.shop", "table": {"7": "es"}}, {"properties": {"shop": 7}}, "es"),
        ({"field": "properties.a.0", "table": {"x": "es"}}, {"properties": {"a": ["x"]}}, "es"),
        ({"field": "properties.is", "table": {"true": "fr"}}, {"properties": {"is": True}}, "fr"),
        ({"field": "user.accounts.0.id", "table": {"ada": "fr"}}, {}, "fr"),
        ({"field": "site_id", "default": "fr"}, {}, "fr"),
        ({"default": "es"}, {}, "es"),
        ({"topics": {"shop*": "es"}, "field": "site_id"}, {"site_id": "fr"}, "es"),
        ({"topics": {"other": "es"}, "field": "site_id"}, {"site_id": "fr"}, "fr"),
    ],
)
def test_the_first_that_decides_is_the_one(policy, fields, name):
    assert chosen(policy, event(**fields)) == name


@pytest.mark.parametrize(
    ("policy", "fields", "said"),
    [
        ({"field": "site_id", "table": {"A": "fr"}}, {"site_id": "B"}, "add its value to routing"),
        ({"field": "site_id"}, {"site_id": "B"}, "give it a routing.table"),
        ({"field": "site_id", "default": "fr"}, {"site_id": "B"}, "names no destination"),
        ({"field": "site_id"}, {}, "site_id: missing"),
        ({"field": "properties.a"}, {"properties": {"a": {"b": 1}}}, "names no destination"),
        ({"field": "properties.a.b"}, {"properties": {"a": "text"}}, "missing"),
        ({"topics": {"other": "es"}}, {}, "add it to routing.topics"),
    ],
)
def test_what_names_no_destination_is_a_dead_letter_that_says_where(policy, fields, said):
    found = chosen(policy, event(**fields))
    assert isinstance(found, Unmappable)
    assert found.code == "unknown_destination"
    assert said in found.reason


def test_a_reason_never_holds_the_value():
    found = chosen({"field": "site_id"}, event(site_id="secret-shop"))
    assert "secret-shop" not in found.reason


def test_the_last_header_of_that_name_decides():
    policy = {"header": "shop", "table": {"1": "fr", "2": "de"}}
    assert chosen(policy, at=record("t", ("shop", b"1"), ("shop", b"2"))) == "de"
    assert isinstance(chosen(policy, at=record("t", ("shop", b"\xff"))), Unmappable)
    assert "header shop: missing" in chosen(policy, at=record("t", ("other", b"1"))).reason
    assert chosen(policy | {"default": "es"}, at=record("t", ("shop", None))) == "es"


def test_a_replayed_record_goes_where_its_own_topic_goes():
    letter = DeadLetter(record("shops"), DeadLetterClass.UNMAPPABLE, "x", "y")
    replayed = record("replayed", *envelope(letter, "1"))
    assert chosen({"topics": {"shops": "de"}}, at=replayed) == "de"


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"header": "a", "field": "site_id"}, "not both"),
        ({"table": {"a": "fr"}}, "table needs header or field"),
        ({"field": "shop"}, "an event has"),
        ({"field": "Properties"}, "pattern"),
    ],
)
def test_what_cannot_decide_is_an_error_of_the_settings(policy, said):
    with pytest.raises(ValidationError, match=said):
        RoutingPolicy(**policy)
