"""`relay check` runs the tests of the settings' mappings, and looks at the keys of topics."""

from collections import Counter

import pytest

from relay.checks.finding import Level
from relay.checks.keys import check_keys
from relay.cli.check_maps import check_maps
from relay.kafka_client.looking import last_records
from relay.settings import load
from relay.stream.interpret import OrderBy
from tests.support.road import Feeder

MAPPINGS = """
mappings:
  shop:
    rules: [{track: seen, id: .no, ts: .at, properties: {price: .cents}}]
    tests:
      - name: secret-name costs
        record: {no: "1", at: 1795339800000, cents: 5}
        expect:
          event:
            type: track
            event: seen
            id: "1"
            ts: 1795339800000
            user: {}
            properties: {price: PRICE}
  other:
    rules: [{skip: noise}]
"""
BESIDE = """
- name: no number is no event
  record: {}
  expect: {dead_lettered: missing_field}
"""


@pytest.fixture
def findings(tmp_path, monkeypatch):
    def look(text, *, named=True):
        path = tmp_path / "relay.yaml"
        path.write_text(text, encoding="utf-8")
        (tmp_path / "shop.map-test.yaml").write_text(BESIDE, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        settings = load(path, {}, needs=["mappings"])
        return list(check_maps(settings, path if named else None))

    return look


def of_shop(found):
    return [finding for finding in found if finding.subject == "mapping shop"]


def test_a_rule_that_can_never_apply_is_a_warning_with_its_place(findings):
    rules = "rules: [{skip: a}, {skip: b, when: has(.x)}]"
    found = [f.text for f in findings(f"mappings:\n  m:\n    {rules}\n")]
    assert found[0].endswith("relay.yaml:3: rules[1]: is never reached: rule 1 applies before it")
    assert found[1:] == [found[1]]
    assert "has no tests" in found[1]


@pytest.mark.parametrize("named", [True, False])
def test_tests_in_the_settings_and_beside_them_are_run(findings, named):
    *hints, finding = of_shop(findings(MAPPINGS.replace("PRICE", "5"), named=named))
    assert [hint.level for hint in hints] == [Level.WARN]  # it has no user
    assert (finding.level, finding.subject) == (Level.OK, "mapping shop")
    assert finding.text == "2 tests pass"


def test_a_test_that_fails_is_a_failure_with_its_name_and_no_values(findings):
    *_, finding = of_shop(findings(MAPPINGS.replace("PRICE", "777")))
    assert finding.level is Level.FAIL
    assert finding.text == "1 of 2 tests fail: secret-name costs"
    assert "777" not in str(finding)


def test_mappings_that_come_from_the_environment_are_tested_too(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    mapping = (
        '{"m": {"rules": [{"skip": "x"}], "tests": [{"record": {}, "expect": {"skipped": "y"}}]}}'
    )
    settings = load(None, {"RELAY_MAPPINGS": mapping}, needs=["mappings"])
    *_, finding = check_maps(settings, None)
    assert (finding.level, finding.subject) == (Level.FAIL, "mapping m")


@pytest.mark.broker
async def test_a_topic_whose_records_have_no_key_is_a_warning_where_users_are_in_order(kafka):
    keyed, bare, single = (kafka.create_topic(partitions=n) for n in (3, 3, 1))
    Feeder(kafka, keyed, 1, 5).send(300)
    for topic in (bare, single):
        feeder = Feeder(kafka, topic, 1, 5)
        for number in range(40):
            feeder._producer.produce(topic, b"{}", key=None if number % 2 else b"k")
        feeder._producer.flush(30)
    environ = {
        "RELAY_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "RELAY_KAFKA__TOPICS": bare,
    }
    client = load(None, environ, needs=["kafka"]).kafka.client()
    topics = {keyed: 3, bare: 3, single: 1}
    found = [finding async for finding in check_keys(client, topics, OrderBy.USER)]
    assert [(f.level, f.subject) for f in found] == [(Level.WARN, f"topic {bare}")]
    assert "20 of its last 40 records have no key" in found[0].text
    assert [f async for f in check_keys(client, topics, OrderBy.PARTITION)] == []
    last = [record async for record in last_records(client, {keyed: 3}, 30)]
    of_each = Counter(record.partition for record in last)
    assert set(of_each.values()) == {10}  # of each partition that holds something
