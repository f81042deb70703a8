"""What a sync would do, in numbers, and whether it may. Pure."""

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field

from relay.section import Section
from relay.segments.errors import SegmentStopped


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between an export and what was last imported."""

    rows: int
    """Rows of the export."""
    without_id: int
    """Rows that name nobody: nothing can be done for them."""
    repeated: int
    """Rows of a user that an earlier row had named."""
    users: int
    """Users of the export."""
    members: int
    """Users that are in the segment by the last import, as far as they have not expired since."""
    entering: int
    renewing: int
    """Stay, and would expire before long."""
    again: int
    """What became of their last command is not known."""
    leaving: int

    @property
    def updates(self) -> int:
        """Commands that put users in."""
        return self.entering + self.renewing + self.again

    @property
    def staying(self) -> int:
        """Users that nothing is sent for."""
        return self.users - self.updates

    @property
    def commands(self) -> int:
        """Lines that would be uploaded."""
        return self.updates + self.leaving

    @property
    def removal_share(self) -> float:
        """Which part of the members would leave."""
        return self.leaving / self.members if self.members else 0.0

    def document(self) -> dict[str, Any]:
        """The plan as JSON shows it."""
        return {
            **asdict(self),
            "staying": self.staying,
            "commands": self.commands,
            "removal_share": round(self.removal_share, 6),
        }


class SafetyPolicy(Section):
    """How much a segment may change without somebody who means it."""

    removal_share_max: float = Field(
        0.3, ge=0, le=1, description="Largest share of the members that may leave at once."
    )
    removals_free: int = Field(
        100, ge=0, description="So many may leave whatever share of the members they are."
    )
    shrink_share_max: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Largest share of the members that may leave within `look_back_days`, over "
        "all runs together.",
    )
    look_back_days: float = Field(
        28.0, gt=0, le=365, description="How far back the size of the segment is looked at."
    )
    growth_factor_max: float = Field(
        3.0, ge=1, description="How many times as many users as members there may be."
    )


def check_safety(plan: Plan, policy: SafetyPolicy, peak: int = 0, last: int = 0) -> None:
    """Raise SegmentStopped if the segment would change by too much.

    `peak` is the largest size that it had lately: a share of each run alone would let a segment
    vanish in a few runs, each of them within bounds. `last` is its size after the last run that
    was done; the members of one that broke off are no measure of growth.
    """
    free, share = policy.removals_free, plan.removal_share
    shrinks = plan.leaving and peak - plan.users > free
    grows = last and plan.users - last > free
    option = "--allow-removals"
    if plan.leaving > free and share > policy.removal_share_max:
        problem = (
            f"{plan.leaving} of {plan.members} members would leave "
            f"({share:.1%}, at most {policy.removal_share_max:.1%} may)"
        )
    elif shrinks and plan.users < peak * (1 - policy.shrink_share_max):
        problem = (
            f"{plan.users} users would be left of {peak} that there were within the last "
            f"{policy.look_back_days:g} days (at most {policy.shrink_share_max:.1%} may leave in "
            "that time)"
        )
    elif grows and plan.users > last * policy.growth_factor_max:
        option = "--allow-growth"
        problem = (
            f"there would be {plan.users} users, after {last} the last time (at most "
            f"{policy.growth_factor_max:g} times as many may)"
        )
    else:
        return
    hint = f"if that is meant, run it once with {option}"
    raise SegmentStopped(f"{problem}: nothing was uploaded", hint=hint)
