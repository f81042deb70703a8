"""`relay segments sync` and `status`: settings, a ledger and clients → a report."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from relay.cli import segment_tools as tools
from relay.segments.policy import SyncPolicy
from relay.segments.progress import Progress
from relay.segments.report import Report, report
from relay.segments.sync import Sync, Wish
from relay.settings import Settings


async def run_sync(
    config: Path | None, name: str | None, wish: Wish, progress: Progress
) -> tuple[SyncPolicy, Report]:
    """Run one sync to its end."""
    settings = tools.settings_for(config, "segments", "tracking", "identity")
    policy = settings.segments.sync_policy(name, settings.identity)
    directory = tools.sync_directory(settings, policy.name)
    about = policy.about(settings.tracking.datamart_id)
    with tools.open_ledger(directory, about, f"the sync {policy.name}") as ledger:
        async with tools.open_platform(settings) as platform:
            exporter = tools.open_exporter(settings, progress)
            # With a file nothing is asked of mParticle, and its credentials are not needed.
            async with nullcontext() if wish.file else exporter as opened:
                sync = Sync(policy, ledger, directory, opened, platform, tools.chance(), progress)
                return policy, await sync.run(wish)


def statuses(settings: Settings, name: str | None) -> Iterator[tuple[str, Report | None]]:
    """The last run of each sync, or of one; None where there was none."""
    if name is None:
        names = [sync.name for sync in settings.segments.syncs]
    else:
        names = [settings.segments.sync_policy(name, settings.identity).name]
    for known in names:
        with tools.read_ledger(tools.sync_directory(settings, known)) as ledger:
            run = None if ledger is None else ledger.last_run()
            yield known, None if ledger is None or run is None else report(ledger, run)
