"""Settings → ready clients, ledgers and syncs for `relay segments`."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from relay.clock import SystemClock
from relay.segments.database import locked
from relay.segments.driver import Platform
from relay.segments.exporting import Exporter
from relay.segments.ledger import RunLedger
from relay.segments.progress import Progress
from relay.settings import Settings, load
from relay.vendors import open_digital_audience, open_document_imports, open_mparticle

__all__ = ["open_digital_audience", "open_mparticle"]
_LEDGER = "ledger.sqlite"


def chance() -> random.Random:
    """Chance that nobody can foresee: it spreads waits and names runs."""
    return random.Random()  # noqa: S311 - nothing here is secret


def settings_for(config: Path | None, *sections: str) -> Settings:
    """The settings; what other sections lack is no error."""
    return load(config, needs=sections)


@asynccontextmanager
async def open_exporter(settings: Settings, progress: Progress) -> AsyncIterator[Exporter]:
    """MParticle's exports, to files."""
    segments = settings.segments
    async with open_mparticle(settings, chance()) as api:
        yield Exporter(
            api,
            segments.file_access(),
            segments.mparticle,
            chance(),
            progress,
        )


@asynccontextmanager
async def open_platform(settings: Settings) -> AsyncIterator[Platform]:
    """Mediarithmics' bulk imports."""
    async with open_document_imports(settings, chance()) as imports:
        yield Platform(imports, SystemClock())


@contextmanager
def open_ledger(directory: Path, about: dict[str, str], what: str) -> Iterator[RunLedger]:
    """A ledger for this process alone."""
    with locked(directory, what):
        ledger = RunLedger(directory / _LEDGER, about)
        try:
            yield ledger
        finally:
            ledger.close()


@contextmanager
def read_ledger(directory: Path) -> Iterator[RunLedger | None]:
    """A ledger to look into, also while a sync works; None where there is none yet."""
    if not (directory / _LEDGER).exists():
        yield None
        return
    ledger = RunLedger(directory / _LEDGER, {}, read_only=True)
    try:
        yield ledger
    finally:
        ledger.close()


def sync_directory(settings: Settings, name: str) -> Path:
    """Where a sync keeps its state."""
    return settings.segments.state_dir / "syncs" / name


def import_directory(settings: Settings, sha256: str) -> Path:
    """Where the import of a file keeps its state."""
    datamart_id = settings.tracking.datamart_id
    return settings.segments.state_dir / "imports" / f"{datamart_id}-{sha256[:16]}"


def export_directory(settings: Settings, segment_id: str) -> Path:
    """What is locked while a segment is exported: one request at a time for each."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in segment_id)[:80]
    return settings.segments.state_dir / "exports" / safe
