"""Two mappings on the same records → how many end otherwise, and which fields changed."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.model import Record, Undecodable, Unwanted
from relay.sources.events import MappingFunction, app_event
from relay.sources.mapping.faults import kind_of
from relay.sources.mapping.rules import Mapped, Part
from relay.sources.tools.testing import ABSENT, differences

EXAMPLES = 3
_POSITION = re.compile(r"\[\d+\]")


@dataclass(slots=True)
class Comparison:
    """What is different between two mappings, as far as records have shown."""

    records: int = 0
    fates: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether any record ends otherwise."""
        return bool(self.changed) or any(old != new for old, new in self.fates)

    def add(
        self, old: MappingFunction, new: MappingFunction, document: Any, record: Record
    ) -> None:
        """Map a document by both."""
        self.records += 1
        before, after = old(document, record), new(document, record)
        for at in range(max(len(before), len(after))):
            one, other = _fate(before, at), _fate(after, at)
            self.fates[one, other] += 1
            if one == other and isinstance(before[at], Mapped):
                self._fields(before[at], after[at])

    def _fields(self, before: Part, after: Part) -> None:
        if not isinstance(before, Mapped) or not isinstance(after, Mapped):
            return
        for place, one, other in differences(before.document, after.document, ""):
            path = _POSITION.sub("[]", place)
            self.changed[path] += 1
            examples = self.examples.setdefault(path, [])
            if len(examples) < EXAMPLES:
                examples.append((one, other))


def _fate(parts: Sequence[Part], at: int) -> str:
    if at >= len(parts):
        return "no such event"
    part, fate = parts[at], fate_of(parts[at])
    return f"{fate} by {part.rule.name}" if isinstance(part, Mapped) and fate == MAPPED else fate


MAPPED = "mapped"


def fate_of(part: Part) -> str:
    """How an event ends, as far as its mapping decides."""
    found = app_event(part) if isinstance(part, Mapped) else part
    if isinstance(found, Undecodable):
        return f"dead-lettered {found.code}"
    return f"skipped {found.code}" if isinstance(found, Unwanted) else MAPPED


def masked(value: Any) -> str:
    """What a value is, without telling it: kind, and how long."""
    if value is ABSENT:
        return "absent"
    if value is None:
        return "null"
    if isinstance(value, str | list | dict):
        return f"{kind_of(value)} ({len(value)})"
    return kind_of(value)
