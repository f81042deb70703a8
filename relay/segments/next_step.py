"""What to do about one uploaded file, from what was asked and what the platform lists. Pure.

The rule that nothing is uploaded twice lives here: an upload whose answer is not known is looked
for in the list before it is made again, and an execution that nobody remembers is taken for ours,
since each file has a document import to itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from relay.apis.mediarithmics_document_imports import Execution, Phase
from relay.segments.ledger import ExecutionRecord
from relay.segments.policy import UploadPolicy


@dataclass(frozen=True, slots=True)
class Adopt:
    """An execution is listed that we do not know: it is ours.

    `attempt` is the one that it answers; None when every attempt has an answer: one too many.
    """

    execution: Execution
    attempt: int | None


@dataclass(frozen=True, slots=True)
class Vanished:
    """An upload without an answer is not listed, and was looked for long enough."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Upload:
    """Nothing is under way: upload the file."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Something is under way."""

    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """It was imported, and nothing else is under way."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt is made."""

    reason: str


Step = Adopt | Vanished | Upload | Wait | Settle | GiveUp


@dataclass(frozen=True, slots=True)
class Seen:
    """The executions that the platform lists for the file's document import."""

    listed: Sequence[Execution] = field(default_factory=tuple)
    looked_s: float = 0.0
    """For how long uploads without an answer have been looked for."""


def next_step(records: Sequence[ExecutionRecord], seen: Seen, policy: UploadPolicy) -> Step:
    """What to do now."""
    known = {record.execution_id for record in records}
    unanswered = [r for r in records if r.execution_id is None and not r.vanished]
    strangers = [execution for execution in seen.listed if execution.id not in known]
    if strangers:
        # The oldest answers the oldest question; the platform lists the newest first.
        return Adopt(strangers[-1], unanswered[0].attempt if unanswered else None)
    if unanswered:
        if seen.looked_s < policy.adoption_s:
            return Wait()
        return Vanished(unanswered[0].attempt)
    listed = {execution.id: execution for execution in seen.listed}
    ours = [listed.get(r.execution_id) for r in records if r.execution_id is not None]
    return _by_phase(ours, policy)


def _by_phase(ours: Sequence[Execution | None], policy: UploadPolicy) -> Step:
    executions = [execution for execution in ours if execution is not None]
    moving = [e for e in executions if e.phase in (Phase.RUNNING, Phase.UNKNOWN)]
    if moving or len(executions) < len(ours):  # or one that began is not listed at this moment
        return Wait(moving[-1] if moving else None)
    done = [e for e in executions if e.phase is Phase.SUCCEEDED]
    if done:
        return Settle(done[-1])
    canceled = [e for e in executions if e.phase is Phase.CANCELED]
    if canceled:
        return GiveUp(f"execution {canceled[-1].id} was canceled on the platform")
    if len(executions) >= policy.attempts_max:
        if not executions:
            return GiveUp("it was not uploaded")
        last = executions[-1]
        said = f": {last.error}" if last.error else ""
        return GiveUp(f"{len(executions)} executions ended as {last.status}{said}")
    return Upload()
