import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.decoding.schema import app_event_schema
from relay.stream.model import Undecodable

SCHEMAS = Path(__file__).parents[2] / "schemas"
EXAMPLES = sorted((SCHEMAS / "examples").glob("*.json"))
VALIDATOR = Draft202012Validator(app_event_schema())


def test_the_schema_is_itself_valid():
    Draft202012Validator.check_schema(app_event_schema())


def test_every_kind_has_an_example():
    kinds = {json.loads(path.read_text())["type"] for path in EXAMPLES}
    assert kinds == {"track", "profile", "choice", "segment"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_valid_by_the_schema_and_decodes(path):
    VALIDATOR.validate(json.loads(path.read_text()))
    outcome = decode(path.read_bytes(), DecodingPolicy())
    assert outcome.type == json.loads(path.read_text())["type"]


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
        {"surprise": 1},
        {"type": "segment", "event": None},
    ],
)
def test_what_decoding_refuses_the_schema_refuses_too(changes):
    document = json.loads((SCHEMAS / "examples" / "track.json").read_text()) | changes
    assert isinstance(decode(json.dumps(document).encode(), DecodingPolicy()), Undecodable)
    assert not VALIDATOR.is_valid(document)
