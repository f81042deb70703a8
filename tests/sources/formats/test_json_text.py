import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Undecodable, Unwanted
from relay.sources.formats import FormatName, FormatPolicy, build_format
from tests.support.schemas import record

POLICY = FormatPolicy(record_bytes_max=1000, events_per_record_max=3)
JSON = build_format(FormatName.JSON, POLICY)
NDJSON = build_format(FormatName.NDJSON, POLICY)


def fate(value, decode=JSON):
    found = decode(record(value))
    assert isinstance(found, Undecodable), found
    return found.code, found.reason


@pytest.mark.parametrize(
    ("value", "documents"),
    [
        (b'{"a": 1}', ({"a": 1},)),
        (b'\n{\n "a":\n 1}\n', ({"a": 1},)),
        (b'[{"a": 1}, {"a": 2}]', ({"a": 1}, {"a": 2})),
        (b"[]", ()),
        (b'{"a": 1}\n{"a": 2}\n', ({"a": 1}, {"a": 2})),
        (b'{"a": 1}\r\n\r\n{"a": 2}', ({"a": 1}, {"a": 2})),
        (b'{"a": 9007199254740993, "b": 1e2}', ({"a": 9007199254740993, "b": 100.0},)),
        (b'{"a": "{\\"b\\": 1}"}', ({"a": '{"b": 1}'},)),
    ],
)
def test_json_is_one_value_an_array_or_a_value_a_line(value, documents):
    assert JSON(record(value)) == documents


def test_one_bad_element_or_line_is_one_bad_event():
    first, second, third = JSON(record(b'[{"a": 1}, 7, {"a": 2}]'))
    assert (first, third) == ({"a": 1}, {"a": 2})
    assert second == Undecodable("not_an_object", "the value must be an object")
    first, second, third = NDJSON(record(b'{"a": 1}\n\n{"a": }\n{"a": 2}'))
    assert (first, third) == ({"a": 1}, {"a": 2})
    assert second == Undecodable("invalid_json", "line 3: not valid JSON")
    assert NDJSON(record(b"[1]"))[0].reason == "line 1: must be an object"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "invalid_json"),
        (b" \n ", "invalid_json"),
        (b"7", "not_an_object"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a":' * 100 + b"[" * 150, "too_deep"),
        (b"{" + b" " * 1000 + b"}", "too_large"),
        (b"[{},{},{},{}]", "too_many_events"),
        (b"{}\n{}\n{}\n{}", "too_many_events"),
        (b'{"a": 1} {"a": 2}', "invalid_json"),
        (b'\0\0\0\0\1{"a": 1}', "invalid_json"),
    ],
)
def test_what_is_no_json_is_told_apart(value, code):
    assert fate(value)[0] == code


def test_a_tombstone_is_skipped_or_dead_lettered_in_every_format_as_the_settings_say():
    for name in (FormatName.JSON, FormatName.NDJSON, FormatName.JSON_SCHEMA,
                 FormatName.SNOWPLOW_TSV, FormatName.CLOUDEVENTS, FormatName.DEBEZIUM):  # fmt: skip
        skipped = build_format(name, POLICY)(record(None))
        dead = build_format(name, FormatPolicy(null_value="dead_letter"))(record(None))
        assert isinstance(skipped, Unwanted)
        assert isinstance(dead, Undecodable)
        assert skipped.code == dead.code == "null_value"


@given(st.binary(max_size=100))
def test_no_bytes_make_a_format_raise(value):
    for name in (FormatName.JSON, FormatName.NDJSON, FormatName.JSON_SCHEMA,
                 FormatName.SNOWPLOW_TSV, FormatName.CLOUDEVENTS, FormatName.DEBEZIUM):  # fmt: skip
        decode = build_format(name, FormatPolicy())
        for headers in ((), [("content-type", value)], [("__value_schema_id", value)]):
            decode(record(value, headers))


@given(st.text(min_size=1).filter(lambda text: text.strip() and text not in "not valid JSON"))
def test_no_reason_repeats_a_value(secret):
    marked = f"¤{secret}¤"
    for value in (f'{{"{marked}": }}', f'["{marked}"', f'{{"a": 1, "a": "{marked}"}}', marked):
        found = JSON(record(value.encode("utf-8", "surrogatepass")))
        if isinstance(found, Undecodable):
            assert "¤" not in found.reason
