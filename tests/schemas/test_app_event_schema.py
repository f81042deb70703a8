import json

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from relay.model import Undecodable
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.decoding.schema import app_event_schema
from tests.support.app_events import EXAMPLES, changed_examples, example

VALIDATOR = Draft202012Validator(app_event_schema())


def judge(document):
    return decode(json.dumps(document).encode(), DecodingPolicy())


def test_the_schema_is_itself_valid():
    Draft202012Validator.check_schema(app_event_schema())


def test_every_kind_has_an_example():
    kinds = {example(path.stem)["type"] for path in EXAMPLES}
    assert kinds == {"track", "profile", "choice", "segment"}


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_every_example_is_valid_by_the_schema_and_decodes(name):
    VALIDATOR.validate(example(name))
    assert judge(example(name)).type == example(name)["type"]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "page"},
        {"id": None},
        {"id": " "},
        {"ts": 1769851800},
        {"ts": "2026-01-31T09:30:00"},
        {"user": {"emails": [{}]}},
        {"user": {"emails": [{"hash": "jane@example.com"}]}},
        {"user": {"devices": [{"id": "vec:1", "vector_id": "1"}]}},
        {"user": {"accounts": [{"id": 7}]}},
        {"activity": {"properties": {"$type": "TOUCH"}}},
        {"consents": {"\n": True}},
        {"surprise": 1},
        {"type": "segment", "event": None},
    ],
)
def test_what_decoding_refuses_the_schema_refuses_too(changes):
    document = example("track") | changes
    assert isinstance(judge(document), Undecodable)
    assert not VALIDATOR.is_valid(document)


@settings(max_examples=400)
@given(changed_examples())
def test_schema_and_decoding_agree_on_what_is_an_event(document):
    """What a producer validates with the schema is what the relay will take, and no more."""
    outcome = judge(document)
    assert VALIDATOR.is_valid(document) == (not isinstance(outcome, Undecodable)), outcome
