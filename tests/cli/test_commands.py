"""What every command owes to whoever types it."""

import re
import shlex

import pytest
import typer

from relay.cli import app, main
from tests.support.commands import parsed

GROUP = typer.main.get_command(app)
assert isinstance(GROUP, typer.core.TyperGroup)


def commands(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, (*path, name))
        else:
            yield pytest.param(command, (*path, name), id=" ".join((*path, name)))


EVERY = list(commands(GROUP))


@pytest.mark.parametrize(("command", "path"), EVERY)
def test_a_command_says_what_it_does_in_one_sentence(command, path):
    first = (command.help or "").strip().split("\n\n")[0]
    assert re.match(r"[A-Z].+\.", first.replace("\n", " "))


@pytest.mark.parametrize(("command", "path"), EVERY)
def test_a_command_shows_an_example_that_it_takes(command, path):
    examples = re.findall(r"Example: relay ((?:[^\n|]|\n(?! *\n))+)", command.help or "")
    assert examples
    for example in examples:
        assert parsed(shlex.split(example)) == path[0]


@pytest.mark.parametrize(("command", "path"), EVERY)
def test_every_option_is_explained(command, path):
    for parameter in command.params:
        assert getattr(parameter, "help", None), parameter.name


GROUPS = [("users",), ("users", "profile"), ("users", "choices"), ("segments",), ("dlq",), ("map",)]


@pytest.mark.parametrize("path", [(), ("segments", "audience"), *GROUPS], ids=" ".join)
def test_the_list_of_commands_cuts_no_sentence_at_80_columns(monkeypatch, capsys, path):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*path, "--help"])
    commands = capsys.readouterr().out.partition("Commands:")[2]
    assert commands
    assert "..." not in commands
