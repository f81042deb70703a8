"""docs/MAP_TOOLS.md, docs/MAP_LINT.md: each command that they show is run, and says what they say.

They share their files.
"""

import re
import shlex

import pytest

from relay import cli
from tests.support.pages import ROOT, blocks, commands

PAGES = [ROOT / "docs" / page for page in ("MAP_TOOLS.md", "MAP_LINT.md")]
PAGE = "".join(page.read_text(encoding="utf-8") for page in PAGES)
FILES = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^```console\n\$ relay (.+?)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_a_command_says_what_the_page_shows(home, capsys, command, shown):
    with pytest.raises(SystemExit):
        cli.main(shlex.split(command))
    out, err = capsys.readouterr()
    assert err + out == shown


def test_no_command_of_the_pages_is_left_out():
    shown = [c for page in PAGES for block in blocks(page) for c in commands(block.text)]
    assert shown == [f"relay {command}" for command, _ in COMMANDS]


def test_the_pages_show_every_tool():
    shown = {command.split()[1] for command, _ in COMMANDS}
    assert {"test", "lint", "explain", "diff", "events.ndjson"} <= shown
