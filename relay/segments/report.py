"""A run in its ledger → what people and machines are told about it."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from relay.segments.ledger import Ledger, PartRecord, Run
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


def report(ledger: Ledger, run: Run, *, resumed: bool = False) -> Report:
    """What the ledger says about a run."""
    parts = ledger.parts(run)
    members, unsure = (0, 0)
    with ledger.scratch() as db:
        members, unsure = member_count(db)
        reasons = db.execute(
            "SELECT reason, count(*) FROM rejections GROUP BY reason ORDER BY 2 DESC LIMIT 10"
        ).fetchall()
    return Report(
        run=run.name,
        began=_time(run.began_ms),
        ended=None if run.ended_ms is None else _time(run.ended_ms),
        outcome=run.outcome or "open",
        resumed=resumed,
        plan=None if run.plan is None else Plan(**run.plan),
        parts=len(parts),
        bytes=sum(part.size_bytes for part in parts),
        commands=sum(part.lines for part in parts),
        succeeded=_sum(parts, "succeeded"),
        rejected=_sum(parts, "rejected"),
        adopted=sum(e.adopted for part in parts for e in ledger.executions(part)),
        members=members,
        unsure=unsure,
        problem=run.problem,
        rejections={row[0]: row[1] for row in reasons},
    )


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _sum(parts: list[PartRecord], name: str) -> int:
    return sum(getattr(part, name) or 0 for part in parts)
