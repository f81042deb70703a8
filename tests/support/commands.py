"""Command lines from files and documents → whether `relay` takes them, without running them."""

from collections.abc import Sequence

import typer

from relay.cli import app


def parsed(arguments: Sequence[str]) -> str:
    """The name of the command that these arguments call; raises what a user would be told."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    with group.make_context("relay", list(arguments)) as context:
        rest = [*context._protected_args, *context.args]
        name, command, rest = group.resolve_command(context, rest)
        assert command is not None
        assert name is not None
        with command.make_context(name, rest, parent=context):
            return name
