"""`relay segments import`, `sync` and `status`: settings, a ledger and clients → a report."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from relay.cli.segments import tools
from relay.errors import RelayError
from relay.segments.formats import FileFormat
from relay.segments.importing import Checked, FileImport
from relay.segments.ledger import RunLedger
from relay.segments.policy import SyncPolicy
from relay.segments.progress import Progress
from relay.segments.report import Report, report
from relay.segments.sync import Sync, SyncRequest
from relay.settings import Settings


async def run_import(
    settings: Settings,
    file: tuple[Path, FileFormat, Checked],
    progress: Progress,
    on_failure: Callable[[Report], None],
    *,
    again: bool,
) -> Report:
    """Import a file to its end; `on_failure` hears what was done before an error was raised."""
    path, form, checked = file
    imports = settings.segments.imports
    directory = tools.import_directory(settings, checked.sha256)
    about = {"datamart": settings.tracking.datamart_id, "file": checked.sha256}
    with tools.open_ledger(directory, about, f"the import of {path}") as ledger:
        async with tools.open_platform(settings) as platform:
            importing = FileImport(
                path=path, form=form, part_bytes_max=imports.part_bytes_max, policy=imports,
                ledger=ledger, directory=directory, platform=platform, rng=tools.chance(),
                progress=progress,
            )  # fmt: skip
            with _told(ledger, on_failure):
                return await importing.run(checked, again=again)


async def run_sync(
    config: Path | None,
    name: str | None,
    request: SyncRequest,
    progress: Progress,
    on_failure: Callable[[Report], None],
) -> tuple[SyncPolicy, Report]:
    """Run one sync to its end; `on_failure` hears what it did before it raised an error."""
    settings = tools.settings_for(config, "segments", "tracking", "identity")
    policy = settings.segments.sync_policy(name, settings.identity)
    directory = tools.sync_directory(settings, policy.name)
    about = policy.about(settings.tracking.datamart_id)
    with tools.open_ledger(directory, about, f"the sync {policy.name}") as ledger:
        async with tools.open_platform(settings) as platform:
            exporter = tools.open_exporter(settings, progress)
            # With a file nothing is asked of mParticle, and its credentials are not needed.
            async with nullcontext() if request.file else exporter as opened:
                sync = Sync(
                    policy=policy, ledger=ledger, directory=directory, exporter=opened,
                    platform=platform, rng=tools.chance(), progress=progress,
                )  # fmt: skip
                with _told(ledger, on_failure):
                    return policy, await sync.run(request)


@contextmanager
def _told(ledger: RunLedger, on_failure: Callable[[Report], None]) -> Iterator[None]:
    try:
        yield
    except RelayError:
        run = ledger.last_run()
        if run is not None:
            on_failure(report(ledger, run))
        raise


def statuses(settings: Settings, name: str | None) -> Iterator[tuple[str, Report | None]]:
    """The last run of each sync and of each import, or of one sync; None where there was none."""
    if name is None:
        places = {sync.name: tools.sync_directory(settings, sync.name)
                  for sync in settings.segments.syncs}  # fmt: skip
        imports = sorted((settings.segments.state_dir / "imports").glob("*"))
        places |= {f"import {place.name}": place for place in imports if place.is_dir()}
    else:
        known = settings.segments.sync_policy(name, settings.identity).name
        places = {known: tools.sync_directory(settings, known)}
    for called, place in places.items():
        with tools.read_ledger(place) as ledger:
            run = None if ledger is None else ledger.last_run()
            yield called, None if ledger is None or run is None else report(ledger, run)
