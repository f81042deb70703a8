"""Everything that is decided about a sync, as frozen values that the settings build."""

from dataclasses import dataclass, field

from relay.segments.formats import FileFormat
from relay.segments.lines import Target
from relay.segments.members import ExpiryPolicy
from relay.segments.parts import PART_BYTES_MAX
from relay.segments.plan import SafetyPolicy
from relay.segments.user_ids import IdPolicy


@dataclass(frozen=True, slots=True)
class ExportPolicy:
    """How an export is waited for: seconds as a rule, hours for a large one."""

    poll_s: float = 2.0
    poll_s_max: float = 60.0
    patience_s: float = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """How uploads are seen through."""

    attempts_max: int = 3
    """Executions of one file that may fail before it is given up; 0 begins none.

    As many uploads that do not get through hold it up.
    """
    adoption_s: float = 60.0
    """How long an upload without an answer is looked for before it is made again."""
    poll_s: float = 5.0
    poll_s_max: float = 30.0
    patience_s: float = 6 * 3600.0
    """How long an execution may run before this process stops waiting for it."""
    in_flight_max: int = 4
    verify_counts: bool = True
    """Whether an import whose counts the platform does not say counts as unsure."""
    isolations_max: int = 5000
    """Executions that one run may spend on finding out which lines were rejected."""


@dataclass(frozen=True, slots=True)
class SyncPolicy:
    """Everything that is decided about one sync."""

    name: str
    source_segment_id: str
    target: Target
    ids: IdPolicy
    expiry: ExpiryPolicy = field(default_factory=ExpiryPolicy)
    safety: SafetyPolicy = field(default_factory=SafetyPolicy)
    upload: UploadPolicy = field(default_factory=UploadPolicy)
    form: FileFormat = FileFormat.NDJSON
    part_bytes_max: int = PART_BYTES_MAX
    stale_after_s: float = 24 * 3600.0
    """An export older than this is not begun to be imported: a new one is asked for."""

    def about(self, datamart_id: str) -> dict[str, str]:
        """What the list of members is true for; changing any of it needs a new ledger."""
        return {
            "datamart": datamart_id,
            "segment": f"{self.target.by} {self.target.segment}",
            "identifier": f"{self.target.identifier} {self.target.compartment_id or ''}".strip(),
        }
