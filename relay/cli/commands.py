"""What every command of `relay` is made of: Typer's, and stricter about options."""

import functools
import inspect
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption


class Command(TyperCommand):
    """A command that refuses what it could only misunderstand.

    | given | without the refusal |
    |---|---|
    | an option twice that can count once only | the last one would win, unsaid |
    | text that is not UTF-8 (the name of a file may be) | it would fail wherever it is first sent |
    """

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse, with a look at how often each option comes and at its text."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, times in Counter(order).items():
            once = isinstance(parameter, TyperOption) and not (
                parameter.multiple or parameter.count or parameter.is_flag
            )
            if once and times > 1:
                raise typer.BadParameter(f"{parameter.opts[0]} is given {times} times", ctx)
        left = super().parse_args(ctx, args)
        for parameter in self.params:
            if isinstance(parameter, TyperArgument | TyperOption):
                _refuse_bytes(ctx, parameter)
        return left


def _refuse_bytes(ctx: typer.Context, parameter: TyperArgument | TyperOption) -> None:
    value = ctx.params.get(str(parameter.name))
    for text in value if isinstance(value, list | tuple) else (value,):
        if isinstance(text, str) and _SURROGATE.search(text):
            raise typer.BadParameter("not UTF-8 text", ctx, parameter)


_SURROGATE = re.compile("[\ud800-\udfff]")
"""What Python makes of such a byte (PEP 383)."""


class Commands(typer.Typer):
    """A group of such commands. Help is text: the same on a terminal, in a pipe and in the docs."""

    def __init__(self, **given: Any) -> None:
        super().__init__(no_args_is_help=True, rich_markup_mode=None, **given)

    def command(  # type: ignore[override]
        self, name: str | None = None, **given: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator that adds a command.

        A parameter that is a dataclass of options stands for each of them.
        """
        add = super().command(name, cls=Command, **given)

        def added(command: Callable[..., Any]) -> Callable[..., Any]:
            add(_spread(command))
            return command

        return added


def _spread(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same command with the fields of such dataclasses as parameters of its own."""
    own = inspect.signature(command).parameters
    groups: dict[str, Callable[..., Any]] = {
        name: cast("Callable[..., Any]", one.annotation)
        for name, one in own.items()
        if is_dataclass(one.annotation)
    }
    if not groups:
        return command
    fields = {name: inspect.signature(group).parameters for name, group in groups.items()}
    parameters = [
        one.replace(kind=one.KEYWORD_ONLY)
        for name in own
        for one in (fields[name].values() if name in groups else [own[name]])
    ]

    @functools.wraps(command)
    def called(**given: Any) -> Any:
        for name, group in groups.items():
            given[name] = group(**{field: given.pop(field) for field in fields[name]})
        return command(**given)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    del called.__wrapped__  # its annotations would be read instead
    return called
