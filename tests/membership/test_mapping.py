"""An event of type `segment` → the lines that it asks for."""

import json

import pytest

from relay.membership.mapping import OTHER_EVENT, changing, command
from relay.membership.policy import ChangePolicy
from relay.model import Record, Unmappable, Unwanted
from relay.segments.formats import FileFormat
from relay.segments.model import SegmentCommand
from relay.stream.decoding import DecodingPolicy
from relay.stream.mapping.addresses import EmailPolicy
from relay.stream.mapping.policy import IdentityPolicy, MappingPolicy

NOW_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
HASH = "836f82db99121b3481011f16b49dfa5fbc714a0d1b1b9f784a1ebbbf5b39577f"
JANE = {"accounts": [{"id": "crm-881"}]}


def policy(**mapping):
    identity = IdentityPolicy(default_compartment_id="1000", email=EmailPolicy())
    return ChangePolicy(mapping=MappingPolicy(identity=identity, **mapping))


def event(**fields):
    made = {
        "type": "segment",
        "id": "m-1",
        "ts": NOW_MS,
        "user": JANE,
        "action": "add",
        "segment_ids": ["88"],
        **fields,
    }
    return json.dumps({name: value for name, value in made.items() if value is not None}).encode()


def changes_of(value, made=None):
    record = Record("events", 0, 0, NOW_MS, None, value)
    return changing(made or policy())(record, NOW_MS)


def lines(value, *, minutes=0, now_ms=NOW_MS, made=None):
    return [
        command(change, minutes, now_ms).model_dump(exclude_none=True)
        for change in changes_of(value, made)
    ]


def test_who_enters_is_updated_and_stays_for_ever_unless_it_is_said():
    assert lines(event()) == [
        {
            "operation": "UPDATE",
            "compartment_id": "1000",
            "user_account_id": "crm-881",
            "segment_id": "88",
            "expiration_duration": 0,
        }
    ]


def test_who_leaves_is_deleted():
    (line,) = lines(event(action="remove", properties={"why": "unsubscribed"}), minutes=60)
    assert line["operation"] == "DELETE"
    assert line["expiration_duration"] == 0
    assert "data_bag" not in line


def test_an_event_with_several_segments_is_a_line_for_each_once():
    value = event(segment_ids=["88", "89", "88"], segment_technical_names=["churn"])
    named = [(line.get("segment_id"), line.get("segment_technical_name")) for line in lines(value)]
    assert named == [("88", None), ("89", None), (None, "churn")]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (JANE, {"compartment_id": "1000", "user_account_id": "crm-881"}),
        (
            {"accounts": [{"id": "7", "compartment": "1700"}]},
            {"compartment_id": "1700", "user_account_id": "7"},
        ),
        ({"emails": [{"hash": HASH}]}, {"email_hash": HASH}),
        ({"devices": [{"id": "vec:123"}]}, {"user_agent_id": "vec:123"}),
        (
            {"devices": [{"id": "vec:123"}], "emails": [{"hash": HASH}]},
            {"email_hash": HASH},
        ),
        (
            {**JANE, "emails": [{"hash": HASH}], "devices": [{"id": "vec:123"}]},
            {"compartment_id": "1000", "user_account_id": "crm-881"},
        ),
    ],
)
def test_a_line_has_one_identifier_the_one_that_names_the_user_best(user, expected):
    (line,) = lines(event(user=user))
    assert {name: line[name] for name in line if name in expected} == expected
    assert SegmentCommand.model_validate(line).user[2] in expected.values()


def test_a_clear_address_is_hashed_and_never_sent():
    (line,) = lines(event(user={"emails": [{"address": " Jane.Doe@Example.com "}]}))
    assert len(line["email_hash"]) == 64
    assert "example" not in json.dumps(line).lower()


def test_an_end_is_sent_as_a_time_and_as_minutes_that_are_never_too_few():
    (line,) = lines(event(expires_at=NOW_MS + HOUR_MS + 1))
    assert (line["expiration_ts"], line["expiration_duration"]) == (NOW_MS + HOUR_MS + 1, 61)


def test_minutes_are_counted_from_when_the_line_is_written():
    value = event(expires_at=NOW_MS + 2 * HOUR_MS)
    (line,) = lines(value, now_ms=NOW_MS + HOUR_MS)
    assert line["expiration_duration"] == 60


def test_a_membership_that_has_ended_by_then_takes_the_user_out():
    (line,) = lines(event(expires_at=NOW_MS + HOUR_MS), now_ms=NOW_MS + HOUR_MS)
    assert line["operation"] == "DELETE"
    assert line["expiration_duration"] == 0
    assert "expiration_ts" not in line


def test_an_event_without_an_end_lasts_as_long_as_the_settings_say():
    (line,) = lines(event(), minutes=10_080)
    assert line["expiration_duration"] == 10_080
    assert "expiration_ts" not in line


def test_properties_are_the_data_bag_as_escaped_json():
    (line,) = lines(event(properties={"score": 0.8, "why": 'said "yes"'}))
    assert json.loads(line["data_bag"]) == {"score": 0.8, "why": 'said "yes"'}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"user": {}}, "no_identifier"),
        ({"ts": NOW_MS + 10 * 86_400_000}, "implausible_time"),
        ({"user": {"accounts": [{"id": "7", "compartment": "crm"}]}}, "compartment_unknown"),
    ],
)
def test_what_cannot_be_a_line_is_unmappable_for_the_reasons_of_the_stream(fields, code):
    outcome = changes_of(event(**fields))
    assert isinstance(outcome, Unmappable)
    assert outcome.code == code


def test_nobody_enters_without_the_consent_that_is_required_and_everybody_may_leave():
    made = policy(required_processings=("2048",))
    refused = {"consents": {"2048": False}}
    outcome = changes_of(event(**refused), made)
    assert isinstance(outcome, Unwanted)
    assert outcome.code == "consent_refused"
    assert lines(event(action="remove", **refused), made=made)[0]["operation"] == "DELETE"
    assert lines(event(consents={"2048": True}), made=made)[0]["operation"] == "UPDATE"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"not JSON about a segment",
        b'{"type":"segment"}',
        json.dumps({**json.loads(event()), "type": "track", "event": "segment"}).encode(),
        event(action="enter"),
    ],
)
def test_what_is_no_membership_event_is_left_to_the_stream(value):
    assert changes_of(value) is OTHER_EVENT


def test_a_type_that_is_spelt_in_escapes_is_ours_too():
    value = event().replace(b'"type": "segment"', b'"type": "\\u0073egm\\u0065nt"')
    value = value.replace(b'"segment_ids"', b'"\\u0073egment_ids"')
    assert b"segment" not in value
    assert len(lines(value)) == 1


def test_a_record_that_is_too_large_is_left_to_the_stream_which_buries_it():
    made = ChangePolicy(decoding=DecodingPolicy(record_bytes_max=100), mapping=policy().mapping)
    assert changes_of(event(properties={"x": "y" * 200}), made) is OTHER_EVENT


def test_an_identifier_that_a_csv_cannot_hold_is_unmappable_there():
    value = event(segment_ids=["a\u2028b"])
    made = policy()
    as_csv = ChangePolicy(mapping=made.mapping, form=FileFormat.CSV)
    assert len(changes_of(value, made)) == 1
    outcome = changes_of(value, as_csv)
    assert isinstance(outcome, Unmappable)
    assert outcome.code == "identifier_not_writable"
    assert "\u2028" not in outcome.reason


def test_nothing_personal_is_in_the_repr_of_a_change():
    (change,) = changes_of(event(properties={"name": "Jane"}))
    assert "crm-881" not in repr(change)
    assert "Jane" not in repr(change)
