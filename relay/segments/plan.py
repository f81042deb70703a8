"""What a sync would do, in numbers, and whether it may. Pure."""

from dataclasses import asdict, dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class SafetyPolicy:
    """How much may leave a segment at once."""

    removal_share_max: float = 0.3
    removals_free: int = 100
    """So many may always leave: the share of a small segment says little."""


def check_safety(plan: Plan, policy: SafetyPolicy) -> None:
    """Raise SegmentStopped if too many would leave."""
    if plan.leaving > policy.removals_free and plan.removal_share > policy.removal_share_max:
        raise SegmentStopped(
            f"{plan.leaving} of {plan.members} members would leave "
            f"({plan.removal_share:.1%}, at most {policy.removal_share_max:.1%} may): "
            "nothing was uploaded",
            hint="if that is meant, run it once with --allow-removals",
        )
