"""`relay map`: a file of events in, the exact requests out, nothing is sent; and the tools."""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from relay.cli.commands import Commands
from relay.cli.map import tools as map_tools
from relay.cli.options import ConfigOption
from relay.errors import ExitStatus


class _FileOrTool(TyperGroup):
    """`relay map FILE` beside `relay map test …`: what begins with no tool's name is a file."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_EVENTS, *args]
        return super().parse_args(ctx, args)


_EVENTS = "events"
_NEEDS = ["decoding", "identity", "mapping", "segments", "destinations", "routing"]
group = Commands(
    name="map",
    cls=_FileOrTool,
    help="Show the requests that events become, and try mappings.",
)


def register(app: typer.Typer) -> None:
    """Make the commands known."""
    group.command(_EVENTS)(map_events)
    map_tools.register(group)
    app.add_typer(group)


def map_events(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Events, one JSON object a line; - is standard input."),
    ],
    config: ConfigOption = None,
    show_personal_data: Annotated[
        bool,
        typer.Option("--show-personal-data", help="Print requests exactly as they would be sent."),
    ] = False,
    destination: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="As if all were bound for this one."),
    ] = None,
) -> None:
    """Show which requests events would become. Nothing is sent.

    With several `destinations`, each request names its own; a line has neither topic nor header,
    so name the destination where one of these decides.

    Each request is a line of JSON on standard output: method, path, body; each line of a segment
    import likewise, where `segments.membership` is enabled. What is rejected, skipped or changed
    is told on standard error, by line. Exit status 10 when any is rejected.

    Example: relay map events.ndjson --config relay.yaml
    """
    from relay.cli.lines import opened
    from relay.cli.map.dry_run import bound_for, dry_run
    from relay.clock import SystemClock
    from relay.settings import load

    settings = load(config, needs=_NEEDS)
    with opened(source) as file:
        bound = bound_for(settings, destination)
        rejected = dry_run(file, settings, bound, SystemClock(), exact=show_personal_data)
    if rejected:
        raise typer.Exit(ExitStatus.FINDINGS)
