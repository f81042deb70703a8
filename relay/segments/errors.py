"""What can stop work on a segment. Exit statuses are drawn in relay.errors."""

from relay.errors import ExitStatus, RelayError


class SegmentStopped(RelayError):
    """More users would leave the segment than the settings allow at once. Nothing was uploaded."""

    exit_status = ExitStatus.SEGMENT_STOPPED


class SegmentBusy(RelayError):
    """Another process works on the same segment."""

    exit_status = ExitStatus.SEGMENT_BUSY


class ImportFailed(RelayError):
    """The platform did not take an import, or did not say what became of it."""

    exit_status = ExitStatus.SEGMENT_IMPORT


class ImportOverdue(ImportFailed):
    """An import was still running when our patience ended; the run stays open."""
