"""The segment command: the vendor's fields, strictly."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from relay.segments.formats import FileFormat, encoder
from relay.segments.model import (
    IDENTIFIERS,
    SEGMENT_FORMS,
    Operation,
    SegmentCommand,
    segment_command_schema,
)

SCHEMA_FILE = Path(__file__).parents[2] / "schemas" / "segment-command.v1.json"

# The vendor's sample, with its placeholders filled in.
VENDOR_SAMPLE = b"""{
        "operation": "UPDATE",
        "expiration_duration": 1440,
        "compartment_id": "1700",
        "user_account_id": "crm-881",
        "segment_id": "9007199254740993"
      }"""

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@st.composite
def commands(draw, text=texts):
    identifier = draw(st.sampled_from(IDENTIFIERS))
    form = draw(st.sampled_from(SEGMENT_FORMS))
    fields = {
        "operation": draw(st.sampled_from(list(Operation))),
        "expiration_duration": draw(st.integers(0, 10**9)),
        identifier: draw(text),
        form: draw(st.lists(text, min_size=1, max_size=3) if form.endswith("s") else text),
    }
    if identifier == "user_account_id" and draw(st.booleans()):
        fields["compartment_id"] = draw(text)
    if draw(st.booleans()):
        fields["expiration_ts"] = draw(st.integers(0, 2**53))
    if draw(st.booleans()):
        fields["data_bag"] = json.dumps(draw(st.dictionaries(texts, texts)), indent=1)
    return SegmentCommand(**fields)


def test_the_vendors_sample_is_a_command():
    command = SegmentCommand.model_validate_json(VENDOR_SAMPLE)
    assert command.operation is Operation.UPDATE
    assert command.user == ("user_account_id", "1700", "crm-881")
    assert command.segments == (("id", "9007199254740993"),)
    assert command.expiration_duration == 1440


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"operation": "UPSERT"}, "operation"),
        ({"operation": None}, "operation"),
        ({"expiration_duration": None}, "expiration_duration"),
        ({"expiration_duration": "60"}, "expiration_duration"),
        ({"expiration_duration": -1}, "expiration_duration"),
        ({"expiration_duration": 1.5}, "expiration_duration"),
        ({"segment_id": 123}, "segment_id"),
        ({"segment_id": ""}, "segment_id"),
        ({"segment_id": None}, "way to name the segment"),
        ({"segment_ids": ["1"]}, "way to name the segment"),
        ({"segment_id": None, "segment_ids": []}, "segment_ids"),
        ({"segment_id": None, "segment_ids": "1"}, "segment_ids"),
        ({"user_account_id": None, "compartment_id": None}, "identifier"),
        ({"email_hash": "ab"}, "identifier"),
        ({"user_account_id": None, "email_hash": "ab"}, "compartment_id"),
        ({"data_bag": "{"}, "data_bag"),
        ({"data_bag": {"a": 1}}, "data_bag"),
        ({"expires": 1}, "expires"),
    ],
)
def test_what_the_page_does_not_allow_is_refused_by_name_and_without_its_value(change, says):
    fields = json.loads(VENDOR_SAMPLE) | change
    with pytest.raises(ValidationError) as caught:
        SegmentCommand.model_validate_json(json.dumps(fields))
    assert says in str(caught.value)
    assert "crm-881" not in str(caught.value)


def test_an_expiration_of_zero_is_never_and_is_sent():
    fields = json.loads(VENDOR_SAMPLE) | {"expiration_duration": 0}
    command = SegmentCommand.model_validate_json(json.dumps(fields))
    assert b'"expiration_duration":0' in encoder(FileFormat.NDJSON).line(command)


def test_the_repr_says_what_is_done_but_not_to_whom():
    text = repr(SegmentCommand.model_validate_json(VENDOR_SAMPLE))
    assert "UPDATE" in text
    assert "crm-881" not in text


def test_the_schema_file_is_what_the_model_generates():
    assert json.loads(SCHEMA_FILE.read_text("utf-8")) == segment_command_schema()


@given(commands())
def test_every_line_that_is_written_is_valid_against_the_schema(command):
    line = encoder(FileFormat.NDJSON).line(command)
    jsonschema.Draft202012Validator(segment_command_schema()).validate(json.loads(line))


@pytest.mark.parametrize(
    "change",
    [
        {"email_hash": "ab"},
        {"segment_ids": ["1"]},
        {"operation": "UPSERT"},
        {"expires": 1},
        {"segment_id": 1},
        {"expiration_duration": -1},
    ],
)
def test_the_schema_refuses_what_the_model_refuses(change):
    validator = jsonschema.Draft202012Validator(segment_command_schema())
    sample = json.loads(VENDOR_SAMPLE)
    validator.validate(sample)
    assert not validator.is_valid(sample | change)
