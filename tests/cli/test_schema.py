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
