"""User choices: one current choice for each processing, and the history that led to it.

Inferred: the choice that arrives last is the current one, whatever its `$choice_ts`, and it
replaces the earlier one with all custom fields. Documented: the fields, and that a history exists.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice as it was made. `revision` grows with every change in the datamart."""

    processing_id: str
    choice_ts: int
    accepted: bool
    created_ms: int
    revision: int
    custom: Mapping[str, Any]

    def document(self, user_point_id: str) -> dict[str, Any]:
        """The choice as the API shows it."""
        return {
            "$user_point_id": user_point_id,
            "$processing_id": self.processing_id,
            "$choice_ts": self.choice_ts,
            "$choice_acceptance_value": self.accepted,
            "$creation_ts": self.created_ms,
            **self.custom,
        }


@dataclass(slots=True)
class Choices:
    """All choices of one user, oldest first."""

    log: list[Choice] = field(default_factory=list)

    def current(self) -> list[Choice]:
        """The last choice for each processing."""
        return list({choice.processing_id: choice for choice in self.log}.values())

    def history(self, processing_id: str) -> list[Choice]:
        """All choices for one processing, oldest first."""
        return [choice for choice in self.log if choice.processing_id == processing_id]

    def absorb(self, other: "Choices") -> None:
        """The two users turn out to be one."""
        self.log = sorted(self.log + other.log, key=lambda choice: choice.revision)


OWN_FIELDS = frozenset({"$processing_id", "$choice_ts", "$choice_acceptance_value"})
SYSTEM_FIELDS = frozenset({"$user_point_id", "$creation_ts"})


def custom_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a choice keeps beside its own fields."""
    reserved = OWN_FIELDS | SYSTEM_FIELDS
    return {name: value for name, value in document.items() if name not in reserved}
