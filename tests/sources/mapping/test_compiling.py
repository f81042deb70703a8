"""What is wrong with a mapping is told when it is compiled: file, line, key, what to do."""

import pytest

from relay.errors import SettingsError
from tests.support.mappings import mapping, problems

RULE = """
rules:
  - track: e
    id: .id
    ts: .ts
    {line}
"""


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("properties: {a: b, c}", "rules[0].properties.c: has no value: leave the key out"),
        ('properties: {a: .x | split("/",)}', "the text stops in the middle"),
        ("properties: {a: .5}", "character 1: a dot and a digit: write 0.5 for a number"),
        ("site_id: {.uid}", "rules[0].site_id..uid: put the template in quotes"),
        (
            'properties: {a: .x | number(","), b: 1}',
            "m.yaml:6: is not valid YAML: a quote is opened here",
        ),
        ("consents: {'10': no}", "rules[0].consents.10: this constant does not fit: must be"),
        ("properties: {a: .x | }", "a: character 5: the text stops in the middle"),
        ("properties: {a: .x | 3}", "expected the name of a transform after |"),
        ("properties: {a: '.x = 1'}", "= is written =="),
        ("properties: {a: '.x == y'}", "y is no path: a path begins with a dot"),
        ("properties: {a: '.x y'}", "did not expect y here"),
        ("properties: {a: '^.x'}", "has 1 ^ and stands in 0 lists"),
        ("properties: {a: '@keys'}", "after @ may stand key, header(…), topic"),
        ("properties: {a: '.x | lookup(t)'}", "t is no table"),
        ("properties: {a: {each: .x}}", "each needs `as` beside it"),
        ("propertys: {a: 1}", "rules[0].propertys: is not a field of track events; did you mean"),
        ("accepted: true", "rules[0].accepted: is not a field of track events"),
        ("user: {acounts: []}", "rules[0].user.acounts: is not a field of the input"),
        ("user: {accounts: [{id: .x, compartment: 1000}]}", "compartment: this constant does not"),
        ("user: {accounts: [{uid: .x}]}", "accounts[0].uid: is not a field of the input format"),
        ("session_status: MAYBE", "session_status: this constant does not fit"),
        ("skip: x", "needs exactly one of track, profile, choice, segment, native, skip, not"),
        ("when: yes", "rules[0].when: character 1: yes is no path"),
        ("when: 3", "rules[0].when: must be an expression"),
        ("name: ''", "rules[0].name: must be text of at most 80 characters"),
    ],
)
def test_what_is_wrong_with_a_rule_is_one_line_with_its_place(line, told):
    found = problems(RULE.format(line=line))
    assert len({line.partition(": ")[0] for line in found}) == 1
    assert found[0].startswith("m.yaml:")
    assert told in found[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "a mapping is a map with rules"),
        ("rules: []", "m.yaml:1: rules: a mapping needs at least one rule"),
        ("rules: [{skip: a b}]", "rules[0].skip: must be a code to count under"),
        ("rules: [{skip: a, id: .x}]", "rules[0].id: has no meaning beside skip"),
        ("rules: [{id: .x}]", "needs exactly one of"),
        ("rules: [{track: e, ts: .t}]", "rules[0]: has no id: every track event needs one"),
        ("rules: [{track: e, id: .i}]", "rules[0]: has no ts"),
        ("rules: [{choice: '7', id: .i, ts: .t}]", "has no accepted: every choice event needs one"),
        ("rules: [{segment: add, id: .i, ts: .t}]", "neither segment_ids nor segment_technical"),
        (
            "rules: [{segment: join, id: .i, ts: .t, segment_ids: ['1']}]",
            "segment: this constant does not fit",
        ),
        ("rules: [{skip: a}]\notherwise: drop", "otherwise: must be dead_letter or skip"),
        (
            "rule: [{skip: a}]\nrules: [{skip: a}]",
            "rule: is no part of a mapping; did you mean rules",
        ),
        ("rules: [{skip: a}]\nall: {track: e}", "all.track: belongs into a rule"),
        ("rules: [{skip: a}]\ntables: {t: {a: }}", "tables.t.a: must be text, a number"),
        ("rules: [{skip: a}]\nevents: all", "m.yaml:2: events: character 1: all is no path"),
        ("rules: [{skip: a}]\nrules: [{skip: b}]", "m.yaml:2: rules: given twice"),
        ("rules: [{skip: a}", "m.yaml:1: is not valid YAML"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_told_with_its_place(text, told):
    assert any(told in line for line in problems(text)), problems(text)


def test_a_mapping_with_errors_cannot_be_used_and_all_of_them_are_told():
    with pytest.raises(SettingsError) as caught:
        mapping("rules: [{skip: 1}, {track: e}]")
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("m.yaml:1: rules[") for line in lines)


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 40 + ".a" + ")" * 40,
        "." + "a" * 5000,
        "not " * 900 + ".a",
        ".a" + " // .a" * 600,
        ".a" + "|trim" * 600,
    ],
)
def test_the_size_of_an_expression_is_bounded(expression):
    found = problems(f"rules: [{{skip: a, when: '{expression}'}}]")
    says = ("nested more than", "longer than", "has more than 200 // and |")
    assert all(any(text in line for text in says) for line in found)


def test_a_structure_that_is_nested_for_ever_is_refused():
    text = "rules: [{track: e, id: .i, ts: .t, properties: " + "{a: " * 40 + "1" + "}" * 40 + "}]"
    assert any("nested more than 30 deep" in line for line in problems(text))


def test_settings_are_those_that_the_mapping_declares():
    text = """
    settings: {app: null, table: {}, names: [a], on: false}
    rules: [{skip: a, when: has(@settings.app)}]
    """
    assert mapping(text, {"app": "1", "table": {"a": "b"}, "on": True})
    for given, told in [
        ({"ap": "1"}, "settings.ap: is no setting of this mapping; did you mean app?"),
        ({"table": "x"}, "settings.table: must be a map"),
        ({"on": "yes"}, "settings.on: must be true or false"),
        ({"table": {"a": {}}}, "settings.table: holds something nested"),
    ]:
        with pytest.raises(SettingsError) as caught:
            mapping(text, given)
        assert told in str(caught.value)
