"""What every command of `relay` is made of: Typer's, and stricter about options."""

from collections import Counter
from collections.abc import Callable
from typing import Any

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
        """A decorator that adds a command."""
        return super().command(name, cls=Command, **given)
