"""What a mapping made is judged by the models of the input format; faults name both sides."""

import pytest

from relay.model import Undecodable
from relay.sources.events import events_of
from relay.stream.decoding import Profile, Track
from tests.support.mappings import RECORD, mapping

TEXT = """
rules:
  - name: order
    when: .k == "order"
    track: .name
    id: .no
    ts: .at
    user: {accounts: {each: .ids, as: {id: .v, compartment: crm}}}
    consents: {each: .c | entries, key: .key, value: .value}
  - name: row
    profile: {tier: .tier}
    id: .no
    ts: .at
"""
GOOD = {"k": "order", "name": "e", "no": "1", "at": 1795339800000, "ids": [{"v": "881"}]}


def one(document):
    (event,) = events_of(mapping(TEXT)(document, RECORD))
    return event


def test_a_mapped_document_becomes_the_native_event():
    event = one(GOOD)
    assert isinstance(event, Track)
    assert (event.id, event.user.accounts[0].id) == ("1", "881")
    assert isinstance(one({"tier": "gold", "no": "1", "at": 1795339800000}), Profile)


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"no": None}, "missing_field", "id: is missing (from .no, rule order)"),
        ({"no": 7}, "invalid_field", "id: must be text (from .no, rule order)"),
        (
            {"at": 1795339800},
            "invalid_timestamp",
            "ts: looks like epoch seconds; milliseconds are wanted (from .at, rule order)",
        ),
        (
            {"ids": [{"v": "1"}, {"v": ""}]},
            "invalid_field",
            "user.accounts[1].id: must not be empty (from .ids[].v, rule order)",
        ),
        (
            {"c": {"jane@example.com": "yes"}},
            "invalid_field",
            "consents.(unusual name): must be true or false (from .c, rule order)",
        ),
        ({"name": None}, "missing_field", "event: is missing (from .name, rule order)"),
    ],
)
def test_what_the_input_format_refuses_is_told_with_where_it_came_from(change, code, reason):
    found = one(GOOD | change)
    assert isinstance(found, Undecodable)
    assert (found.code, found.reason) == (code, reason)


def test_a_profile_of_nothing_is_missing_its_properties():
    found = one({"no": "1", "at": 1795339800000})
    assert found.reason == "properties: is missing (from .tier, rule row)"
