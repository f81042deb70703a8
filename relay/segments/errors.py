"""What can stop work on a segment. The tree, with exit statuses, is drawn in relay.errors."""

from relay.errors import ExitStatus, RelayError


class SegmentError(RelayError):
    """A segment cannot be moved as asked."""

    exit_status = ExitStatus.SEGMENT_IMPORT


class SegmentStopped(SegmentError):
    """More users would leave the segment than the settings allow at once. Nothing was uploaded."""

    exit_status = ExitStatus.SEGMENT_STOPPED


class SegmentBusy(SegmentError):
    """Another process works on the same segment."""

    exit_status = ExitStatus.SEGMENT_BUSY


class SegmentStateError(SegmentError):
    """The state directory cannot be used: full, not writable, or of another version."""

    exit_status = ExitStatus.SEGMENT_STATE


class ExportError(SegmentError):
    """There is no export to be had: it failed, expired, or names no file."""

    exit_status = ExitStatus.SEGMENT_EXPORT


class ImportFailed(SegmentError):
    """The platform did not take an import, or did not say what became of it."""

    exit_status = ExitStatus.SEGMENT_IMPORT
