"""What a sync and the import of a file have in common: how a run begins, uploads and ends."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from relay.disk import disk_errors
from relay.errors import RelayError
from relay.segments.driver import Platform
from relay.segments.ledger import Outcome, Run, RunLedger
from relay.segments.policy import UploadPolicy
from relay.segments.progress import Progress
from relay.segments.report import keep_rejected, why_failed
from relay.segments.uploads import Uploads

EXPORT = "export.csv"
_NAMING_PEOPLE = (EXPORT, EXPORT + ".part", "part-*")
_FOUND_OUT = ("errors-*", "rejected.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs of one ledger. The caller holds the lock on the ledger's directory."""

    ledger: RunLedger
    directory: Path
    platform: Platform
    rng: random.Random
    progress: Progress

    def begin(self, what: str, source: str) -> Run:
        """Begin a run, with nothing left of the one before."""
        now_ms = self.now()
        self._remove(*_NAMING_PEOPLE, *_FOUND_OUT)
        stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        # Unique wherever it is begun: the run's document imports are named after it.
        name = f"relay-{what}-{stamp}-{self.rng.getrandbits(32):08x}"
        return self.ledger.begin(name, source, now_ms)

    async def upload(self, run: Run, policy: UploadPolicy) -> None:
        """See all files of a run through."""
        uploads = Uploads(self.platform, self.ledger, self.directory, run, policy, self.progress)
        await uploads.see_through()

    def finish(self, run: Run, hint: str) -> Run:
        """End a run whose files were seen through. ImportFailed: not all of them are imported."""
        keep_rejected(self.ledger, run, self.directory)
        failed = why_failed(self.ledger, run, hint)
        if failed is None:
            return self.end(run, Outcome.DONE)
        self.end(run, Outcome.FAILED, failed)
        raise failed

    def end(self, run: Run, outcome: Outcome, why: RelayError | None = None) -> Run:
        """End a run; error files and rejected lines stay until the next one."""
        ended = self.ledger.end(run, outcome, self.now(), why.problem if why else None)
        self._remove(*_NAMING_PEOPLE)
        return ended

    def now(self) -> int:
        """The wall clock in epoch milliseconds."""
        return self.platform.clock.now_ms()

    def _remove(self, *patterns: str) -> None:
        with disk_errors(self.directory):
            for pattern in patterns:
                for path in self.directory.glob(pattern):
                    path.unlink()
