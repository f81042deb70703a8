"""`relay top`: one or several running relays in a terminal, from their /status."""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from relay.cli.admin_port import admin_url, asked
from relay.cli.options import ConfigOption, on_terminal
from relay.errors import DestinationError, ExitStatus


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(top)


def top(
    url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Admin address; repeat for several processes. Default: the one of the settings.",
        ),
    ] = None,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    config: ConfigOption = None,
) -> None:
    """Watch running relays: troubles, rates, partitions.

    Ctrl-C ends it.

    Where standard output is no terminal, one screen is printed. Exit status 7 when no relay
    answers at all.

    Example: relay top --url http://127.0.0.1:9464 --url http://127.0.0.1:9465
    """
    from rich.console import Console
    from rich.live import Live

    from relay.cli.top_screen import screen

    urls = url or [admin_url(config)]
    console = Console(highlight=False)
    answers = [(one, _asked(one)) for one in urls]
    if not any(told for _, told in answers):
        asked(urls[0])  # raises, and says why
        raise typer.Exit(ExitStatus.DESTINATION)
    if not on_terminal():
        console.print(screen(answers, _now()))
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(answers, _now(), console.height), refresh=True)
            time.sleep(every)  # noqa: TID251 - a person watches
            answers = [(one, _asked(one)) for one in urls]


def _asked(url: str) -> Mapping[str, Any] | None:
    try:
        return asked(url)
    except DestinationError:
        return None


def _now() -> str:
    return time.strftime("%H:%M:%S")
