"""Command lines from files and documents → whether `relay` takes them, without running them."""

from collections.abc import Sequence

import typer

from relay.cli import app


def parsed(arguments: Sequence[str]) -> str:
    """The name of the command that these arguments call; raises what a user would be told.

    Of `relay --help` and its like it is nothing. Of a command within a group it is the group's
    name, and the arguments are held against the command.
    """
    if all(argument.startswith("-") for argument in arguments):
        return ""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    with group.make_context("relay", list(arguments)) as context:
        return _called(group, context)


def _called(group: typer.core.TyperGroup, context: typer.Context) -> str:
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    assert command is not None
    assert name is not None
    with command.make_context(name, rest, parent=context) as inner:
        if isinstance(command, typer.core.TyperGroup):
            _called(command, inner)
    return name
