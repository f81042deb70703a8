"""An execution that succeeded → what became of the lines of its file. Pure.

SUCCEEDED does not mean that every line was taken. The counts tell how many were:

    counts                              outcome
    missing, and they are needed        Failed: nothing is known of any line
    missing, and not needed             Landed with none rejected
    do not add up to the lines sent     Failed
    none rejected, or all               Landed: each line is known
    some rejected                       Unclear: which ones has to be found out (`isolator`)
"""

from dataclasses import dataclass

from relay.apis.errors import ApiError
from relay.apis.mediarithmics_document_imports import Execution
from relay.errors import RelayError


@dataclass(frozen=True, slots=True)
class Landed:
    """Every line was taken, or every line was rejected."""

    execution: Execution
    rejected: int


@dataclass(frozen=True, slots=True)
class Unclear:
    """Some lines were rejected, and the others taken."""

    execution: Execution
    rejected: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing is known of any line: each may have been taken, unless the file was `refused`."""

    reason: str
    execution: Execution | None = None
    refused: ApiError | None = None
    """The platform did not take the file at all, and would not the next time."""


@dataclass(frozen=True, slots=True)
class Held:
    """The platform cannot be asked, or does not end: the same file is gone on with later."""

    error: RelayError


Outcome = Landed | Unclear | Failed | Held


def outcome_of(execution: Execution, lines: int, *, verify_counts: bool) -> Outcome:
    """What became of a file of so many lines."""
    taken, rejected = execution.succeeded, execution.failed
    if taken is None or rejected is None:
        if not verify_counts:
            return Landed(execution, 0)
        return Failed("the platform does not say how many lines it took", execution)
    if taken + rejected != lines:
        return Failed(
            f"{lines} lines were sent, the platform counts {taken} taken and {rejected} rejected",
            execution,
        )
    if rejected in (0, lines):
        return Landed(execution, rejected)
    return Unclear(execution, rejected)
