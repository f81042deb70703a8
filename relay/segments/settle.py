"""An execution that succeeded → what it changed, in the ledger. In doubt, everybody is unsure.

SUCCEEDED does not mean that every line was taken: the counts tell, and the error file may tell
which were not. Only if the two agree is anything concluded from them.
"""

from dataclasses import dataclass
from pathlib import Path

from relay.apis.errors import ApiError
from relay.apis.mediarithmics_document_imports import Execution
from relay.segments.ledger import Ledger, PartRecord, PartState
from relay.segments.members import MINUTE_MS, Range, apply_sure, apply_unsure
from relay.segments.progress import Progress
from relay.segments.rejections import read_rejections
from relay.segments.upload import Platform


@dataclass(frozen=True, slots=True)
class Settler:
    """Settles the files of one run. `expiration_minutes` is what its UPDATE lines say."""

    platform: Platform
    ledger: Ledger
    directory: Path
    expiration_minutes: int
    verify_counts: bool
    progress: Progress

    async def settle(self, part: PartRecord, execution: Execution) -> None:
        """Note what became of a file."""
        succeeded, rejected = execution.succeeded, execution.failed
        problem = self._disagreement(part, succeeded, rejected)
        if problem is None and rejected:
            users_known = await self._rejections(part, execution, rejected)
            if not users_known and part.first_user is not None:
                problem = f"{rejected} lines were rejected, and which cannot be told"
        sure = problem is None
        with self.ledger.writing() as db:
            self.ledger.set_part(
                part,
                state=PartState.DONE if sure else PartState.UNSURE,
                succeeded=succeeded,
                rejected=rejected,
                problem=problem,
            )
            if not sure:
                self._apply_unsure(part)
            elif part.first_user is not None and part.last_user is not None:
                asked_ms = min(record.asked_ms for record in self.ledger.executions(part))
                users = Range(part.first_user, part.last_user)
                apply_sure(db, part.number, users, *self._ends(asked_ms))
        if problem is not None:
            self.progress.note(f"part {part.number}: {problem}")

    def unsure(self, part: PartRecord) -> None:
        """Something of a file may have been imported."""
        with self.ledger.writing():
            self._apply_unsure(part)

    def _apply_unsure(self, part: PartRecord) -> None:
        if part.first_user is not None and part.last_user is not None:
            users = Range(part.first_user, part.last_user)
            apply_unsure(self.ledger.db, users, self._ends(0)[1])

    def _ends(self, asked_ms: int) -> tuple[int, int]:
        """The earliest and the latest moment at which the platform lets go of who enters now."""
        if not self.expiration_minutes:
            return 0, 0
        lasts_ms = self.expiration_minutes * MINUTE_MS
        return asked_ms + lasts_ms, self.platform.clock.now_ms() + lasts_ms

    def _disagreement(
        self, part: PartRecord, succeeded: int | None, rejected: int | None
    ) -> str | None:
        if succeeded is None or rejected is None:
            if self.verify_counts:
                return "the platform does not say how many lines it took"
            return None
        if succeeded + rejected != part.lines:
            return (
                f"{part.lines} lines were sent, the platform counts {succeeded} taken and "
                f"{rejected} rejected"
            )
        return None

    async def _rejections(self, part: PartRecord, execution: Execution, rejected: int) -> bool:
        """Note the rejected lines; whether their users are known, every one."""
        path = self.directory / f"errors-{part.number:04d}"
        if execution.error_file_uri is None:
            return False
        try:
            await self.platform.imports.error_file(execution.error_file_uri, path)
        except ApiError as error:
            self.progress.note(f"part {part.number}: no error file: {error.problem}")
            return False
        with self.ledger.writing() as db:
            db.execute("DELETE FROM rejections WHERE part = ?", (part.number,))
            db.executemany(
                "INSERT INTO rejections (part, line, user, reason) VALUES (?, ?, ?, ?)",
                ((part.number, r.line, r.user, r.reason) for r in read_rejections(path)),
            )
            (known,) = db.execute(
                "SELECT count(DISTINCT user) FROM rejections r WHERE part = ?"
                " AND user BETWEEN ? AND ?"
                " AND EXISTS (SELECT 1 FROM changes c WHERE c.user = r.user)",
                (part.number, part.first_user or "", part.last_user or ""),
            ).fetchone()
        self.progress.note(f"part {part.number}: {rejected} lines rejected; see {path}")
        return bool(known == rejected)
