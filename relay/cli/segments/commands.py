"""`relay segments`: audience segments from mParticle into mediarithmics, and Digital Audience."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.commands import Commands
from relay.cli.options import ConfigOption, JsonOption
from relay.cli.segments import audience as segment_audience
from relay.cli.segments.output import DryRun, plain, print_json, print_lines, result
from relay.errors import ExitStatus, InputError

if TYPE_CHECKING:
    from relay.segments.report import Report

group = Commands(
    name="segments",
    help="Audience segments: sync, import, and Digital Audience.",
)


def register(app: typer.Typer) -> None:
    """Make the commands known."""
    app.add_typer(group)


@group.command("list")
def list_segments(
    of_audience: Annotated[
        str | None,
        typer.Option(
            "--audience", metavar="ID", help="Those of an audience at Digital Audience instead."
        ),
    ] = None,
    accounts: Annotated[
        bool,
        typer.Option("--accounts", help="The platform accounts at Digital Audience instead."),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the user segments of the mParticle project.

    Example: relay segments list --json

    Example: relay segments list --audience 77
    """
    import asyncio

    from relay.cli.segments import tools
    from relay.cli.segments.text import table

    settings = tools.settings_for(config, "segments")

    async def look() -> Any:
        if of_audience is None and not accounts:
            async with tools.open_mparticle(settings, tools.chance()) as api:
                return list(await api.segments())
        async with tools.open_digital_audience(settings, tools.chance()) as api:
            name, id_ = ("accounts", "") if accounts else ("segments", of_audience or "")
            return await api.call(name, id_)

    found = asyncio.run(look())
    if accounts or of_audience is not None:
        print_json(found)  # as it came: the vendor's page shows no answer
    elif as_json:
        print_json([plain(item) for item in found])
    else:
        print_lines(
            table(
                ("ID", "NAME", "TYPE", "LAST RUN", "CATEGORY"),
                [(s.segment_id, s.name, s.type, s.last_run, s.category) for s in found],
            )
        )


@group.command()
def export(
    segment_id: Annotated[str, typer.Argument(help="The segment at mParticle, by id.")],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="File to write; default: <segment id>.csv."),
    ] = None,
    export_id: Annotated[
        str | None,
        typer.Option(
            "--export-id", metavar="ID", help="Fetch this export, which was asked for earlier."
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export an mParticle segment to a file: ask, wait, download.

    Example: relay segments export 82200474-c131-4f7b-a35e-381469af31a7 --to users.csv
    """
    import asyncio

    from relay.cli.segments import tools
    from relay.cli.segments.progress import segment_progress
    from relay.segments.database import locked

    settings = tools.settings_for(config, "segments")
    path = to or Path(f"{segment_id}.csv")
    if not path.parent.is_dir():  # an export may take hours: said before, not after
        raise InputError(f"{path.parent}: there is no such directory")

    async def run() -> tuple[str, int]:
        with segment_progress() as progress:
            async with tools.open_exporter(settings, progress) as exporter:
                asked = export_id or (await exporter.ask(segment_id)).export_id
                if export_id is None:
                    progress.note(f"asked for; to fetch it later: --export-id {asked}")
                done = await exporter.wait(asked)
                return asked, await exporter.download(done.filename or "", path)

    with locked(tools.export_directory(settings, segment_id), f"the export of {segment_id}"):
        asked, size = asyncio.run(run())
    if as_json:
        print_json({"export_id": asked, "file": str(path), "bytes": size})
    else:
        typer.echo(f"{path}: {size:,} bytes (export {asked})")


@group.command("import")
def import_file(  # noqa: PLR0917 - options of a command are given by name
    file: Annotated[Path, typer.Argument(help="File of segment commands, NDJSON or CSV.")],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="ndjson|csv",
            help="Format of the file, also as a mime type; default: told by its name.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Import the file though it was imported before.")
    ] = False,
    dry_run: DryRun = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import a file of segment commands into mediarithmics, once.

    The file is checked whole before anything is uploaded. Exit status 10: lines were rejected.

    Example: relay segments import vip.ndjson --dry-run
    """
    import asyncio

    from relay.cli.segments import tools
    from relay.cli.segments.progress import segment_progress
    from relay.cli.segments.runs import run_import
    from relay.cli.segments.text import report_lines
    from relay.segments.importing import check_file

    chosen = _format(file, form)
    settings = tools.settings_for(config, "segments", "tracking")
    with segment_progress() as progress:
        checked = check_file(file, chosen, progress)
        if dry_run:
            counts = {"commands": checked.commands, "updates": checked.updates}
            result(
                counts | {"deletes": checked.deletes, "sha256": checked.sha256},
                [f"{file}: {checked.updates:,} UPDATE, {checked.deletes:,} DELETE; not uploaded"],
                as_json=as_json,
            )
            return
        what, stopped = (file, chosen, checked), _stopped(as_json)
        report = asyncio.run(run_import(settings, what, progress, stopped, again=again))
    result(report.document(), report_lines(str(file), report), as_json=as_json)
    if report.rejected:
        raise typer.Exit(ExitStatus.FINDINGS)


@group.command()
def sync(  # noqa: PLR0917 - options of a command are given by name
    name: Annotated[
        str | None,
        typer.Argument(help="Which of segments.syncs; not needed where there is one."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", "--dry-run", help="Show what would be done, and do nothing.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="CSV", help="Take the users from this file instead."),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Ask for a new export even if an interrupted run can be continued."
        ),
    ] = False,
    allow_removals: Annotated[
        bool, typer.Option("--allow-removals", help="Do not stop however many leave.")
    ] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Accept an export without users.")
    ] = False,
    allow_growth: Annotated[
        bool, typer.Option("--allow-growth", help="Do not stop however many enter.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export a segment, and import what differs.

    A run that was interrupted is continued. Exit status: 0 in step, 10 lines were rejected, 20 it
    stopped itself, 21 another one runs, 23 no export, 24 not imported; run it again.

    Example: relay segments sync churn --plan

    Example: relay segments sync churn --json
    """
    import asyncio

    from relay.cli.segments.progress import segment_progress
    from relay.cli.segments.runs import run_sync
    from relay.cli.segments.text import plan_lines, report_lines
    from relay.segments.sync import SyncRequest

    request = SyncRequest(plan, file, fresh, allow_removals, allow_empty, allow_growth)
    with segment_progress() as progress:
        policy, report = asyncio.run(run_sync(config, name, request, progress, _stopped(as_json)))
    lines = [] if plan else report_lines(policy.name, report)
    if report.plan is not None:
        share_max = policy.safety.removal_share_max
        lines = [*plan_lines(policy.name, report.plan, share_max), *lines]
    result(report.document(), lines, as_json=as_json)
    if report.rejected and not plan:
        raise typer.Exit(ExitStatus.FINDINGS)


@group.command()
def status(
    name: Annotated[
        str | None, typer.Argument(help="Which of segments.syncs; without it, all.")
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="ID", help="A segment at Digital Audience instead."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the last run of each sync and import did.

    Works while a sync runs. With --segment it asks Digital Audience about that segment instead.

    Example: relay segments status churn
    """
    import asyncio

    from relay.cli.segments import tools
    from relay.cli.segments.runs import statuses
    from relay.cli.segments.text import report_lines

    settings = tools.settings_for(config, "segments")
    if segment is not None:

        async def look() -> Any:
            async with tools.open_digital_audience(settings, tools.chance()) as api:
                return await api.call("segment", segment)

        print_json(asyncio.run(look()))  # as it came: the vendor's page shows no answer
        return
    documents: dict[str, Any] = {}
    for sync_name, report in statuses(settings, name):
        documents[sync_name] = None if report is None else report.document()
        if not as_json:
            never = [f"{sync_name}: was never run"]
            print_lines(never if report is None else report_lines(sync_name, report))
    if as_json:
        print_json(documents)


def _stopped(as_json: bool) -> "Callable[[Report], None]":
    """What is told of a run that an error ended; the error itself follows."""

    def told(report: "Report") -> None:
        if as_json:
            print_json(report.document())

    return told


def _format(file: Path, given: str | None) -> Any:
    from relay.segments.formats import FileFormat

    if given is None:
        return FileFormat.of_file(file)
    return FileFormat(given) if given in list(FileFormat) else FileFormat.of_mime_type(given)


segment_audience.register(group)
