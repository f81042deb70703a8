"""`relay segments extend`, `delete`, `audience create`: segments at Digital Audience."""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from relay.cli.options import ConfigOption, JsonOption
from relay.cli.segment_output import DryRun, plain, result, shown
from relay.errors import ExitStatus, InputError

audience = typer.Typer(
    name="audience",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Audiences at Digital Audience.",
)


def register(group: typer.Typer) -> None:
    """Make the commands known."""
    group.command()(extend)
    group.command()(delete)
    group.add_typer(audience)


def extend(  # noqa: PLR0917 - options of a command are given by name
    segment_id: Annotated[str, typer.Argument(help="The segment at Digital Audience, by id.")],
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="Its new end: a date or a time, in UTC.")
    ],
    shorten: Annotated[
        bool, typer.Option("--shorten", help="Allow an end before the one that it has.")
    ] = False,
    dry_run: DryRun = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move the end of a segment at Digital Audience.

    Example: relay segments extend 501 --until 2027-06-30
    """
    import asyncio

    from relay.cli import segment_tools as tools

    end = _utc(until)
    settings = tools.settings_for(config, "segments")

    async def run() -> Any:
        async with tools.open_digital_audience(settings) as api:
            found = await api.segment(segment_id)
            if found.end_date is not None and end < found.end_date and not shorten:
                raise InputError(
                    f"segment {segment_id} ends at {shown(found.end_date)}, after that",
                    hint="to end it earlier, say --shorten",
                )
            if not dry_run:
                await api.extend(segment_id, end)
            return found

    found = asyncio.run(run())
    done = "would end" if dry_run else "ends"
    document = {"segment_id": segment_id, "old_end": found.end_date, "new_end": end}
    old_end = shown(found.end_date) or "an unknown time"
    line = f"{segment_id} {found.name}: {done} at {shown(end)}, not {old_end}"
    result(document | {"changed": not dry_run}, [line], as_json=as_json)


def delete(
    segment_id: Annotated[str, typer.Argument(help="The segment at Digital Audience, by id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    dry_run: DryRun = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a segment at Digital Audience.

    Example: relay segments delete 501 --dry-run
    """
    import asyncio

    from relay.cli import segment_tools as tools

    settings = tools.settings_for(config, "segments")

    async def look() -> Any:
        async with tools.open_digital_audience(settings) as api:
            return await api.segment(segment_id)

    async def remove() -> None:
        async with tools.open_digital_audience(settings) as api:
            await api.delete(segment_id)

    found = asyncio.run(look())
    if not dry_run:
        if not yes and not sys.stdin.isatty():
            raise typer.BadParameter("nobody is there to be asked: say --yes", param_hint="--yes")
        if not yes and not typer.confirm(f"delete {segment_id} {found.name}?", err=True):
            raise typer.Exit(ExitStatus.INTERRUPTED)
        asyncio.run(remove())
    done = "would be deleted" if dry_run else "deleted"
    document = {"segment_id": segment_id, "name": found.name, "deleted": not dry_run}
    result(document, [f"{segment_id} {found.name}: {done}"], as_json=as_json)


@audience.command("create")
def create_audience(  # noqa: PLR0917 - options of a command are given by name
    name: Annotated[str, typer.Argument(help="Its name.")],
    campaign: Annotated[
        str, typer.Option("--campaign", metavar="ID", help="The campaign it belongs to.")
    ],
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="What it is.")
    ] = None,
    dry_run: DryRun = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create an audience in a campaign at Digital Audience.

    Example: relay segments audience create "Churn NL" --campaign 31
    """
    import asyncio

    from relay.cli import segment_tools as tools

    settings = tools.settings_for(config, "segments")
    if dry_run:
        settings.segments.digital_audience_login()
        document = {"name": name, "campaign_id": campaign, "changed": False}
        result(document, [f"{name}: would be created in campaign {campaign}"], as_json=as_json)
        return

    async def run() -> Any:
        async with tools.open_digital_audience(settings) as api:
            return await api.create_audience(name, campaign, description)

    made = asyncio.run(run())
    result(plain(made) | {"changed": True}, [f"{made.id} {made.name}: created"], as_json=as_json)


def _utc(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            "must be a date or a time, as 2027-06-30 or 2027-06-30T12:00:00Z", param_hint="--until"
        ) from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
