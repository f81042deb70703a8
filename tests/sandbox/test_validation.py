"""What is wrong with an activity, field by field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.sandbox import validation
from relay.sandbox.documents import UserActivity

V4 = "b3f0a4c0-e6a1-41f0-8c11-0242ac120002"


def problems(document, *, version_1: bool = True) -> dict[str, str]:
    return dict(validation.problems(UserActivity, document, unique_key_version_1=version_1))


def test_a_plain_activity_has_no_problems(activity):
    assert problems(activity()) == {}


@pytest.mark.parametrize(
    ("field", "value", "where", "says"),
    [
        ("$type", None, "$type", "is required"),
        ("$type", "VISIT", "$type", "must be one of"),
        ("$session_status", "LIVE", "$session_status", "must be one of"),
        ("$session_status", ["NO_SESSION"], "$session_status", "must be one of"),
        ("$ts", "soon", "$ts", "epoch milliseconds"),
        ("$ts", True, "$ts", "epoch milliseconds"),
        ("$ttl", -1, "$ttl", "minutes"),
        ("$app_id", "", "$app_id", "an id"),
        ("$origin", "google", "$origin", "an object"),
        ("$session_duration", "long", "$session_duration", "a number"),
        ("$unique_key", "k-1", "$unique_key", "UUID of version 1"),
        ("$unique_key", V4, "$unique_key", "UUID of version 1"),
        ("$events", None, "$events", "is required"),
        ("$events", {}, "$events", "must be an array"),
        ("$events", ["x"], "$events[0]", "must be an object"),
        ("$events", [{}], "$events[0].$event_name", "is required"),
        ("$events", [{"$event_name": ""}], "$events[0].$event_name", "not empty"),
        (
            "$events",
            [{"$event_name": "a"}, {"$event_name": "b", "$ts": 1.5}],
            "$events[1].$ts",
            "epoch",
        ),
        (
            "$events",
            [{"$event_name": "a", "$properties": []}],
            "$events[0].$properties",
            "must be an object",
        ),
        ("$user_identifiers", [], "$user_identifiers", "at least one"),
        ("$user_identifiers", "me", "$user_identifiers", "must be an array"),
        ("$user_identifiers", ["me"], "$user_identifiers[0]", "must be an object"),
        (
            "$user_identifiers",
            [{"$type": "USER_POINT"}],
            "$user_identifiers[0].$type",
            "must be one of",
        ),
        (
            "$user_identifiers",
            [{"$type": "USER_EMAIL", "$email": 5}],
            "$user_identifiers[0].$hash",
            "is required",
        ),
        ("$email_hash", {"$email": "x"}, "$email_hash.$hash", "is required"),
        ("$email_hash", {"$hash": ""}, "$email_hash.$hash", "an id"),
    ],
)
def test_each_wrong_field_is_named_with_a_reason(activity, field, value, where, says):
    found = problems(activity() | {field: value})
    assert says in found[where]


def test_all_problems_are_told_at_once():
    assert set(problems({})) == {"$type", "$session_status", "$events", "$user_identifiers"}


def test_a_body_that_is_no_object_is_one_problem():
    assert problems([]) == {"$": "must be an object"}


@pytest.mark.parametrize(
    "fields",
    [
        {"$ts": "1767225600000"},
        {"$ts": None},
        {"$events": []},
        {"$app_id": 1023},
        {"$ttl": 0},
        {"my_key": {"nested": [1]}},
        {"$unique_key": "b3f0a4c0-e6a1-11f0-8c11-0242ac120002"},
    ],
)
def test_what_the_vendor_is_known_to_accept_is_accepted(activity, fields):
    assert problems(activity() | fields) == {}


def test_the_legacy_form_of_identifiers_is_enough(activity):
    legacy = activity() | {"$user_identifiers": None, "$user_agent_id": "vec:1"}
    assert problems(legacy) == {}


def test_the_version_of_the_unique_key_can_be_left_open(activity):
    assert problems(activity(unique_key=V4), version_1=False) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "$ts",
        "$type",
        "$events",
        "$user_identifiers",
        "$unique_key",
        "$email_hash",
        "$ttl",
        "$app_id",
    ]
)


@given(st.dictionaries(FIELDS, JSON))
def test_no_document_is_too_strange_to_be_judged(document):
    assert problems(document)


def test_reasons_never_repeat_a_value(activity):
    secret = "someone@example.com"
    found = problems(
        activity() | {"$type": secret, "$ts": secret, "$unique_key": secret, "$events": secret}
    )
    assert len(found) == 4
    assert secret not in json.dumps(found)
