"""What the operating system says about a disk → an error with an exit status."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.errors import ExitStatus, RelayError


class LocalStateError(RelayError):
    """A directory or file of our own cannot be used: full, not writable, or not ours to read."""

    exit_status = ExitStatus.LOCAL_STATE


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Translate a full disk, a missing right or a broken mount at `path`."""
    try:
        yield
    except OSError as error:
        raise LocalStateError(
            f"{path}: cannot be written: {error.strerror or type(error).__name__}",
            hint="free space or mend the directory, then run again: it resumes",
        ) from None
