"""`relay status`: the admin port of a running relay → what is going on and what is stuck."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from relay.cli.options import ConfigOption, JsonOption
from relay.errors import DestinationError, ExitStatus

_TIMEOUT_S = 5.0


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
    """Ask a running relay what it is doing: the API, each partition, what holds the frontier.

    Exit status 10 when it is not ready, 7 when nothing answers.

    Example: relay status --url http://127.0.0.1:9464
    """
    import httpx
    import orjson

    if url is None:
        from relay.settings import load

        admin = load(config, needs=["admin"]).admin
        host = "127.0.0.1" if admin.host in ("0.0.0.0", "::") else admin.host  # noqa: S104
        url = f"http://{host}:{admin.port}"
    try:
        with httpx.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False) as client:
            ready = client.get("/readyz").json()
            told = client.get("/status").raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise DestinationError(
            f"{url} does not answer as a relay does: {type(error).__name__}",
            hint="is it running there? name its admin address with --url",
        ) from None
    if as_json:
        typer.echo(orjson.dumps({"ready": ready, **told}))
    else:
        _show(ready, told)
    if not ready["ready"]:
        raise typer.Exit(ExitStatus.FINDINGS)


def _show(ready: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    ledger, api, letters = told["ledger"], told["destination"], told["dead_letter_topic"]
    state = "ready" if ready["ready"] else f"not ready: {ready['reason']}"
    console.print(f"relay    {told['lifecycle']}, {state}")
    reason = f" ({api['reason']})" if api["reason"] else ""
    console.print(f"API      {api['state']}{reason} for {api['for_s']:.0f} s")
    console.print(
        f"         {api['in_flight']} in flight, limit {api['limit']} "
        f"({api['limit_changed_because']}), {api['waiting']} waiting, "
        f"{api['resting_lanes']} users rest after a failure"
    )
    dead, skipped = sum(ledger["dead_lettered"].values()), sum(ledger["skipped"].values())
    console.print(
        f"records  {ledger['taken']:,} taken = {ledger['delivered']:,} delivered + {dead:,} "
        f"dead-lettered + {skipped:,} skipped + {ledger['returned']:,} returned + "
        f"{ledger['open']:,} open{'' if ledger['balanced'] else '   THIS DOES NOT ADD UP'}"
    )
    if letters["blocked"]:
        console.print(f"dead letters cannot be written: {letters['blocked']}")
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
            _held_by(partition["pinned_by"]),
        )
    console.print(table)


def _held_by(pin: Mapping[str, Any] | None) -> str:
    if pin is None:
        return ""
    tried = f", its schema {pin['schema']} is not there" if "schema" in pin else ""
    if pin.get("attempts"):
        tried = f", {pin['attempts']} attempts, last {pin['last_verdict'] or 'under way'}"
    return f"offset {pin['offset']} for {pin['for_s']:.0f} s{tried}"


def _text(value: object) -> str:
    return "-" if value is None else str(value)
