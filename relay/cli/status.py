"""`relay status`: the admin port of a running relay → what is going on and what is stuck."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.admin_port import admin_url, asked
from relay.cli.options import ConfigOption, JsonOption
from relay.errors import ExitStatus
from relay.wording import counted

if TYPE_CHECKING:  # slow to import: only where it is shown
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(status)


def status(
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Admin address. Default: the one of the settings."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a running relay is doing.

    The state of the API, each partition, and the record that each partition waits for.

    Exit status 10 when it is not ready, 7 when nothing answers.

    Example: relay status --url http://127.0.0.1:9464
    """
    told = asked(url or admin_url(config))
    ready = told["ready"]
    if as_json:
        typer.echo(json.dumps(told))
    else:
        _show(ready, told)
    if not ready["ready"]:
        raise typer.Exit(ExitStatus.FINDINGS)


def _show(ready: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from relay.cli.top_screen import held_by, trouble
    from relay.telemetry.troubles import destinations

    console = Console(highlight=False, soft_wrap=True)
    ledger = told["ledger"]
    state = "ready" if ready["ready"] else f"not ready: {ready['reason']}"
    console.print(f"relay    {told['lifecycle']}, {state}")
    for one in told.get("troubles", ()):
        console.print(f"{one['level']:9}{trouble(one)}")
    for api in destinations(told):
        _show_destination(console, api, named=len(destinations(told)) > 1)
    dead, skipped = sum(ledger["dead_lettered"].values()), sum(ledger["skipped"].values())
    console.print(
        f"records  {ledger['taken']:,} taken = {ledger['delivered']:,} delivered + {dead:,} "
        f"dead-lettered + {skipped:,} skipped + {ledger['returned']:,} returned + "
        f"{ledger['open']:,} open{'' if ledger['balanced'] else '   THIS DOES NOT ADD UP'}"
    )
    if "segments" in told:
        _show_segments(console, told["segments"])
    table = Table(box=None, header_style="dim")
    for column in ("partition", "committed", "lag", "open", "in flight", "held by"):
        table.add_column(column, justify="left" if column in ("partition", "held by") else "right")
    for name, partition in told["partitions"].items():
        table.add_row(
            name,
            _text(partition["committed"]),
            _text(partition["lag"]),
            str(partition["open"]),
            str(partition["in_flight"]),
            held_by(partition["pinned_by"]),
        )
    console.print(table)


def _show_destination(console: "Console", api: Mapping[str, Any], *, named: bool) -> None:
    reason = f" ({api['reason']})" if api["reason"] else ""
    name = f"{api['name']}: " if named else ""
    console.print(f"API      {name}{api['state']}{reason} for {api['for_s']:.0f} s")
    console.print(
        f"         {api['in_flight']} in flight, limit {api['limit']} "
        f"({api['limit_changed_because']}), {api['waiting']} waiting, "
        f"{api['resting_lanes']} users rest after a failure"
    )
    if api.get("share_used_up"):
        console.print("         its share of memory is used up: the partitions that carry it pause")


def _show_segments(console: "Console", road: Mapping[str, Any]) -> None:
    console.print(
        f"segments {road['lifecycle']}, {road['ledger']['delivered']:,} events imported, "
        f"{road['waiting'] + road['in_trouble']:,} changes wait, {road['flying']:,} under way in "
        f"{counted(road['files'], 'file')}, lag {road['lag']:,}"
    )


def _text(value: object) -> str:
    return "-" if value is None else str(value)
