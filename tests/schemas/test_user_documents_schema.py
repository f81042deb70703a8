"""What mapping puts on user points, and the parts of activities, are held to their schemas."""

import json

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from relay.model import Activity, Request, Undecodable
from relay.sandbox.documents import UserChoiceUpdate, UserProfileUpdate
from relay.sandbox.validation import problems
from relay.schemas import SCHEMAS
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.mapping import MappingPolicy, map_event
from relay.stream.mapping.policy import ChoiceRoute, IdentityPolicy, ProfileRoute
from tests.support.app_events import ROOT, changed_examples, example

NOW = 1769851800123
POLICY = MappingPolicy(
    identity=IdentityPolicy(default_compartment_id="1000", compartments={"crm": "1700"}),
    profile_route=ProfileRoute.USER_PROFILES,
    choice_route=ChoiceRoute.USER_CHOICES,
)
VALID = {name: Draft202012Validator(schema()) for name, schema in SCHEMAS.items()}
SAMPLES = sorted((ROOT / "tests" / "golden" / "vendor_put").glob("*.json"))
PARTS = ["user-event.v1", "user-identifiers.v1", "user-profile.v1", "user-choice.v1"]


@pytest.mark.parametrize("name", PARTS)
def test_a_schema_is_itself_valid(name):
    Draft202012Validator.check_schema(SCHEMAS[name]())


def validate(document):
    """Hold what becomes of an event to the schemas; what it is, or None if it is not sent."""
    event = decode(json.dumps(document).encode(), DecodingPolicy())
    if isinstance(event, Undecodable):
        return None
    outcome = map_event(event, POLICY, NOW)
    if isinstance(outcome, Activity):
        sent = json.loads(outcome.body())
        VALID["user-identifiers.v1"].validate(sent["$user_identifiers"])
        for one in sent["$events"]:
            VALID["user-event.v1"].validate(one)
        return "activity"
    if isinstance(outcome, Request):
        name = "user-profile" if "/user_profiles/" in outcome.path else "user-choice"
        VALID[f"{name}.v1"].validate(json.loads(outcome.body))
        return name
    return None


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("track", "activity"),
        ("profile", "user-profile"),
        ("profile-put", "user-profile"),
        ("choice", "user-choice"),
        ("choice-put", "user-choice"),
    ],
)
def test_what_an_example_becomes_is_valid(name, what):
    assert validate(example(name)) == what


@settings(max_examples=300)
@given(changed_examples())
def test_whatever_is_sent_is_valid(document):
    validate(document)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_vendors_samples_are_valid(path):
    name = "user-profile.v1" if "profile" in path.stem else "user-choice.v1"
    VALID[name].validate(json.loads(path.read_text(encoding="utf-8"))["body"])


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("user-profile.v1", {"$creation_ts": 1}),
        ("user-profile.v1", {"$user_account_id": ""}),
        ("user-profile.v1", []),
        ("user-choice.v1", {"$choice_ts": "1"}),
        ("user-choice.v1", {"$choice_ts": 1, "$choice_acceptance_value": True}),
        ("user-choice.v1", {"$choice_ts": "now", "$choice_acceptance_value": True}),
        ("user-choice.v1", {"$choice_ts": "1", "$choice_acceptance_value": "yes"}),
        ("user-event.v1", {"$ts": NOW, "$event_name": "x"}),
        ("user-identifiers.v1", []),
        ("user-identifiers.v1", [{"$type": "USER_POINT", "$user_point_id": "1"}]),
    ],
)
def test_what_the_page_does_not_document_is_not_valid(name, document):
    assert not VALID[name].is_valid(document)


@given(changed_examples())
def test_the_sandbox_takes_every_profile_that_the_schema_allows(document):
    if VALID["user-profile.v1"].is_valid(document):
        assert (
            problems(UserProfileUpdate, document, compartment_id="1000", user_account_id="a") == []
        )


@given(changed_examples())
def test_the_sandbox_takes_every_choice_that_the_schema_allows(document):
    choice = {"$choice_ts": str(NOW), "$choice_acceptance_value": True, **document}
    if VALID["user-choice.v1"].is_valid(choice):
        assert problems(UserChoiceUpdate, choice, processing_id="7") == []
