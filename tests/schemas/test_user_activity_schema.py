import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from relay.model import Activity, Undecodable
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.mapping import MappingPolicy, map_event
from relay.stream.mapping.addresses import EmailPolicy
from relay.stream.mapping.policy import IdentityForm, IdentityPolicy, MissingCompartment
from relay.stream.mapping.user_activity import user_activity_schema
from tests.support.app_events import ACTIVITIES, VENDOR_SAMPLES, changed_examples, example
from tests.support.policies import changed

NOW = 1769851800123
VALIDATOR = Draft202012Validator(user_activity_schema())
POLICY = MappingPolicy(
    identity=IdentityPolicy(default_compartment_id="1000", compartments={"crm": "1700"})
)
LEGACY = changed(
    POLICY,
    identity=changed(
        POLICY.identity,
        form=IdentityForm.LEGACY,
        default_compartment_id=None,
        missing_compartment=MissingCompartment.PLATFORM,
        compartment_as_number=True,
        email=EmailPolicy(send_clear=True, check_hash=False),
    ),
    unique_key=False,
    session_status="IN_SESSION",
)


def sent(document, policy=POLICY):
    """The activity that an event becomes, or None."""
    event = decode(json.dumps(document).encode(), DecodingPolicy())
    if isinstance(event, Undecodable):
        return None
    outcome = map_event(event, policy, NOW)
    return json.loads(outcome.body()) if isinstance(outcome, Activity) else None


def test_the_schema_is_itself_valid():
    Draft202012Validator.check_schema(user_activity_schema())


@pytest.mark.parametrize("path", VENDOR_SAMPLES, ids=lambda path: path.stem)
def test_the_vendors_samples_are_valid(path):
    VALIDATOR.validate(json.loads(path.read_text(encoding="utf-8"))["activity"])


@pytest.mark.parametrize("name", ACTIVITIES)
def test_what_the_examples_become_is_valid(name):
    VALIDATOR.validate(sent(example(name)))


@settings(max_examples=300)
@given(changed_examples(), st.sampled_from([POLICY, LEGACY]))
def test_whatever_is_sent_is_valid(document, policy):
    activity = sent(document, policy)
    if activity is not None:
        VALIDATOR.validate(activity)


@pytest.mark.parametrize(
    "changes",
    [
        {"$type": "VISIT"},
        {"$session_status": "LIVE"},
        {"$user_identifiers": []},
        {"$user_identifiers": [{"$type": "USER_EMAIL", "$email": "jane@example.com"}]},
        {"$user_identifiers": [{"$type": "USER_POINT", "$user_point_id": "1"}]},
        {"$unique_key": "0a3f8d1e-3f3c-4a55-9d4e-0242ac120002"},
        {"$ts": "2026-01-31"},
        {"$referrer": "x"},
        {"$events": []},
        {"$events": [{"$ts": NOW, "$event_name": "x"}]},
        {"$events": [{"$ts": NOW, "$event_name": "$set_user_choice", "$properties": {}}]},
        {
            "$events": [
                {
                    "$ts": NOW,
                    "$event_name": "$set_user_profile_properties",
                    "$properties": {"gender": "f"},
                }
            ]
        },
    ],
)
def test_what_the_page_does_not_document_is_not_valid(changes):
    activity = sent(example("track-smallest"))
    assert VALIDATOR.is_valid(activity)
    assert not VALIDATOR.is_valid(activity | changes)


def test_an_activity_without_any_identifier_is_not_valid():
    activity = sent(example("track-smallest"))
    del activity["$user_identifiers"]
    assert not VALIDATOR.is_valid(activity)
