"""What every command of `relay` is made of: Typer's, and stricter about options."""

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperOption


class Command(TyperCommand):
    """A command that refuses an option which is given twice and can count once only.

    The last one would win in silence, and the first settings file would not be read.
    """

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse, after a look at how often each option comes."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, times in Counter(order).items():
            once = isinstance(parameter, TyperOption) and not (
                parameter.multiple or parameter.count or parameter.is_flag
            )
            if once and times > 1:
                raise typer.BadParameter(f"{parameter.opts[0]} is given {times} times", ctx)
        return super().parse_args(ctx, args)


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
