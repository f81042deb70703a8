"""`relay segments extend`, `delete`, `audience create`: segments at Digital Audience."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from relay.cli.commands import Commands
from relay.cli.options import ConfigOption, JsonOption
from relay.cli.segments.output import DryRun, result
from relay.errors import ExitStatus, InputError

SegmentId = Annotated[str, typer.Argument(help="The segment at Digital Audience, by id.")]
audience = Commands(name="audience", help="Audiences at Digital Audience.")


def register(group: typer.Typer) -> None:
    """Make the commands known."""
    group.command()(extend)
    group.command()(delete)
    group.add_typer(audience)


def extend(  # noqa: PLR0917 - options of a command are given by name
    segment_id: SegmentId,
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

    Where the vendor tells its current end, an earlier one is refused.

    Example: relay segments extend 501 --until 2027-06-30
    """
    from relay.apis.digital_audience import field_of, number, utc_7_digits

    end = _utc(until)
    old = field_of(_look(config, segment_id), "endDate")
    if isinstance(old, str) and end < _utc(old[:26].rstrip("Z")) and not shorten:
        raise InputError(
            f"segment {segment_id} ends at {old}, after that",
            hint="to end it earlier, say --shorten",
        )
    if not dry_run:
        _call(config, "extend", segmentid=number(segment_id), endDate=utc_7_digits(end))
    done = "would end" if dry_run else "ends"
    document = {"segment_id": segment_id, "old_end": old, "new_end": end, "changed": not dry_run}
    line = f"{segment_id}: {done} at {end:%Y-%m-%d %H:%M} UTC, not {old or 'an unknown time'}"
    result(document, [line], as_json=as_json)


def delete(
    segment_id: SegmentId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    dry_run: DryRun = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a segment at Digital Audience.

    Example: relay segments delete 501 --dry-run
    """
    from relay.apis.digital_audience import field_of

    name = field_of(_look(config, segment_id), "name")
    if not dry_run:
        if not yes and not sys.stdin.isatty():
            raise typer.BadParameter("nobody is there to be asked: say --yes", param_hint="--yes")
        if not yes and not typer.confirm(f"delete {segment_id} {name or ''}?", err=True):
            raise typer.Exit(ExitStatus.INTERRUPTED)
        _call(config, "delete", segment_id)
    done = "would be deleted" if dry_run else "deleted"
    document = {"segment_id": segment_id, "name": name, "deleted": not dry_run}
    result(document, [f"{segment_id} {name or ''}".rstrip() + f": {done}"], as_json=as_json)


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
    from relay.apis.digital_audience import number

    body = {"name": name, "description": description, "campaignId": number(campaign)}
    made = None
    if not dry_run:
        given: dict[str, Any] = {key: value for key, value in body.items() if value is not None}
        made = _call(config, "create", **given)
    done = "would be created" if dry_run else "created"
    document = {"name": name, "campaign_id": campaign, "changed": not dry_run, "answer": made}
    result(document, [f"{name}: {done} in campaign {campaign}"], as_json=as_json)


def _look(config: Path | None, segment_id: str) -> Any:
    """The segment before it is changed; None where what comes cannot be read."""
    from relay.apis.errors import AnswerUnusable

    try:
        return _call(config, "segment", segment_id)
    except AnswerUnusable as error:
        typer.echo(f"{error}; going on without it", err=True)
        return None


def _call(config: Path | None, name: str, id_: str = "", /, **body: Any) -> Any:
    import asyncio

    from relay.cli.segments import tools

    settings = tools.settings_for(config, "segments")

    async def run() -> Any:
        async with tools.open_digital_audience(settings, tools.chance()) as api:
            return await api.call(name, id_, **body)

    return asyncio.run(run())


def _utc(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            "must be a date or a time, as 2027-06-30 or 2027-06-30T12:00:00Z", param_hint="--until"
        ) from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
