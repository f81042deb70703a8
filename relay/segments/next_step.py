"""What to do about one file, from what was asked and what the platform lists. Pure.

Cases, in this order:

1. An execution is listed that we do not know: it is ours, and adopted (an `Attempt` to note). What
   else goes into the same document import is left out by the caller.
2. An upload got no answer: it is looked for (`WAIT`), and after a while it vanished (`Attempt`).
3. An execution runs, or has a status that we do not know: `WAIT`.
4. One that began is not listed any more: `WAIT`, and after a while it counts as failed (`Attempt`).
5. One succeeded: the outcome for its lines. One was canceled on the platform: `Failed`.
6. As many executions failed as may: `Failed`. As many uploads vanished as may: `Held`, which is no
   fault of the file.
7. Nothing is under way: `UPLOAD`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from relay.apis.errors import ApiError, ServerFault
from relay.apis.mediarithmics_document_imports import Execution, Phase, phase_of
from relay.segments.outcome import Failed, Held, Outcome, outcome_of
from relay.segments.policy import UploadPolicy

NOT_LISTED = "not listed any more"
HALF_DONE = (Phase.FAILED, Phase.CANCELED)
"""An execution that ended so may have applied some of its lines."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One upload of a file. Without an execution id: asked for, and no answer known."""

    number: int
    asked_ms: int
    execution_id: str | None = None
    adopted: bool = False
    """It was found in the platform's list, because its answer was lost."""
    vanished: bool = False
    """It was looked for, and is not there."""
    status: str | None = None

    @property
    def is_lost(self) -> bool:
        """Whether it has been looked for long enough."""
        return self.vanished or self.status == NOT_LISTED

    @property
    def is_half_done(self) -> bool:
        """Whether it ended, and may have applied some of its lines."""
        return self.status == NOT_LISTED or phase_of(self.status) in HALF_DONE


@dataclass(frozen=True, slots=True)
class Seen:
    """What the platform lists for the file, and for how long something has been missed there."""

    listed: Sequence[Execution] = ()
    missed_s: float = 0.0
    """For how long an upload without an answer, or an execution that began, has not been there."""
    vanished_before: int = 0
    """Uploads that had vanished before this process began: they do not count against it."""
    trouble: ApiError | None = None
    """What the last upload that got no usable answer met."""


class Do(Enum):
    """What takes time."""

    UPLOAD = auto()
    WAIT = auto()


Step = Attempt | Do | Outcome
"""Something is known of an attempt now, or there is one that nobody asked for; or that is to be
done; or the file is through."""


def next_step(attempts: Sequence[Attempt], seen: Seen, policy: UploadPolicy, lines: int) -> Step:
    """What to do now about a file of so many lines: see the module's docstring for the cases."""
    known = {attempt.execution_id for attempt in attempts}
    unanswered = [a for a in attempts if a.execution_id is None and not a.vanished]
    strangers = [execution for execution in seen.listed if execution.id not in known]
    late = seen.missed_s >= policy.adoption_s
    if strangers:
        # The oldest answers the oldest question; the platform lists the newest first. Where all
        # have an answer it is one too many, and carries the same commands.
        one_more = Attempt(len(attempts) + 1, attempts[-1].asked_ms)
        asked = unanswered[0] if unanswered else one_more
        return replace(asked, execution_id=strangers[-1].id, adopted=True)
    if unanswered:
        return replace(unanswered[0], vanished=True) if late else Do.WAIT
    listed = {execution.id: execution for execution in seen.listed}
    ours = [a for a in attempts if a.execution_id is not None]
    executions = [listed[a.execution_id] for a in ours if a.execution_id in listed]
    if any(e.phase is Phase.RUNNING for e in executions):
        return Do.WAIT
    missing = [a for a in ours if a.execution_id not in listed and not a.is_lost]
    if missing:
        return replace(missing[0], status=NOT_LISTED) if late else Do.WAIT
    done = [e for e in executions if e.phase is Phase.SUCCEEDED]
    if done:
        return outcome_of(done[-1], lines, verify_counts=policy.verify_counts)
    return _when_none_succeeded(executions, attempts, seen, policy)


def _when_none_succeeded(
    executions: Sequence[Execution],
    attempts: Sequence[Attempt],
    seen: Seen,
    policy: UploadPolicy,
) -> Step:
    last = executions[-1] if executions else None
    begun = sum(a.execution_id is not None for a in attempts)
    canceled = [e for e in executions if e.phase is Phase.CANCELED]
    if canceled:
        return Failed(f"execution {canceled[-1].id} was canceled on the platform", last)
    if begun >= policy.attempts_max:
        return Failed(_failures(last, begun), last)
    vanished = sum(a.vanished for a in attempts) - seen.vanished_before
    if vanished >= policy.attempts_max:
        why = seen.trouble.problem if seen.trouble else "no answer"
        return Held(ServerFault(f"{vanished} uploads did not get through: {why}"))
    return Do.UPLOAD


def _failures(last: Execution | None, begun: int) -> str:
    if not begun:
        return "it was not uploaded"
    said = f": {last.error}" if last and last.error else ""
    status = last.status if last else NOT_LISTED
    what = "the execution" if begun == 1 else f"{begun} executions"
    return f"{what} ended as {status}{said}"
