"""A run in its ledger → what people and machines are told about it."""

import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relay.disk import disk_errors
from relay.segments.errors import ImportFailed
from relay.segments.hints import REJECTED
from relay.segments.ledger import PartRecord, PartState, Run, RunLedger
from relay.segments.members import member_count
from relay.segments.plan import Plan


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did. `outcome` is `open` for one that has not ended."""

    run: str
    began: datetime
    ended: datetime | None
    outcome: str
    resumed: bool
    plan: Plan | None
    parts: int
    bytes: int
    commands: int
    executions: int
    """What was uploaded, pieces of files that were taken apart included."""
    succeeded: int
    rejected: int
    adopted: int
    members: int
    unsure: int
    problem: str | None = None
    rejections: dict[str, int] = field(default_factory=dict)
    """Reasons that the platform gave, and how many lines each met."""

    def document(self) -> dict[str, Any]:
        """The report as JSON shows it."""
        return {**asdict(self), "plan": None if self.plan is None else self.plan.document()}


def report(ledger: RunLedger, run: Run, *, resumed: bool = False) -> Report:
    """What the ledger says about a run."""
    parts = ledger.parts(run)
    roots = [part for part in parts if part.parent is None]
    attempts = [attempt for part in parts for attempt in part.attempts]
    settled = [part for part in parts if part.state is not PartState.APART]
    rejections: Counter[str] = Counter()
    for part in settled:
        if part.state is PartState.DONE and part.rejected:
            rejections[part.problem or REJECTED] += part.rejected
    with ledger.scratch() as db:
        members, unsure = member_count(db)
    return Report(
        run=run.name,
        began=_time(run.began_ms),
        ended=None if run.ended_ms is None else _time(run.ended_ms),
        outcome=run.outcome or "open",
        resumed=resumed,
        plan=run.plan,
        parts=len(roots),
        bytes=sum(part.size_bytes for part in roots),
        commands=sum(part.lines for part in roots),
        executions=sum(attempt.execution_id is not None for attempt in attempts),
        succeeded=_sum(settled, "succeeded"),
        rejected=_sum(settled, "rejected"),
        adopted=sum(attempt.adopted for attempt in attempts),
        members=members,
        unsure=unsure,
        problem=run.problem,
        rejections=dict(rejections.most_common(10)),
    )


def why_failed(ledger: RunLedger, run: Run, hint: str) -> ImportFailed | None:
    """Why a run did not import all of it; None if it did."""
    over = (PartState.DONE, PartState.APART)
    left = [part for part in ledger.parts(run) if part.state not in over]
    problems = [f"part {part.number}: {part.problem}" for part in left if part.problem]
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""  # noqa: PLR2004 - a line that can be read
    return ImportFailed("; ".join(problems[:5]) + more, hint=hint) if left else None


def keep_rejected(ledger: RunLedger, run: Run, directory: Path) -> None:
    """Keep the lines that were found out by taking files apart, as they were sent."""
    for part in ledger.parts(run):
        if part.parent is None or part.state is not PartState.DONE or not part.rejected:
            continue
        path = directory / f"rejected.{part.format}"
        with disk_errors(path), path.open("ab") as kept, (directory / part.file).open("rb") as file:
            if part.format.has_header and kept.tell():
                file.readline()
            shutil.copyfileobj(file, kept)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _sum(parts: list[PartRecord], name: str) -> int:
    return sum(getattr(part, name) or 0 for part in parts)
