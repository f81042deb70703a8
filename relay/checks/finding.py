"""What a check found: a level, what it is about, what is so, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from relay.errors import ExitStatus, RelayError


class Level(StrEnum):
    """`warn` works, but not as it should; `fail` keeps a run from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `status` is what `relay check` exits with when this fails."""

    level: Level
    subject: str
    text: str
    hint: str | None = None
    status: ExitStatus = ExitStatus.OK


def ok(subject: str, text: str) -> Finding:
    """As it should be."""
    return Finding(Level.OK, subject, text)


def warning(subject: str, text: str, hint: str | None = None) -> Finding:
    """Works, but not as it should."""
    return Finding(Level.WARN, subject, text, hint)


def failure(subject: str, error: RelayError) -> Finding:
    """Keeps a run from working."""
    return Finding(Level.FAIL, subject, error.problem, error.hint, error.exit_status)
