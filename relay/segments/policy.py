"""Everything that is decided about a sync, as frozen values that the settings build."""

from dataclasses import dataclass, field

from pydantic import Field

from relay.section import Section
from relay.segments.formats import FileFormat
from relay.segments.lines import Target
from relay.segments.members import ExpiryPolicy
from relay.segments.parts import PART_BYTES_MAX
from relay.segments.plan import SafetyPolicy
from relay.segments.user_ids import IdPolicy


class PollPolicy(Section):
    """How something is waited for that the vendor does."""

    poll_s: float = Field(5.0, gt=0, le=3600, description="First wait; further ones grow.")
    poll_s_max: float = Field(30.0, gt=0, le=3600, description="Longest wait between two looks.")
    patience_hours: float = Field(
        6.0,
        gt=0,
        le=168,
        description="How long to wait in one go. The run stays open: the next one goes on.",
    )

    @property
    def patience_s(self) -> float:
        """`patience_hours` in seconds."""
        return self.patience_hours * 3600

    def wait_after_s(self, wait_s: float) -> float:
        """The wait that follows one of `wait_s`, which is 0 before the first."""
        return min(self.poll_s_max, wait_s * 1.5) if wait_s else self.poll_s


class ExportPolicy(PollPolicy):
    """How an export is waited for: seconds as a rule, hours for a large one."""

    poll_s: float = Field(2.0, gt=0, le=3600, description="First wait; further ones grow.")
    poll_s_max: float = Field(60.0, gt=0, le=3600, description="Longest wait between two looks.")


class UploadPolicy(PollPolicy):
    """How uploads are seen through."""

    in_flight_max: int = Field(4, ge=1, le=100, description="Most executions under way at a time.")
    attempts_max: int = Field(
        3, ge=1, le=100, description="Executions of one file that may fail before it is given up."
    )
    adoption_s: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="How long an upload whose answer was lost is looked for among the platform's "
        "executions before it is made again.",
    )
    isolations_max: int = Field(
        250_000,
        ge=0,
        le=10_000_000,
        description="Executions that one run spends on finding out which lines were rejected, "
        "where the error file does not tell; what is left is found by the next runs. A rejected "
        "line takes about 13, at most 2 · log2 of the lines of its file.",
    )
    isolation_share_max: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Largest share of the lines of a file that is searched for so, where more than "
        "100 were rejected. With more, something is most likely wrong with all of them: the file "
        "counts as unsure, and the run ends with status 24.",
    )
    verify_counts: bool = Field(
        True,
        description="Whether an import counts as unsure, and is sent again, when the platform "
        "does not say how many lines it took.",
    )


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
