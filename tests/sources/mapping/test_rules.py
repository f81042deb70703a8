"""Rules, structures and scopes: which event a document becomes."""
# ruff: noqa: E501 -- a case is easier to read in one line

import pytest

from relay.model import Undecodable, Unwanted
from relay.sources.mapping import Mapped
from tests.support.mappings import RECORD, mapping, of_expression, only

HEAD = """
tables: {moves: {enter: add}, names: {a: b}}
rules:
  - track: e
    id: "1"
    ts: 1795339800000
"""


def properties(text, document):
    return only(HEAD + "    properties: " + text, document).document.get("properties")


@pytest.mark.parametrize(
    ("text", "document", "made"),
    [
        ("{a: .x, b: .y}", {"x": 1}, {"a": 1}),
        ("{a: .x, b: c}", {}, None),  # what is looked up is absent: so is the whole
        ("{a: 1, b: c}", {}, {"a": 1, "b": "c"}),
        ("{a: '@null'}", {}, {"a": None}),
        ("{a: [.x, .y, 3]}", {"y": 2}, {"a": [2, 3]}),
        ("{a: [.x]}", {}, None),
        ("{a: {b: {c: .x}}}", {}, None),
        ('{"{.k}": .v}', {"k": "n", "v": 1}, {"n": 1}),
        ('{"{.k}": .v}', {"v": 1}, None),
        ('{"{.k}": "@null"}', {"k": "n"}, {"n": None}),
        ("{merge: [.x, {b: 2}]}", {"x": {"a": 1, "b": 1}}, {"a": 1, "b": 2}),
        ("{merge: [.x, .y]}", {}, None),
        ("{a: {concat: [.x, [.y], .z]}}", {"x": [1], "y": 2, "z": 3}, {"a": [1, 2, 3]}),
        (
            "{a: {each: .l, as: {b: .c}}}",
            {"l": [{"c": 1}, {}, None, {"c": 2}]},
            {"a": [{"b": 1}, {"b": 2}]},
        ),
        ("{a: {each: .l, when: .c == 2, as: .c}}", {"l": [{"c": 1}, {"c": 2}]}, {"a": [2]}),
        ("{a: {each: .l, as: .c}}", {"l": []}, None),
        ("{each: .l, key: .k, value: .v}", {"l": [{"k": "x", "v": 1}, {"v": 2}]}, {"x": 1}),
        (
            "{each: .o | entries, key: .key | lookup(names), value: .value}",
            {"o": {"a": 1, "z": 2}},
            {"b": 1},
        ),
        ("{each: .l, key: ., value: true}", {"l": ["x"]}, {"x": True}),
        ("{a: {when: .x == 1, then: .y, else: no}}", {"x": 1, "y": 2}, {"a": 2}),
        ("{a: {when: .x == 1, then: .y, else: no}}", {"x": 2}, {"a": "no"}),
        (
            "{a: {each: .l, as: '{^.n}-{@index}-{.}'}}",
            {"n": "p", "l": ["x", "y"]},
            {"a": ["p-0-x", "p-1-y"]},
        ),
        (
            "{a: {each: .l, as: {each: .m, as: '{^^.n}{^.k}{.}'}}}",
            {"n": "n", "l": [{"k": "k", "m": [1, 2]}]},
            {"a": [["nk1", "nk2"]]},
        ),
        (
            "{a: '@topic', b: '@partition', c: '@offset', d: '@key', e: '@timestamp', f: '@header(\"source\")', g: '@header(\"x\")'}",
            {},
            {"a": "shop", "b": 3, "c": 17, "d": "881", "e": 1795339800000, "f": "crm"},
        ),
    ],
)
def test_structures_make_what_they_say(text, document, made):
    assert properties(text, document) == made


@pytest.mark.parametrize(
    ("condition", "document", "holds"),
    [
        ('.a == "x"', {"a": "x"}, True),
        ('.a == "x"', {}, False),
        ('.a != "x"', {}, True),
        (".a == 1", {"a": True}, False),
        (".a == true", {"a": 1}, False),
        (".a == 1", {"a": 1.0}, True),
        (".a == .b", {"a": 1, "b": 1}, True),
        (".a == .b", {}, False),
        (".a", {"a": True}, True),
        (".a", {"a": "true"}, False),
        ('.a in ["x", 1, true]', {"a": 1}, True),
        ('.a in ["x", 1, true]', {"a": ["x"]}, False),
        ('.a not in ["x"]', {}, True),
        (".a in names", {"a": "a"}, True),
        ("has(.a.b)", {"a": {"b": None}}, False),
        ("has(.a.b)", {"a": [{"b": 1}]}, False),  # in a condition nothing is a fault
        ("not has(.a)", {}, True),
        ("not .a == 1 and .b == 2", {"a": 3, "b": 2}, True),
        (".a == 1 or .a == 2 and .b == 3", {"a": 1}, True),
        ("(.a == 1 or .a == 2) and .b == 3", {"a": 1}, False),
        ('(.a // .b | lower) == "x"', {"b": "X"}, True),
        (".a | number == 3", {"a": "three"}, False),
    ],
)
def test_a_condition_holds_when_it_says_true(condition, document, holds):
    text = f"""
    tables: {{names: {{a: b}}}}
    rules: [{{skip: held, when: '{condition}'}}]
    otherwise: skip
    """
    assert only(text, document).code == ("held" if holds else "no_rule")


def test_the_first_rule_that_holds_decides_and_otherwise_is_never_silent():
    text = """
    rules:
      - {skip: one, when: .a == 1, reason: because}
      - {skip: two, when: has(.a)}
    """
    assert only(text, {"a": 1}) == Unwanted("one", "because")
    assert only(text, {"a": 2}).code == "two"
    assert only(text, {}) == Undecodable("no_rule", "no rule of the mapping is for it")


@pytest.mark.parametrize(
    ("line", "document", "reason"),
    [
        (
            "app_id: .a.b",
            {"a": [1]},
            "app_id: .a is a list: take one entry ([0], first, find) or go through all of them (each) (from .a.b, rule 1)",
        ),
        (
            "properties: {a: {each: .l, as: {b: .c | number}}}",
            {"l": [{}, {"c": "x"}]},
            "properties.a[1].b: must be a number with the decimal sign . (from .l[1].c, rule 1)",
        ),
        (
            "properties: {a: {each: .l, as: .}}",
            {"l": "x"},
            "properties.a: must be a list, and is text (from .l, rule 1)",
        ),
        (
            "properties: {a: {each: .l, as: .}}",
            {"l": {"x": 1}},
            "properties.a: must be a list, and is an object (entries makes a list of it) (from .l, rule 1)",
        ),
        (
            "properties: {merge: [.x]}",
            {"x": 1},
            "properties: must be an object, to be merged, and is a whole number (from .x, rule 1)",
        ),
        (
            "user: {emails: [{address: .a // .b | lower}]}",
            {"b": 1},
            "user.emails[0].address: must be text, and is a whole number (from .a or .b, rule 1)",
        ),
        (
            'properties: {"{.k}": .v | lower}',
            {"k": "jane@example.com", "v": 1},
            'properties."(a key)": must be text, and is a whole number (from .v, rule 1)',
        ),
        (
            "properties: {each: .o | entries, key: .value, value: 1}",
            {"o": {"jane": 1}},
            'properties."(a key)": must be text, as keys are (text makes it of a number), and is a whole number (from .o, rule 1)',
        ),
    ],
)
def test_a_fault_names_both_sides_and_no_value(line, document, reason):
    part = only(HEAD + "    " + line, document)
    assert (part.code, part.reason) == ("invalid_field", reason)


def test_an_identity_without_its_identifier_is_left_out():
    line = """    user:
      accounts: [{id: .a, compartment: crm}, {id: .b, compartment: "{.x}"}]
      emails: {each: .mails, as: {address: .m, hash: .h}}
      devices: [{os: .os, advertising_id: .idfa}]
    """
    document = {"b": "1", "x": "c", "os": "ios", "mails": [{"m": "a@b"}, {"z": 1}]}
    part = only(HEAD + line, document)
    assert part.document["user"] == {
        "accounts": [{"id": "1", "compartment": "c"}],
        "emails": [{"address": "a@b"}],
    }
    assert only(HEAD + line, {"os": "ios"}).document["user"] == {}


def test_what_stands_in_all_goes_into_every_rule_that_has_a_place_for_it():
    text = """
    all: {id: .i, ts: .t, app_id: "1", accepted: true}
    rules:
      - {track: e, when: .k == "track", app_id: "2"}
      - {choice: "77"}
    """
    track, choice = (only(text, {"i": "1", "t": 1, "k": kind}).document for kind in ("track", ""))
    assert track == {"type": "track", "event": "e", "user": {}, "id": "1", "ts": 1, "app_id": "2"}
    assert choice["app_id"] == "1"
    assert choice["accepted"] is True


BATCH = """
events: .events
rules:
  - {skip: noise, when: .kind == "noise"}
  - name: event
    track: .kind
    id: "{^.batch}/{@index}"
    ts: .ms | millis
    user: {accounts: {each: ^.ids, as: {id: .v | text, compartment: .c}}}
    properties: {tier: "^.tier | upper", lines: {each: .lines, as: {sku: .s, shop: "^^.tier"}}}
"""


def test_each_event_of_a_record_has_an_outcome_of_its_own_in_order():
    document = {
        "batch": 5,
        "tier": "gold",
        "ids": [{"v": 881, "c": "crm"}],
        "events": [
            {"kind": "a", "ms": 1795339800000, "lines": [{"s": "x"}]},
            {"kind": "noise"},
            {"kind": "b", "ms": "yesterday"},
            {"kind": "c", "ms": 1795339800001},
        ],
    }
    first, second, third, fourth = mapping(BATCH)(document, RECORD)
    user = {"accounts": [{"id": "881", "compartment": "crm"}]}
    assert first.document == {
        "type": "track", "event": "a", "id": "5/0", "ts": 1795339800000, "user": user,
        "properties": {"tier": "GOLD", "lines": [{"sku": "x", "shop": "gold"}]},
    }  # fmt: skip
    assert second == Unwanted("noise", "a rule skips it")
    assert third.code == "invalid_timestamp"
    assert third.reason == "ts: must be epoch milliseconds (from .ms, rule event)"
    assert (fourth.document["id"], fourth.document["user"]) == ("5/3", user)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({}, "no_events"),
        ({"events": []}, "no_events"),
        ({"events": "x"}, "no_rule"),
        ({"events": [None, 1]}, "no_rule"),
        ([], "no_rule"),
        ({"events": [{}] * 1001}, "too_many_events"),
    ],
)
def test_a_record_without_usable_events_says_so(document, code):
    text = "events: .events // .x\nrules: [{skip: a, when: has(.kind)}]"
    if document == []:
        text = "events: .\nrules: [{skip: a, when: has(.kind)}]"
        code = "no_events"
    assert {part.code for part in mapping(text)(document, RECORD)} == {code}


def test_one_object_where_a_list_may_stand_is_one_event():
    text = "events: .batch // .\nrules: [{skip: one, when: .a == 1}]"
    assert [part.code for part in mapping(text)({"a": 1}, RECORD)] == ["one"]
    batch = {"batch": [{"a": 1}, {"a": 2}]}
    assert [part.code for part in mapping(text)(batch, RECORD)] == ["one", "no_rule"]


def test_what_depends_on_the_record_alone_is_evaluated_once():
    events = [{"kind": "a", "ms": 1795339800000}] * 50
    document = {"tier": "gold", "ids": [{"v": 1, "c": "c"}], "batch": 1, "events": events}
    parts = mapping(BATCH)(document, RECORD)
    assert len({id(part.document["user"]) for part in parts}) == 1
    other = mapping(BATCH)(document | {"ids": [{"v": 2, "c": "c"}]}, RECORD)
    assert other[0].document["user"]["accounts"][0]["id"] == "2"


@pytest.mark.parametrize(
    "made",
    [
        "{each: ^.l, as: {each: ^^.l, as: {each: ^^^.l, as: {a: ., b: ^., c: ^^.}}}}",
        "{each: ^.l, as: {n: ., all: ^^.}}",
        "{each: ^.l, as: '{.}{^^.text}'}",
        "{each: ^.l, as: ^^.text | trim}",
        "{each: ^.l, as: {deep: {text: ^^.text}}}",
        "{each: ^.l, key: '{.}', value: ^^.texts}",
    ],
)
def test_what_a_mapping_can_make_of_one_record_is_bounded(made):
    text = f"""
    events: .events
    rules:
      - track: e
        id: "1"
        ts: 1795339800000
        properties: {{when: .wanted, then: {{a: {made}}}, else: {{a: ^.text}}}}
    """
    big = {"l": list(range(800)), "text": "x" * 100_000, "texts": {"a": ["x" * 100_000]}}
    (none, many) = mapping(text)(big | {"events": [{}, {"wanted": True}]}, RECORD)
    assert none.document["properties"]["a"] == big["text"]
    assert (many.code, many.reason.partition(": ")[2][:23]) == (
        "invalid_field",
        "makes more than 64 MiB ",
    )
    assert "xx" not in many.reason


@pytest.mark.parametrize("made", ["^.text", "^.text | trim"])
def test_what_goes_into_each_of_many_events_is_bounded(made):
    text = f"""
    events: .events
    rules: [{{track: e, id: "1", ts: 1795339800000, properties: {{a: {made}}}}}]
    """
    parts = mapping(text)({"events": [{}] * 800, "text": "x" * 100_000}, RECORD)
    assert parts[0].document["properties"]["a"] == "x" * 100_000
    assert parts[-1].reason.partition(": ")[2].startswith("makes more than 64 MiB ")


def test_what_stands_outside_of_a_list_may_go_into_each_of_many_entries():
    text = """
    events: .events
    rules:
      - {track: e, id: "1", ts: 1795339800000, properties: {a: {each: ^.l, as: "{.}{^.x}"}, b: ^.l}}
    """
    parts = mapping(text)({"events": [{"x": "x"}] * 100, "l": list(range(1500))}, RECORD)
    assert [len(part.document["properties"]["a"]) for part in parts] == [1500] * 100


def test_a_native_event_is_taken_as_it_is_with_fields_put_over_it():
    text = "rules: [{native: .data, id: .id, when: has(.data)}]"
    event = {"type": "track", "id": "inner", "event": "e"}
    assert only(text, {"data": event, "id": "outer"}).document == {**event, "id": "outer"}
    assert only(text, {"data": event}).document == event
    assert (
        only(text, {"data": "x"}).reason
        == "native: must be an object, and is text (from .data, rule 1)"
    )


def test_what_was_mapped_shows_nothing_of_a_person():
    part = of_expression(".a")({"a": "jane@example.com"}, RECORD)[0]
    assert isinstance(part, Mapped)
    assert "jane" not in repr(part)
