"""What to do about one file, from what was asked and what the platform lists. Pure.

Cases, in this order:

1. An execution is listed that we do not know: it is ours, and adopted (`Note`). What else goes into
   the same document import is left out by the caller.
2. An upload got no answer: it is looked for (`Wait`), and after a while it vanished (`Note`).
3. An execution runs, or has a status that we do not know: `Wait`.
4. One that began is not listed any more: `Wait`, and after a while it counts as failed (`Note`).
5. One succeeded: `Ended`. One was canceled on the platform: `GiveUp`.
6. As many executions failed as may: `GiveUp`. As many uploads vanished as may: `Hold`.
7. Nothing is under way: `Upload`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relay.apis.mediarithmics_document_imports import Execution, Phase, phase_of
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
    def is_half_done(self) -> bool:
        """Whether it ended, and may have applied some of its lines."""
        return self.status == NOT_LISTED or phase_of(self.status) in HALF_DONE


@dataclass(frozen=True, slots=True)
class Seen:
    """What the platform lists for the file, and for how long something has been missed there."""

    listed: Sequence[Execution] = ()
    looked_s: float = 0.0
    """For how long an upload without an answer has been looked for."""
    missing_s: float = 0.0
    """For how long an execution that began has not been listed."""
    vanished_before: int = 0
    """Uploads that had vanished before this process began: they do not count against it."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something is known of an attempt now; or there is one that nobody asked for."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Upload:
    """Upload the file."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Something is under way."""

    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution succeeded, and nothing else is under way."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No further attempt is made."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Uploads do not get through: no fault of the file."""

    uploads: int


Step = Note | Upload | Wait | Ended | GiveUp | Hold


def next_step(attempts: Sequence[Attempt], seen: Seen, policy: UploadPolicy) -> Step:
    """What to do now: see the module's docstring for the cases."""
    known = {attempt.execution_id for attempt in attempts}
    unanswered = [a for a in attempts if a.execution_id is None and not a.vanished]
    strangers = [execution for execution in seen.listed if execution.id not in known]
    if strangers:
        # The oldest answers the oldest question; the platform lists the newest first. Where all
        # have an answer it is one too many, and carries the same commands.
        one_more = Attempt(len(attempts) + 1, attempts[-1].asked_ms)
        asked = unanswered[0] if unanswered else one_more
        return Note(replace(asked, execution_id=strangers[-1].id, adopted=True))
    if unanswered:
        late = seen.looked_s >= policy.adoption_s
        return Note(replace(unanswered[0], vanished=True)) if late else Wait()
    listed = {execution.id: execution for execution in seen.listed}
    ours = [a for a in attempts if a.execution_id is not None]
    executions = [listed[a.execution_id] for a in ours if a.execution_id in listed]
    moving = [e for e in executions if e.phase in (Phase.RUNNING, Phase.UNKNOWN)]
    if moving:
        return Wait(moving[-1])
    missing = [a for a in ours if a.execution_id not in listed and a.status != NOT_LISTED]
    if missing:
        late = seen.missing_s >= policy.adoption_s
        return Note(replace(missing[0], status=NOT_LISTED)) if late else Wait()
    vanished = sum(a.vanished for a in attempts) - seen.vanished_before
    return _when_all_ended(executions, len(ours), vanished, policy)


def _when_all_ended(
    executions: Sequence[Execution], begun: int, vanished: int, policy: UploadPolicy
) -> Step:
    done = [e for e in executions if e.phase is Phase.SUCCEEDED]
    if done:
        return Ended(done[-1])
    canceled = [e for e in executions if e.phase is Phase.CANCELED]
    if canceled:
        return GiveUp(f"execution {canceled[-1].id} was canceled on the platform")
    if begun >= policy.attempts_max:
        return GiveUp(_failures(executions, begun))
    return Hold(vanished) if vanished >= policy.attempts_max else Upload()


def _failures(executions: Sequence[Execution], begun: int) -> str:
    if not begun:
        return "it was not uploaded"
    said = f": {executions[-1].error}" if executions and executions[-1].error else ""
    status = executions[-1].status if executions else NOT_LISTED
    if begun == 1:
        return f"the execution ended as {status}{said}"
    return f"{begun} executions ended as {status}{said}"
