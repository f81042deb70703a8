import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Undecodable, Unwanted
from relay.stream.decoding import DecodingPolicy, Track, decode
from relay.stream.decoding.reasons import UndecodableCode

POLICY = DecodingPolicy()

FRAMED = (
    "begins with a byte 0 and a schema's id (Confluent wire format), which is not JSON: "
    "a source with format schema_registry reads it"
)


def event(**changes):
    fields = {
        "type": "track",
        "id": "e-1",
        "ts": 1769851800123,
        "user": {"accounts": [{"id": "crm-881", "compartment": "1700"}]},
        "event": "opened",
    }
    return {name: value for name, value in (fields | changes).items() if value is not ...}


def judge(document):
    value = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode(value, POLICY)


def test_an_event_comes_out_with_the_values_that_went_in():
    track = judge(event(properties={"a": [1, {"b": None}], "é": "☃"}, app_id="1023"))
    assert isinstance(track, Track)
    assert (track.id, track.ts, track.event, track.app_id) == (
        "e-1",
        1769851800123,
        "opened",
        "1023",
    )
    assert track.user.accounts[0].id == "crm-881"
    assert track.properties == {"a": [1, {"b": None}], "é": "☃"}


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        (b"", "invalid_json", "the value is empty"),
        (b"{", "invalid_json", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "invalid_json", "begins with a byte order mark"),
        ("{}".encode("utf-16"), "not_utf8", "not UTF-8 from byte 0 on"),
        (b'{"type": "\xe9"}', "not_utf8", "not UTF-8 from byte 10 on"),
        (b'{"a": NaN}', "invalid_json", "not valid JSON"),
        (b'{"a": "\\ud800"}', "invalid_json", "not valid JSON"),
        (b'{"a": {"b": 1, "b": 1}}', "duplicate_key", "a key stands twice"),
        (
            b"\0\0\0\0\x07\x02x",
            "invalid_json",
            FRAMED,
        ),
        (
            b'\0\0\0\0\x07{"a":1}',
            "invalid_json",
            FRAMED,
        ),
        (b"\0\0", "invalid_json", "not valid JSON"),
        (b"[" * 1000, "too_deep", "nested too deeply"),
        (b'{"a":' * 1000, "too_deep", "nested too deeply"),
        (b"9" * 5000, "number_out_of_range", "number out of range"),
        (b"[]", "not_an_object", "the value must be a JSON object"),
        (b"null", "not_an_object", "the value must be a JSON object"),
        (
            b"x" * 1_048_577,
            "too_large",
            "the value has more than 1048576 bytes (decoding.record_bytes_max)",
        ),
    ],
)
def test_bytes_that_are_no_json_object_are_told_apart(value, code, reason):
    outcome = decode(value, POLICY)
    assert (outcome.code, outcome.reason.partition(" at line ")[0]) == (code, reason)


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"type": ...}, "missing_field", "type: is missing"),
        (
            {"type": "page"},
            "unknown_type",
            "type: must be one of 'track', 'profile', 'choice', 'segment'",
        ),
        ({"id": ...}, "missing_field", "id: is missing"),
        ({"id": 17}, "invalid_field", "id: must be text"),
        ({"id": ""}, "invalid_field", "id: must not be empty"),
        ({"id": "i" * 513}, "invalid_field", "id: is longer than 512 characters"),
        ({"user": ...}, "missing_field", "user: is missing"),
        ({"user": None}, "invalid_field", "user: must be an object"),
        ({"user": {"accounts": {}}}, "invalid_field", "user.accounts: must be an array"),
        (
            {"user": {"accounts": [{"id": 2**63}]}},
            "invalid_field",
            "user.accounts[0].id: must be text",
        ),
        (
            {"user": {"accounts": [{"id": "a\nb"}]}},
            "invalid_field",
            "user.accounts[0].id: has characters that are not allowed here, or nothing but spaces",
        ),
        (
            {"user": {"devices": [{"id": "vec:1"}] * 101}},
            "invalid_field",
            "user.devices: has more than 100 entries",
        ),
        (
            {"user": {"emails": [{}]}},
            "missing_field",
            "user.emails[0]: needs address, hash or both",
        ),
        (
            {"user": {"emails": [{"hash": "jane@example.com"}]}},
            "invalid_field",
            "user.emails[0].hash: has characters that are not allowed here, or nothing but spaces",
        ),
        (
            {"user": {"devices": [{"os": "tizen", "advertising_id": "1"}]}},
            "invalid_field",
            "user.devices[0].os: must be one of 'ios' or 'android'",
        ),
        (
            {"user": {"devices": [{"network_id": "7"}]}},
            "missing_field",
            "user.devices[0].registry: is missing",
        ),
        ({"usr": {}}, "unknown_field", "usr: is not a field of this format"),
        ({"$category1": 1}, "unknown_field", "$category1: is not a field of this format"),
        ({"order-ref": 1}, "unknown_field", "order-ref: is not a field of this format"),
        ({"crm-88100": 1}, "unknown_field", "(unusual name): is not a field of this format"),
        (
            {"ab12cd34-8246-4ba4-ae5b-76104861e7dc": 1},
            "unknown_field",
            "(unusual name): is not a field of this format",
        ),
        ({"jane@example.com": 1}, "unknown_field", "(unusual name): is not a field of this format"),
        (
            {"session_status": "SESSION_SNAPSHOT"},
            "invalid_field",
            "session_status: must be one of 'NO_SESSION', 'IN_SESSION' or 'CLOSED_SESSION'",
        ),
        ({"properties": []}, "invalid_field", "properties: must be an object"),
        (
            {"consents": {"2048": 1}},
            "invalid_field",
            "consents.(unusual name): must be true or false",
        ),
        (
            {"activity": {"type": "USER_SCENARIO_START"}},
            "invalid_field",
            (
                "activity.type: must be one of "
                "'SITE_VISIT', 'APP_VISIT', 'DISPLAY_AD', 'EMAIL', 'RECOMMENDER' or 'TOUCH'"
            ),
        ),
        (
            {"activity": {"properties": {"$type": "TOUCH"}}},
            "reserved_name",
            "activity.properties: must not hold a key that starts with $",
        ),
        (
            {"activity": {"location": {"latlon": [91, 0]}}},
            "invalid_field",
            "activity.location.latlon[0]: must be at most 90.0",
        ),
        (
            {"activity": {"ttl_minutes": 1.5}},
            "invalid_field",
            "activity.ttl_minutes: must be a whole number",
        ),
        ({"event": 1, "id": 2}, "invalid_field", "id: must be text; event: must be text"),
    ],
)
def test_a_fault_is_named_by_its_field(changes, code, reason):
    assert judge(event(**changes)) == Undecodable(code, reason)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("profile", "properties: is missing"),
        ("choice", "processing_id: is missing; accepted: is missing"),
        ("segment", "action: is missing"),
    ],
)
def test_each_kind_asks_for_what_it_needs(kind, missing):
    fault = judge(event(type=kind, event=...))
    assert fault == Undecodable("missing_field", missing)


def test_a_segment_event_names_a_segment():
    assert judge(event(type="segment", event=..., action="add")) == Undecodable(
        "missing_field", "the event: needs segment_ids or segment_technical_names"
    )


def test_a_null_value_is_skipped_unless_the_settings_want_it_dead_lettered():
    reason = "the record has no value (a tombstone)"
    assert decode(None, POLICY) == Unwanted("null_value", reason)
    kept = decode(None, DecodingPolicy(null_value="dead_letter"))
    assert kept == Undecodable("null_value", reason)


def test_the_limits_of_size_are_still_allowed():
    value = json.dumps(event(id="i" * 512)).encode()
    assert isinstance(decode(value, DecodingPolicy(record_bytes_max=len(value))), Track)
    larger = decode(value, DecodingPolicy(record_bytes_max=len(value) - 1))
    assert larger.code == "too_large"


@pytest.mark.parametrize("number", ["1e400", "-1e999", "9" * 400 + ".0"])
@pytest.mark.parametrize(
    "place",
    [
        '{"a": [{"b": %s}]}',
        '{"a": %s}',
        '{"a": [[null, {"b": "null"}, %s]]}',
        '{"a": {"b": 1180591620717411303424, "c": [%s]}}',
    ],
)
def test_a_number_that_no_receiver_could_hold_is_refused(number, place):
    text = json.dumps(event(properties={})).replace("{}", place % number)
    assert judge(text.encode()) == Undecodable(
        "number_out_of_range", "properties: holds a number that is out of range"
    )


def test_null_is_no_number_that_is_out_of_range():
    properties = {"a": [{"b": None, "c": 1e300}, "null", [2**70, None]]}
    assert judge(event(properties=properties)).properties == properties


def test_integers_keep_every_digit():
    track = judge(event(properties={"n": 2**70 + 1}))
    assert track.properties == {"n": 2**70 + 1}


def test_an_event_shows_nothing_of_its_content():
    track = judge(event(user={"emails": [{"address": "jane@example.com"}]}))
    for value in (track, track.user, track.user.emails[0]):
        assert "jane" not in repr(value) + str(value)


CODES = frozenset(UndecodableCode)


@given(st.binary())
def test_decoding_never_raises_whatever_the_bytes_are(value):
    outcome = decode(value, POLICY)
    assert isinstance(outcome, Undecodable)
    assert outcome.code in CODES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Track.model_fields)) | st.text(), JSON), st.data())
def test_decoding_never_raises_whatever_the_fields_hold(fields, data):
    kind = data.draw(st.sampled_from(["track", "profile", "choice", "segment"]))
    outcome = judge(event(**fields, **({} if "type" in fields else {"type": kind})))
    assert not isinstance(outcome, Undecodable) or outcome.code in CODES


# Nothing in the wording of our own reasons looks like this.
SECRET = st.from_regex(r"[QZX]{3}[0-9]{6}", fullmatch=True)


@given(SECRET, st.data())
def test_a_reason_never_holds_what_was_given(secret, data):
    def leaf(name):
        return data.draw(st.sampled_from([secret, [secret], {secret + "@": secret}]), label=name)

    document = event(
        **{name: leaf(name) for name in ("type", "id", "ts", "user", "app_id", "event")}
    )
    if data.draw(st.booleans()):
        document["type"] = "track"
    if data.draw(st.booleans()):
        document["user"] = {"accounts": [{"id": leaf("account")}], "devices": [leaf("device")]}
    outcome = judge(document)
    assert isinstance(outcome, Undecodable)
    assert secret not in outcome.reason


@given(SECRET)
def test_a_reason_never_holds_a_key_that_stands_twice(secret):
    outcome = judge(b'{"%b": 1, "%b": 2}' % (secret.encode(), secret.encode()))
    assert outcome.code == "duplicate_key"
    assert secret not in outcome.reason
