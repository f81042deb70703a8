"""`relay map test · lint · explain · diff · preset`, as a user calls them."""
# ruff: noqa: E501 -- a case is easier to read in one line

import json
from types import SimpleNamespace

import pytest
from confluent_kafka import Producer

from relay import cli
from relay.errors import ExitStatus

SHOP = """
rules:
  - name: order
    when: has(.no)
    track: order
    id: .no
    ts: .at | millis
    user: {accounts: [{id: .who, compartment: crm}]}
    properties: {total: .total}
otherwise: skip
tests:
  - name: an order
    record: {no: "1", at: 1795339800000, who: "881"}
    expect: {rule: order}
"""
RECORDS = [
    {"no": "1", "at": 1795339800000, "who": "jane@example.com", "total": 5},
    {"no": "2", "at": 1795339800, "who": "881"},
    {"ping": 1},
]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "orders.ndjson").write_text("\n".join(map(json.dumps, RECORDS)))

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(["map", *arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=caught.value.code, out=out, err=err)

    run.path = tmp_path
    return run


def test_tests_that_pass_are_counted(run):
    end = run("test", "shop.yaml")
    assert end.status == 0
    assert end.out.splitlines() == ["ok     shop.yaml: an order", "1 test, 0 failed"]


def test_a_failing_test_shows_what_differs_and_the_value_of_each_expression(run):
    test = '{name: total, record: {no: "1", at: 5, who: "881"}, expect: {rule: order, event: {}}}'
    (run.path / "shop.map-test.yaml").write_text(f"- {test}")
    end = run("test", "shop.yaml")
    assert end.status == ExitStatus.FINDINGS
    assert "FAILED shop.map-test.yaml: total" in end.out
    assert "ts = .at | millis  ->  must be epoch milliseconds, and has the size of" in end.out
    assert 'user.accounts[0].id = .who  ->  "881"' in end.out
    assert end.out.endswith("2 tests, 1 failed\n")


def test_a_machine_reads_the_results_as_json(run):
    document = json.loads(run("test", "shop.yaml", "--json").out)
    assert document == {
        "tests": [{"file": "shop.yaml", "test": "an order", "wrong": []}],
        "failed": 0,
    }


def test_a_mapping_without_tests_has_not_passed(run):
    (run.path / "bare.yaml").write_text("rules: [{skip: a}]")
    assert run("test", "bare.yaml").status == ExitStatus.FINDINGS


def test_mappings_in_a_settings_file_are_found(run):
    indented = "\n".join("    " + line for line in SHOP.splitlines())
    (run.path / "relay.yaml").write_text(f"mappings:\n  shop:{indented}\n")
    assert run("test", "relay.yaml").out.startswith("ok     relay.yaml: an order")


def test_lint_tells_errors_and_warnings_with_their_place(run):
    assert run("lint", "shop.yaml").out == "nothing to say\n"
    end = run("lint", "shop.yaml", "--samples", "orders.ndjson")
    assert end.status == 0
    (run.path / "bad.yaml").write_text("rules:\n  - skip: a\n  - skip: B\n")
    end = run("lint", "bad.yaml")
    assert end.status == ExitStatus.FINDINGS
    assert end.out.startswith("error: bad.yaml:3: rules[1].skip: must be a code to count under")


def test_explain_tells_where_each_field_comes_from_and_masks_it(run):
    end = run("explain", "orders.ndjson", "--mapping", "shop.yaml")
    assert end.status == 0
    assert "line 1, event 0: rule order: becomes track" in end.out
    assert "  user.accounts[0].id = .who  ->  text (16)" in end.out
    assert "line 2, event 0: rule order: dead-lettered: invalid_timestamp: ts: " in end.out
    assert "line 3, event 0: rule (none): skipped: no_rule" in end.out
    assert "jane" not in end.out
    assert "jane" in run("explain", "orders.ndjson", "-m", "shop.yaml", "--show-personal-data").out


def test_diff_counts_fates_and_changed_fields_without_telling_values(run):
    changed = SHOP.replace("| millis", "| seconds? // .at").replace("total: .total", "who: .who")
    (run.path / "next.yaml").write_text(changed)
    end = run("diff", "orders.ndjson", "--old", "shop.yaml", "--new", "next.yaml")
    assert end.status == ExitStatus.FINDINGS
    assert end.out.splitlines()[0] == "3 records, 3 events"
    assert "       1  dead-lettered invalid_timestamp  ->  mapped by order" in end.out
    assert "       1  properties.total\n            a whole number  ->  absent" in end.out
    assert "            absent  ->  text (16)" in end.out
    assert "jane" not in end.out


def test_a_mapping_does_not_differ_from_itself(run):
    end = run("diff", "orders.ndjson", "--old", "shop.yaml", "--new", "shop.yaml")
    assert (end.status, "->" in end.out) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("test", "none.yaml"), ExitStatus.INPUT, "none.yaml: No such file"),
        (("diff", "orders.ndjson", "--old", "shop.yaml", "--new", "empty.yaml"), ExitStatus.SETTINGS, "empty.yaml: a mapping is a map with rules"),
        (("preset", "none"), ExitStatus.INPUT, "none is no preset (there are "),
        (("explain", "none.ndjson", "-m", "shop.yaml"), ExitStatus.INPUT, "none.ndjson: No such"),
        (("explain", "shop.yaml", "-m", "shop.yaml"), ExitStatus.INPUT, "shop.yaml:2: is not JSON"),
        (("diff", "orders.ndjson", "--old", "bad.yaml", "--new", "shop.yaml"), ExitStatus.SETTINGS, "bad.yaml:1: rules[0].skip: must be a code"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(run, arguments, status, told):
    (run.path / "bad.yaml").write_text("rules: [{skip: A}]")
    (run.path / "empty.yaml").write_text("# nothing yet\n")
    end = run(*arguments)
    assert end.status == status
    assert told in end.err
    assert "Traceback" not in end.err


@pytest.mark.parametrize("given", [[], ["orders.ndjson", "--from", "orders"]])
def test_diff_wants_a_file_or_a_topic(run, given):
    end = run("diff", *given, "--old", "shop.yaml", "--new", "shop.yaml")
    assert end.status == ExitStatus.INPUT
    assert "name a FILE of records, or a topic (--from TOPIC)" in end.err


@pytest.mark.broker
def test_diff_reads_the_last_records_of_a_topic_in_the_format_of_its_source(run, kafka):
    topic = kafka.create_topic(partitions=2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
    lines = (run.path / "orders.ndjson").read_bytes()
    for key in (b"a", b"b", b"c", b"d"):
        producer.produce(topic, lines, key=key)
    producer.produce(topic, b"{not json", key=b"a")
    assert producer.flush(30) == 0
    changed = SHOP.replace("| millis", "| seconds? // .at")
    (run.path / "next.yaml").write_text(changed)
    settings = {
        "kafka": {"bootstrap_servers": kafka.bootstrap_servers, "topics": [topic]},
        "sources": [{"topics": [topic], "format": "ndjson", "preset": "segment"}],
    }
    (run.path / "relay.yaml").write_text(json.dumps(settings))
    compared = ("--old", "shop.yaml", "--new", "next.yaml")
    end = run("diff", "--from", topic, *compared)
    assert end.status == ExitStatus.FINDINGS, end.err
    assert end.out.splitlines()[0] == "12 records, 12 events"
    assert "       4  dead-lettered invalid_timestamp  ->  mapped by order" in end.out
    assert "       1  could not be read, by either" in end.out
    assert "jane" not in end.out
    end = run("diff", "--from", topic, "--last", "2", *compared)
    assert int(end.out.split()[0]) <= 6
    end = run("diff", "--from", "no-such-topic", *compared)
    assert end.status == ExitStatus.TOPIC_MISSING
