"""What a mapping probably does not mean."""
# ruff: noqa: E501 -- a case is easier to read in one line

import pytest

from relay.sources.mapping import judge_mapping
from relay.sources.mapping.compiling import shown
from relay.sources.tools.lint import lint, lint_paths
from relay.yaml_text import read_yaml

RULE = "{{when: '{}', track: e, id: .i, ts: .t, user: {{}}}}"


def lines(text, samples=None):
    given = read_yaml(text, "m.yaml")
    compiled, problems = judge_mapping(given)
    assert not problems
    found = lint(compiled, given.data) if samples is None else lint_paths(compiled, samples)
    return [shown(given, (), problem) for problem in found]


def of_conditions(*conditions):
    rules = "".join(f"\n  - {RULE.format(condition)}" for condition in conditions)
    tables = "tables: {t: {a: 1, b: 2}}\n"
    return [line for line in lines(tables + "rules:" + rules) if "is used nowhere" not in line][:-2]


@pytest.mark.parametrize(
    "conditions",
    [
        ('.a == "x"', '.a == "x"'),
        ('.a == "x"', '.a == "x" and .b == 1'),
        ('.a in ["x", "y"]', '.a == "y"'),
        (".a in t", '.a == "a" and has(.b)'),
        ("has(.a)", '.a == "x"'),
        ('.a != "x"', '.a == "y"'),
        ("not has(.a)", "not has(.a) and .b == 1"),
        (".a == 1 or .b == 2", ".a == 1 or .b == 2"),
    ],
)
def test_a_rule_behind_one_that_takes_all_it_wants_is_never_reached(conditions):
    (line,) = of_conditions(*conditions)
    assert line == "m.yaml:4: rules[1]: is never reached: rule 1 applies before it"


@pytest.mark.parametrize(
    "conditions",
    [
        ('.a == "x"', '.a == "y"'),
        ('.a == "x" and .b == 1', '.a == "x"'),
        ('.a == "y"', '.a in ["x", "y"]'),
        ('.a == "x"', "has(.a)"),
        ('.a == "x"', '.a != "x"'),
        ('.a == "x"', '^.a == "x"')[:1],
        (".a == 1", ".a == true"),
        (".a == 1 or .b == 2", ".a == 1"),
    ],
)
def test_a_rule_that_may_still_apply_is_not_complained_about(conditions):
    assert of_conditions(*conditions) == []


@pytest.mark.parametrize(
    "condition",
    [
        '.a == "x" and .a == "y"',
        '.a in ["x"] and .a not in ["x", "y"]',
        'not has(.a) and .a == "x"',
        "has(.a) and not has(.a)",
    ],
)
def test_a_condition_whose_parts_exclude_each_other_can_never_hold(condition):
    (line,) = of_conditions(condition)
    assert line == "m.yaml:3: rules[0].when: can never hold: its parts exclude each other"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rules: [{track: $page_view, id: .i, ts: .t, user: {}}]", "$page_view is computed or deleted"),
        ("rules: [{track: e, id: customer.no, ts: .t, user: {}}]", "looks like a path: .customer.no?"),
        ("rules: [{track: e, id: 'x', ts: .t, user: {}}]", "id is the same for every event"),
        ("rules: [{track: e, id: .i, ts: .t}]", "rules[0]: has no user"),
        ("rules: [{track: e, id: '{.b}/{@offset}', ts: .t, user: {}}]", "@offset is another one after a replay"),
        ("rules: [{track: e, id: .i, ts: .t, user: {}, app_id: '1'}]", "has app_id and no session_status"),
        ("rules: [{track: $item_viewed, id: .i, ts: .t, user: {}}]", "$item_viewed is none of the platform's names; did you mean $item_view?"),
        ("rules: [{track: $email_click, id: .i, ts: .t, user: {}}]", "$email_click belongs to activities of type EMAIL"),
        ("rules: [{track: $ad_view, id: .i, ts: .t, user: {}, activity: {type: EMAIL}}]", "belongs to activities of type DISPLAY_AD"),
        ("rules: [{track: e, id: .i, ts: .t, user: {emails: [{hash: .mail | trim | sha256}]}}]", "user.emails[0].hash: hashes an address without"),
        ("rules: [{skip: a, when: has(.x)}]", "has no otherwise"),
        ("rules: [{skip: a}]\ntables: {t: {a: 1}}", "tables.t: is used nowhere"),
        ("rules: [{skip: a}]\nsettings: {s: 1}", "settings.s: is used nowhere"),
        ("rules: [{skip: a}]", "has no tests"),
    ],
)  # fmt: skip
def test_what_is_probably_not_meant_is_told(text, told):
    assert any(told in line for line in lines(text))


def test_a_path_that_no_sample_has_is_told_with_the_nearest_one():
    text = """
rules:
  - track: e
    id: .eventid
    ts: .at
    properties: {each: .list, key: .inner, value: 1}
"""
    samples = [{"eventId": "1", "list": []}, {"at": 1}]
    assert lines(text, samples) == [
        "m.yaml:4: rules[0].id: no sample has .eventid; did you mean .eventId?"
    ]


@pytest.mark.parametrize(
    "rule",
    [
        "{track: $item_view, id: .i, ts: .t, user: {}}",
        "{track: $conversion, id: .i, ts: .t, user: {}}",
        "{track: $email_click, id: .i, ts: .t, user: {}, activity: {type: EMAIL, source: .s}}",
        "{track: $email_click, id: .i, ts: .t, user: {}, activity: {type: .kind}}",
        "{track: e, id: .i, ts: .t, user: {emails: [{hash: .mail | trim | lower | sha256}]}}",
        "{track: e, id: .i, ts: .t, user: {accounts: [{id: .mail | sha256}]}}",
    ],
)
def test_what_is_as_the_platform_wants_it_is_not_told(rule):
    expected = ("has no tests",)
    assert [
        line for line in lines(f"rules: [{rule}]") if not any(e in line for e in expected)
    ] == []
