"""`relay schema`: the formats, in print."""

import json

import pytest

from relay import cli
from relay.errors import ExitStatus
from scripts.generate import ALL_SCHEMAS, FILES, ROOT


def ended(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(["schema", *arguments])
    return caught.value.code, *capsys.readouterr()


@pytest.mark.parametrize("name", ALL_SCHEMAS)
def test_a_schema_is_printed_as_it_stands_in_the_repository(name, capsys):
    status, out, _ = ended(capsys, name)
    assert status == 0
    assert out == (ROOT / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    assert json.loads(out)["$id"] == f"urn:mics-relay:schema:{name}"


def test_every_schema_of_the_repository_is_generated():
    written = {f"schemas/{path.name}" for path in (ROOT / "schemas").glob("*.json")}
    assert written <= set(FILES)


def test_without_a_name_all_are_listed(capsys):
    status, out, _ = ended(capsys)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(ALL_SCHEMAS)


def test_an_unknown_name_is_a_usage_error_that_lists_the_known(capsys):
    status, _, err = ended(capsys, "app-event")
    assert status == ExitStatus.USAGE
    assert "app-event.v1" in err


def test_the_examples_of_events_are_a_file_that_relay_map_takes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, file in (("app-event.v1", "events.ndjson"), ("relay.v1", "relay.yaml")):
        status, out, _ = ended(capsys, name, "--example")
        assert status == 0
        (tmp_path / file).write_text(out, encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        cli.main(["map", "events.ndjson"])
    assert caught.value.code == 0
    out, _ = capsys.readouterr()
    assert {json.loads(line)["path"] for line in out.splitlines()} == {
        "/v1/datamarts/1234/user_activities"
    }


def test_a_mapping_is_shown_by_a_preset(capsys):
    status, out, _ = ended(capsys, "mapping.v1", "--example")
    assert status == 0
    assert "rules:" in out


def test_a_format_without_an_example_names_those_that_have_one(capsys):
    status, _, err = ended(capsys, "user-event.v1", "--example")
    assert status == ExitStatus.INPUT
    assert "there are: app-event.v1, relay.v1, mapping.v1" in err
