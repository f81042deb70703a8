"""What may be decided about membership events, as frozen values that the settings build."""

from dataclasses import dataclass, field
from enum import StrEnum

from relay.backoff import doubled
from relay.road.custody import CustodyPolicy
from relay.segments.formats import FileFormat
from relay.segments.policy import UploadPolicy
from relay.stream.decoding import DecodingPolicy
from relay.stream.mapping.policy import MappingPolicy


class MembershipCode(StrEnum):
    """Why a segment event is not imported, beside the reasons that it shares with activities."""

    IDENTIFIER_NOT_WRITABLE = "identifier_not_writable"
    LINE_REJECTED = "line_rejected"
    IMPORT_REFUSED = "import_refused"
    IMPORT_FAILED = "import_failed"
    NOT_A_MEMBERSHIP = "not_a_membership"
    """No segment event at all: the stream's."""


@dataclass(frozen=True, slots=True)
class ChangePolicy:
    """How an event becomes changes."""

    decoding: DecodingPolicy = field(default_factory=DecodingPolicy)
    mapping: MappingPolicy = field(default_factory=MappingPolicy)
    expiration_minutes: int = 0
    """How long a member stays whose event does not say; 0 is for ever."""
    form: FileFormat = FileFormat.NDJSON


@dataclass(frozen=True, slots=True)
class MembershipPolicy:
    """Everything that the engine decides by: when a file is made, and how it is tried again."""

    changes: ChangePolicy = field(default_factory=ChangePolicy)
    custody: CustodyPolicy = field(
        default_factory=lambda: CustodyPolicy(memory_records_max=20_000, user_records_max=20_000)
    )
    commands_max: int = 10_000
    bytes_max: int = 16_000_000
    gather_s: float = 15.0
    """How long the first change waits for others."""
    in_flight_max: int = 4
    """Files under way at a time: never two with the same member."""
    attempts_max: int = 3
    """Executions of the same changes that may fail before they are taken apart."""
    give_up_s: float = 900.0
    """How long a line that stands alone must have failed before it is given up."""
    wait_s: float = 5.0
    """First wait after a failure; each further failure in a row doubles it."""
    wait_s_max: float = 60.0

    def backoff_s(self, failures: int) -> float:
        """The longest wait behind so many failures in a row."""
        return doubled(self.wait_s, failures, self.wait_s_max)


@dataclass(frozen=True, slots=True)
class ImporterPolicy:
    """How an execution is seen through."""

    name: str
    """What our document imports are called, before the hour and a mark of the process."""
    form: FileFormat = FileFormat.NDJSON
    # Whether a failed file is sent again is decided by the batches, line by line.
    upload: UploadPolicy = field(
        default_factory=lambda: UploadPolicy(attempts_max=1, poll_s=2.0, poll_s_max=5.0)
    )
    fence_hours: int = 6
    """How far back executions of an earlier life are looked for."""
