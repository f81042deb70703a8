"""What producers and authors get wrong, on the whole way from bytes or settings: one line each.

What can be known from the settings is told before the start, with its file and line; everything
else is one dead letter that names the field, the path and the rule, and never the value.
"""
# ruff: noqa: E501 -- a case is easier to read in one line

import json

import pytest

from relay.errors import SettingsError
from relay.model import Parcel, Record, Undecodable, Unwanted
from relay.settings import load
from relay.settings.topics import sources_of
from relay.sources.interpret import source_interpreter
from relay.stream.decoding import DecodingPolicy
from relay.stream.interpret import Events, InterpretPolicy
from relay.stream.mapping import MappingPolicy

NOW_MS = 1_795_339_800_000
SECRET = "jane-doe-881"
SETTINGS = """
sources:
  - {topics: [orders], mapping: orders}
  - {topics: [batches], mapping: batches}
mappings:
  orders:
    all: {id: .no | text, ts: .at | rfc3339, user: {accounts: [{id: .who, compartment: "1"}]}}
    rules:
      - {name: list, when: .kind == "list", track: e, properties: {sku: .lines.sku}}
      - {name: ms, when: .kind == "ms", track: e, ts: .at | millis}
      - {name: seconds, when: .kind == "s", track: e, ts: .at | seconds}
      - {name: micros, when: .kind == "us", track: e, ts: .at | micros}
      - {name: bare, when: .kind == "bare", track: e, ts: .at}
      - {name: inner, when: .kind == "inner", track: e, properties: {id: (.inner | json).id}}
      - {name: count, when: .kind == "count", track: e, properties: {n: .n | int}}
      - {name: any, track: e, properties: {n: .n}}
  batches:
    events: .events
    all: {id: "{^.batch}/{@index}", ts: .at | rfc3339, user: {accounts: [{id: .who, compartment: "1"}]}}
    rules: [{name: one, track: e}]
decoding: {events_per_record_max: 1000}
"""
NEEDS = ["sources", "mappings", "decoding"]
AT = "2026-11-22T10:30:00+01:00"


@pytest.fixture
def interpret(tmp_path):
    path = tmp_path / "relay.yaml"
    path.write_text(SETTINGS, encoding="utf-8")
    given = load(path, {}, needs=NEEDS)
    sources = sources_of(given.sources, given.mappings, given.decoding)
    read = source_interpreter(sources, InterpretPolicy(DecodingPolicy(), MappingPolicy()))

    def of(topic, value):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return read(Record(topic, 0, 7, NOW_MS, None, raw), NOW_MS)

    return of


def order(kind, **more):
    return {"no": "1", "at": AT, "who": SECRET, "kind": kind, **more}


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("document", "code", "reason"),
    [
        (order("list", lines=[{"sku": SECRET}]), "invalid_field", "properties.sku: .lines is a list"),
        (order("", at="2026-11-22T10:30:00"), "invalid_timestamp", "with an offset (from .at, rule any)"),
        (order("", at=SECRET), "invalid_timestamp", "ts: must be RFC 3339"),
        (order("ms", at=1795339800), "invalid_timestamp", "seconds"),
        (order("ms", at=1795339800123456), "invalid_timestamp", "microseconds"),
        (order("s", at=1795339800123), "invalid_timestamp", "milliseconds"),
        (order("us", at=1795339800123), "invalid_timestamp", "milliseconds"),
        (order("bare", at=1795339800), "invalid_timestamp", "looks like epoch seconds"),
        (order("bare", at=1795339800123456), "invalid_timestamp", "looks like epoch microseconds"),
        (order("inner", inner="{" + SECRET), "invalid_field", "properties.id: "),
        (order("inner", inner=DEEP), "invalid_field", "properties.id: "),
        (order("inner", inner={"id": 1}), "invalid_field", "must be text"),
        (order("count", n=2**70), "invalid_field", "properties.n: "),
        (order("count", n=SECRET), "invalid_field", "properties.n: "),
        ({"kind": "", "at": AT, "who": SECRET}, "missing_field", "id: is missing (from .no, rule any)"),
        (SECRET, "not_an_object", ""),
        (b"\x00\x00\x00\x00\x07" + SECRET.encode(), "confluent_wire_format", "Confluent"),
        (b'{"no": "' + SECRET.encode(), "invalid_json", ""),
        (DEEP.encode(), "too_deep", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_record_is_one_dead_letter_without_its_values(
    interpret, document, code, reason
):
    outcome = interpret("orders", document)
    assert isinstance(outcome, Undecodable), outcome
    if code != "confluent_wire_format":
        assert outcome.code == code
    assert reason in outcome.reason
    assert SECRET not in outcome.reason
    assert "\n" not in outcome.reason


@pytest.mark.parametrize("number", [2**53 + 1, -(2**63), 10**30])
def test_a_number_beyond_2_to_the_53_keeps_every_digit(interpret, number):
    outcome = interpret("orders", order("", n=number))
    assert isinstance(outcome, Parcel), outcome
    assert b'"n":%d' % number in outcome.payload.events[0]


def test_ids_that_a_double_could_not_tell_apart_are_two_and_more_than_64_bits_are_refused(
    interpret,
):
    first, second = (interpret("orders", order("", no=2**53 + n)) for n in (0, 1))
    assert first.payload.unique_key != second.payload.unique_key
    beyond = interpret("orders", order("", no=10**30))
    assert beyond.reason == "id: is a number of more than 64 bits (from .no, rule any)"


def batch(*events):
    return {"batch": "b", "events": list(events)}


GOOD = {"at": AT, "who": SECRET}


def test_a_batch_of_none_of_too_many_and_with_a_bad_one_in_the_middle(interpret):
    for none in (batch(), {"batch": "b"}, {"batch": "b", "events": None}):
        outcome = interpret("batches", none)
        assert isinstance(outcome, Unwanted)
        assert outcome.code == "no_events"
    outcome = interpret("batches", batch(*[GOOD] * 2000))
    assert isinstance(outcome, Undecodable)
    assert outcome.code == "too_many_events"
    outcome = interpret("batches", batch(GOOD, {**GOOD, "at": SECRET}, GOOD))
    assert isinstance(outcome, Events)
    assert [type(one) for one in outcome.outcomes] == [Parcel, Undecodable, Parcel]
    assert SECRET not in outcome.outcomes[1].reason
    outcome = interpret("batches", batch(*[GOOD] * 1000))
    assert isinstance(outcome, Events)
    assert len({one.payload.unique_key for one in outcome.outcomes}) == 1000


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("user: {accounts: [{id: .who, compartment: b, c}]}", "has no value"),
        ("app_id: .5", "write 0.5 for a number"),
        ("consents: {'10': no}", "no is a text here: write true or false"),
        ("user: {accounts: [{id: {.who}}]}", "put the template in quotes"),
        ("app_id: @key", "is not valid YAML"),
        ('properties: {n: .n | number(","), m: 1}', "put the whole value in quotes"),
        ("app_id: 1e400", ""),
        ("when: .type = 'x'", "rules[0].when: character"),
        ("when: true", "rules[0].when"),
    ],
)  # fmt: skip
def test_a_trap_of_yaml_is_a_line_with_its_place_before_the_start(tmp_path, line, told):
    path = tmp_path / "relay.yaml"
    path.write_text(
        f"mappings:\n  m:\n    rules:\n      - {line}\n"
        "        track: e\n        id: .no\n        ts: .at\n",
        encoding="utf-8",
    )
    with pytest.raises(SettingsError) as caught:
        load(path, {}, needs=["mappings", "sources"])
    (problem,) = caught.value.problem.splitlines()
    assert problem.startswith(f"{path}:4: ")
    assert told in problem
