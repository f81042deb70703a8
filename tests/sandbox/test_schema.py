"""The sandbox takes whatever the schema of what we send allows. It knows nothing of that schema."""

import copy
import json
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from relay.sandbox.documents import UserActivity
from relay.sandbox.validation import problems

SCHEMA = Path(__file__).parents[2] / "schemas" / "user-activity.v1.json"
ALLOWS = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
SAMPLE = {
    "$ts": 1_767_225_600_000,
    "$type": "APP_VISIT",
    "$session_status": "IN_SESSION",
    "$app_id": "1023",
    "$unique_key": "b3f0a4c0-e6a1-11f0-8c11-0242ac120002",
    "$ttl": 5,
    "$session_duration": 7,
    "$topics": {"sport": {"ski": 1}},
    "$origin": {"$source": "mail"},
    "$location": {"$country": "FR"},
    "$compartment_id": 17,
    "$user_account_id": "a",
    "$user_agent_id": "vec:1",
    "$email_hash": {"$hash": "h"},
    "custom": [1],
    "$user_identifiers": [
        {"$type": "USER_ACCOUNT", "$compartment_id": "17", "$user_account_id": "a"},
        {"$type": "USER_AGENT", "$user_agent_id": "vec:1"},
        {"$type": "USER_EMAIL", "$hash": "h", "$email": "e"},
    ],
    "$events": [
        {"$ts": 1_767_225_600_000, "$event_name": "seen", "$properties": {"a": {"b": [1]}}},
        {
            "$ts": 1_767_225_600_000,
            "$event_name": "$set_user_profile_properties",
            "$properties": {"$compartment_id": "17", "$user_account_id": "a", "x": 1},
        },
        {
            "$ts": 1_767_225_600_000,
            "$event_name": "$set_user_choice",
            "$properties": {"$processing_id": "7", "$choice_acceptance_value": True},
        },
    ],
}
OTHERS = st.sampled_from([0, 1, 1.0, 1.5, "", "x", True, None, [], {}, {"$ts": 1}, "USER_EMAIL"])


@st.composite
def changed(draw) -> dict:
    """The sample with a few values dropped or replaced."""
    document = copy.deepcopy(SAMPLE)
    for _ in range(draw(st.integers(0, 3))):
        place: dict | list = document
        while True:
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(keys))
            inner = place[key]
            # The schema leaves open what properties hold, the sandbox looks at some of them.
            if key == "$properties" or not isinstance(inner, dict | list) or not inner:
                break
            if draw(st.booleans()):
                break
            place = inner
        if draw(st.booleans()):
            del place[key]
        else:
            place[key] = copy.deepcopy(draw(OTHERS))  # a later draw may go into it
        if not document:
            break
    return document


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(changed())
def test_what_the_schema_allows_is_taken(document):
    allowed = ALLOWS.is_valid(document)
    event(f"allowed: {allowed}")
    found = problems(UserActivity, document, unique_key_version_1=True)
    assert not (allowed and found), found


def test_the_sample_is_allowed_and_taken():
    assert ALLOWS.is_valid(SAMPLE)
    assert problems(UserActivity, SAMPLE, unique_key_version_1=True) == []
