"""Tests of mappings: what passes, what fails and how, and what tests nothing and so fails."""

import pytest

from relay.sources.tools.testing import run_test
from tests.support.mappings import mapping

MAPPING = mapping(
    """
    rules:
      - name: order
        when: has(.no)
        track: order
        id: .no | text
        ts: .at | rfc3339
        user: {accounts: [{id: .who, compartment: crm}]}
        properties: {lines: {each: .lines, as: {sku: .s}}, n: .n | number}
      - {skip: noise, when: .kind == "noise"}
    """
)
RECORD = {"no": 7, "at": "2026-11-22T09:30:00Z", "who": "881", "lines": [{"s": "x"}]}
EVENT = {
    "type": "track",
    "event": "order",
    "id": "7",
    "ts": 1795339800000,
    "user": {"accounts": [{"id": "881", "compartment": "crm"}]},
    "properties": {"lines": [{"sku": "x"}]},
}


def wrong(expect, record=RECORD, **more):
    return run_test(MAPPING, {"record": record, "expect": expect, **more}, 1).wrong


@pytest.mark.parametrize(
    ("record", "expect"),
    [
        (RECORD, {"event": EVENT}),
        (RECORD, {"rule": "order"}),
        (RECORD, {"events": [{"rule": "order", "event": EVENT}]}),
        ({"kind": "noise"}, {"skipped": "noise"}),
        ({}, {"dead_lettered": "no_rule"}),
        (RECORD | {"at": "now"}, {"dead_lettered": "invalid_timestamp"}),
        (
            RECORD | {"n": "x"},
            {
                "dead_lettered": "invalid_field",
                "reason": "properties.n: must be a number with the decimal sign . "
                "(from .n, rule order)",
            },
        ),
    ],
)
def test_what_happens_as_expected_passes(record, expect):
    assert wrong(expect, record) == ()


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ({"evnt": EVENT}, "expect.evnt: is not known here; did you mean event?"),
        ({"rule": "order", "rules": 1}, "expect.rules: is not known here; did you mean rule?"),
        ({}, "expect: must be a map that says something"),
        ({"event": EVENT, "skipped": "x"}, "expect: cannot be event and skipped at once"),
        ({"skipped": "noise"}, "expected skipped 'noise', and it became an event by rule order"),
        ({"rule": "other"}, "rule: expected 'other', got 'order'"),
        ({"event": EVENT | {"id": 7}}, "event.id: expected 7, got '7'"),
        ({"event": EVENT | {"app_id": "1"}}, "event.app_id: expected '1', got nothing"),
        ({"events": []}, "expected 0 events, and it became 1"),
        ({"events": [{"event": EVENT}], "rule": "x"}, "expect.rule: is not known here"),
    ],
)
def test_what_happens_otherwise_fails_and_is_told(expect, told):
    assert any(told in line for line in wrong(expect))


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ([], "must be a map with record and expect"),
        ({"record": {}}, "has no expect"),
        ({"record": {}, "expect": {"skipped": "x"}, "recrod": 1}, "recrod: is not known here"),
        ({"record": {}, "expect": {"skipped": "x"}, "headers": [1]}, "headers: must be a map"),
        ({"record": {}, "expect": {"skipped": "x"}, "key": 1}, "key: must be text"),
    ],
)
def test_a_test_that_cannot_be_understood_fails(test, told):
    assert any(told in line for line in run_test(MAPPING, test, 1).wrong)


def test_a_failure_shows_the_value_of_each_expression():
    record = RECORD | {"n": "x"}
    result = run_test(MAPPING, {"record": record, "expect": {"rule": "x"}}, 1)
    (traced,) = result.traced
    values = {value.target: (value.expression, value.value) for value in traced.values}
    assert traced.rule == "order"
    assert values["id"] == (".no | text", "7")
    assert values["properties.lines"] == (".lines", [{"s": "x"}])
    assert values["properties.lines[0].sku"] == (".s", "x")
    faults = {value.target: value.fault for value in traced.values if value.fault}
    assert faults == {"properties.n": "must be a number with the decimal sign ."}
