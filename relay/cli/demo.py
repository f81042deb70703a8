"""`relay demo`: the whole road on this machine, nothing to install, nothing to set up."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.left_out import needs_the_sandbox
from relay.cli.options import on_terminal
from relay.errors import ExitStatus, SettingsError, install

if TYPE_CHECKING:  # an extra
    from relay.demo.tally import Tally

_RATE_TO_WATCH = 150.0  # events a second that an eye can follow in the picture


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(demo)


def demo(  # noqa: PLR0917 - options of a command are given by name
    events: Annotated[int, typer.Option(min=3, help="How many events to produce.")] = 2500,
    rate: Annotated[
        float | None,
        typer.Option(min=1, help="Events a second. Default: a pace to watch; with --json, all."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the people, events and faults.")] = 0,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the relay's log in this file.")
    ] = None,
    datamarts: Annotated[
        int, typer.Option(min=1, max=9, help="Send to so many; the last one is down at first.")
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="Draw nothing; print the result as one JSON object.")
    ] = False,
) -> None:
    """Run all of it here: embedded Kafka, relay, sandbox API.

    The sandbox API fails now and then, so that retries can be seen.

    Exit status 0 only if every record is accounted for and each user's order was kept.

    Example: relay demo --events 2000 --json
    """
    _needs_the_demo()
    drawing = on_terminal() and not as_json
    if rate is None and not as_json:
        rate = _RATE_TO_WATCH
    if not drawing and not as_json:
        typer.echo("relay demo: embedded Kafka → relay → sandbox API; one moment")
    with _watched(events) if drawing else nullcontext(lambda *_: None) as watch:
        import asyncio

        import uvloop

        from relay.demo.play import play

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            tally, seconds = runner.run(play(events, rate, seed, log, watch, datamarts))
    if as_json:
        typer.echo(json.dumps(_result(tally, seconds)))
    else:
        from rich.console import Console

        from relay.demo.picture import summary

        Console().print(summary(tally, seconds, good=tally.good))
    if not tally.good:
        raise typer.Exit(ExitStatus.FINDINGS)


def _needs_the_demo() -> None:
    needs_the_sandbox()
    try:
        import relay.demo.play  # noqa: F401 - whether it can be
    except ImportError as error:
        raise SettingsError(
            f"the demo needs the package {error.name}",
            hint=install("demo"),
        ) from None


@contextmanager
def _watched(events: int) -> Iterator[Callable[["Tally", list[Mapping[str, Any]]], None]]:
    """A picture on the terminal, drawn anew at each call."""
    from rich.live import Live

    from relay.demo.picture import Picture

    picture = Picture(events)
    with Live(auto_refresh=False) as live:
        yield lambda tally, activities: live.update(picture.draw(tally, activities), refresh=True)


def _result(tally: "Tally", seconds: float) -> dict[str, Any]:
    return {
        "produced": tally.produced,
        "delivered": tally.delivered,
        "dead_lettered": tally.dead_lettered,
        "skipped": tally.skipped,
        "requests": tally.requests,
        "duplicates": tally.duplicates,
        "out_of_order": tally.out_of_order,
        "seconds": round(seconds, 3),
    }
