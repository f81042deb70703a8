"""What the operating system says about a disk → an error with an exit status."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.errors import ExitStatus, RelayError


class LocalStateError(RelayError):
    """A directory or file of our own cannot be used: full, not writable, or not ours to read."""

    exit_status = ExitStatus.LOCAL_STATE


def temporary_directory() -> Path:
    """Where files may lie for a while: the first of $TMPDIR and the usual places that works.

    Raises:
        LocalStateError: None does, as in a container whose root is read-only.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        raise LocalStateError(
            "segments.membership: no directory for temporary files can be written to",
            hint="mount a volume or a tmpfs at /tmp, or name a directory with TMPDIR",
        ) from None


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Translate a full disk, a missing right or a broken mount at `path`.

    Raises:
        LocalStateError: Whatever the system said, as one line.
    """
    try:
        yield
    except OSError as error:
        raise LocalStateError(
            f"{path}: cannot be written: {error.strerror or type(error).__name__}",
            hint="free space or fix the directory, then run again: it resumes",
        ) from None
