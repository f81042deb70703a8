"""What an engine goes by: the policies of its parts, and where requests go."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import Field

from relay.road.custody import CustodyPolicy
from relay.section import Section
from relay.stream.sending.coalescing import CoalescingPolicy
from relay.stream.sending.destination import DestinationPolicy
from relay.stream.sending.verdicts import DEFAULT_RULES, Rule

TRACKING = "tracking"
"""The section of the settings that texts about a destination name."""


class OnDeadLetter(StrEnum):
    """What becomes of the later records of a user whose record was dead-lettered."""

    CONTINUE = "continue"
    PARK_USER = "park_user"


class UserPolicy(Section):
    """What becomes of a user's records after one was dead-lettered, and of what came twice."""

    on_dead_letter: OnDeadLetter = Field(
        OnDeadLetter.CONTINUE,
        description="What becomes of a user's later records when one was dead-lettered: "
        "`continue` to deliver them, or `park_user` to let them follow it.",
    )
    park_s: float = Field(3600.0, gt=0, le=604_800, description="For how long a user stays parked.")
    duplicates_window: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="How many event ids to remember, to skip what a producer sent twice; 0: none.",
    )


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """The policies of the parts, and where requests go."""

    destination: DestinationPolicy = field(default_factory=DestinationPolicy)
    custody: CustodyPolicy = field(default_factory=CustodyPolicy)
    coalescing: CoalescingPolicy = field(default_factory=lambda: CoalescingPolicy(events_max=1))
    users: UserPolicy = field(default_factory=UserPolicy)
    rules: tuple[Rule, ...] = DEFAULT_RULES
    activities_path: str = "/v1/datamarts/0/user_activities"
    redact: Callable[[str], str] = str
    section: str = TRACKING
    """Where the settings of the destination stand, for reasons that name one."""
