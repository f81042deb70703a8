"""Is there a place for the files that membership events are uploaded in?"""

from relay.checks.finding import Finding, failure, ok
from relay.disk import LocalStateError, temporary_directory


def check_disk() -> Finding:
    """Whether a file can be written to the directory for temporary files."""
    subject = "disk"
    try:
        return ok(subject, f"files of membership events lie in {temporary_directory()} for a while")
    except LocalStateError as error:
        return failure(subject, error)
