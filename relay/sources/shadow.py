"""A second mapping beside the one that counts: run on the same documents, compared, and counted.

What it makes is sent nowhere, and what goes wrong in it is a difference and nothing else.
"""

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from relay.model import Record
from relay.sources.events import MappingFunction
from relay.sources.mapping.rules import MODELS, Mapped, Part
from relay.sources.tools.comparing import fate_of
from relay.sources.tools.testing import differences

FATE = "fate"
RAISED = "raised"
OTHER = "other"
_FIELDS = frozenset(name for model in MODELS.values() for name in model.model_fields)


class Shadow:
    """The second mapping of one source, and how often it made something else."""

    def __init__(
        self, source: str, mapping: MappingFunction, *, one_in: int = 1, copies: bool = False
    ) -> None:
        self.source = source
        """The topics, as the settings name them."""
        self._mapping = mapping
        self._one_in = one_in
        self._copies = copies
        """Whether it gets a document of its own: a function of somebody's may change what it is
        given, and the events that are sent hold parts of the document."""
        self._passed = 0
        self.documents = 0
        """Documents that both have mapped."""
        self.differing = 0
        """Of these, those of which they made different things."""
        self.differences: Counter[str] = Counter()
        """Which field of the events differs, in how many documents; or `fate`, or `raised`."""

    def look(self, parts: Sequence[Part], document: Any, record: Record) -> None:
        """Map a document, of which `parts` are sent, and count what differs."""
        self._passed += 1
        if self._passed < self._one_in:
            return
        self._passed = 0
        self.documents += 1
        try:
            given = deepcopy(document) if self._copies else document
            found = changed(parts, self._mapping(given, record))
        except Exception:  # noqa: BLE001 -- whatever it is, delivery goes on, and it is counted
            found = {RAISED}
        self.differing += bool(found)
        self.differences.update(found)


def beside(mapping: MappingFunction, shadow: Shadow) -> MappingFunction:
    """The mapping as it is, with the shadow looking on."""

    def mapped(document: Any, record: Record) -> Sequence[Part]:
        parts = mapping(document, record)
        shadow.look(parts, document, record)
        return parts

    return mapped


def changed(parts: Sequence[Part], others: Sequence[Part]) -> set[str]:
    """The fields that differ, by their name at the top of an event: a closed set of words."""
    # Of parts at the same place: another number of them, or another end of one, is a difference of
    # `fate`; where both are events, each field at the top that differs is one by its name.
    if len(parts) != len(others):
        return {FATE}
    found: set[str] = set()
    for one, other in zip(parts, others, strict=True):
        if fate_of(one) != fate_of(other):
            found.add(FATE)
        elif isinstance(one, Mapped) and isinstance(other, Mapped):
            for name in one.document.keys() | other.document.keys():
                if differences(one.document.get(name), other.document.get(name), ""):
                    found.add(name if name in _FIELDS else OTHER)
    return found
