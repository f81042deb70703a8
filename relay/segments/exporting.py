"""An mParticle segment → its export on the local disk: asked for, waited for, downloaded whole."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relay.apis.caller import Sleep
from relay.apis.errors import (
    AnswerLost,
    ExportError,
    ExportOverdue,
    ServerFault,
    Throttled,
    Unreachable,
)
from relay.apis.locations import FileAccess
from relay.apis.mparticle_segments import HINTS, Export, MparticleSegments
from relay.apis.object_store import fetch
from relay.segments.driver import loop_time
from relay.segments.policy import ExportPolicy
from relay.segments.progress import Progress

_NAMELESS_MAX = 5
_FAULTS_MAX = 5
_DOWNLOADS_MAX = 4


@dataclass(frozen=True, slots=True)
class Exporter:
    """Gets exports."""

    api: MparticleSegments
    access: FileAccess
    policy: ExportPolicy
    rng: random.Random
    progress: Progress
    sleep: Sleep = asyncio.sleep
    steady: Callable[[], float] = loop_time

    async def ask(self, segment_id: str) -> Export:
        """Ask for an export. If no answer came, once more: an export changes nothing.

        Raises:
            ServerFault: The answer was a 5xx: the vendor opens a ticket for each, so one is enough.
        """
        try:
            return await self.api.request_export(segment_id)
        except AnswerLost as lost:
            if lost.status:
                raise ServerFault(lost.problem, hint=HINTS[500], status=lost.status) from None
            self.progress.note(f"{lost.problem}; asking again, so two may be under way")
            await self.sleep(self.rng.uniform(self.policy.poll_s, 2 * self.policy.poll_s))
            return await self.api.request_export(segment_id)

    async def wait(self, export_id: str) -> Export:
        """Wait until an export is complete and names its file. Raises an ExportError otherwise."""
        self.progress.begin(f"waiting for mParticle to export ({export_id})")
        began = self.steady()
        wait_s, faults, nameless = 0.0, 0, 0
        while True:
            export = None
            try:
                export = await self.api.export(export_id)
                faults = 0
            except (ServerFault, Throttled, Unreachable):
                faults += 1
                if faults >= _FAULTS_MAX:
                    raise
            if export is not None and export.status == "FAILED":
                raise ExportError(
                    f"mParticle gave up the export {export_id}",
                    hint="it says no reason; run again, and ask mParticle if that does not help",
                )
            if export is not None and export.status == "COMPLETE":
                if export.filename:
                    return export
                nameless += 1
                if nameless >= _NAMELESS_MAX:
                    raise ExportError(
                        f"mParticle says that the export {export_id} is complete, but names no file"
                    )
            waited_s = self.steady() - began
            if waited_s >= self.policy.patience_s:
                raise ExportOverdue(
                    f"the export {export_id} is not complete after {waited_s:.0f} s",
                    hint="run again later: it goes on waiting for this export",
                )
            wait_s = self.policy.wait_after_s(wait_s)
            await self.sleep(self.rng.uniform(wait_s / 2, wait_s))

    async def download(self, location: str, to: Path) -> int:
        """Download an export. One that breaks off is begun again, a few times."""
        self.progress.begin("downloading the export", None, "bytes")
        for attempt in range(1, _DOWNLOADS_MAX):
            try:
                return await fetch(location, to, self.access, self.progress.at)
            except Unreachable as error:
                self.progress.note(f"{error.problem}; beginning again")
                await self.sleep(self.rng.uniform(1.0, 2.0) * attempt)
        return await fetch(location, to, self.access, self.progress.at)
