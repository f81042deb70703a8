"""A mapping and a document → the value of each expression that made, or failed to make, the event.

The values are those of the document: show them only to whom the document belongs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relay.model import Record
from relay.sources.mapping.compiling import CompiledMapping
from relay.sources.mapping.evaluation import NotCompiled, Scope, compiled
from relay.sources.mapping.faults import Unfit
from relay.sources.mapping.nodes import (
    Conditional,
    Each,
    EachKey,
    Evaluated,
    ListOf,
    MapOf,
    Node,
    Together,
)

# Of a long list the first entries tell enough.
ENTRIES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression gave for a part of the event; `fault` says why it gave nothing."""

    target: str
    expression: str
    value: Any
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Traced:
    """The rule that decided about an event, and the values of its expressions."""

    rule: str | None
    values: tuple[Value, ...]


def trace(mapping: CompiledMapping, document: Any, record: Record) -> list[Traced]:
    """For each event of a document: the rule, and what its expressions gave."""
    found: list[Traced] = []
    for here, scope in mapping.elements(document, record):
        rule = mapping.rule_for(here, scope)
        if rule is None:
            found.append(Traced(None, ()))
            continue
        tracer = _Tracer(mapping, 0 if mapping.events is None else 1)
        values = [
            value
            for key, node in rule.nodes.items()
            for value in tracer.values(node, key, here, scope, tracer.levels)
        ]
        found.append(Traced(rule.name.name, tuple(values)))
    return found


class _Tracer:
    """Evaluates nodes one by one."""

    def __init__(self, mapping: CompiledMapping, levels: int) -> None:
        self.names = mapping.names
        self.levels = levels

    def evaluate(self, node: Evaluated, here: Any, scope: Scope, levels: int) -> Any:
        """The value, or the Unfit that was raised."""
        try:
            return compiled(node.tree, self.names, levels)(here, scope)
        except Unfit as fault:
            return fault
        except NotCompiled as error:  # told as a problem of the mapping already
            return Unfit(str(error))

    def values(  # noqa: C901 -- a case for each kind of node
        self, node: Node, target: str, here: Any, scope: Scope, levels: int
    ) -> Iterator[Value]:
        match node:
            case Evaluated():
                value = self.evaluate(node, here, scope, levels)
                fault = value.text if isinstance(value, Unfit) else None
                yield Value(target, node.text, None if fault else value, fault)
            case ListOf(items, _):
                for at, item in enumerate(items):
                    yield from self.values(item, f"{target}[{at}]", here, scope, levels)
            case MapOf(entries):
                for key, inner in entries:
                    name = key
                    if isinstance(name, Evaluated):
                        found = self.evaluate(name, here, scope, levels)
                        name = found if isinstance(found, str) else name.text
                    yield from self.values(inner, f"{target}.{name}", here, scope, levels)
            case Each() | EachKey():
                yield from self.entries(node, target, here, scope, levels)
            case Together(parts, _, _):
                for part in parts:
                    yield from self.values(part, target, here, scope, levels)
            case Conditional(when, then, otherwise, _):
                yield from self.values(when, f"{target} (when)", here, scope, levels)
                chosen = then if self.evaluate(when, here, scope, levels) is True else otherwise
                if chosen is not None:
                    yield from self.values(chosen, target, here, scope, levels)
            case _:
                return

    def entries(
        self, node: Each | EachKey, target: str, here: Any, scope: Scope, levels: int
    ) -> Iterator[Value]:
        """The list that is gone through, and the first of its entries."""
        yield from self.values(node.source, target, here, scope, levels)
        found = self.evaluate(node.source, here, scope, levels)
        if not isinstance(found, list):
            return
        known: dict[int, Any] = {}
        for at, entry in enumerate(found[:ENTRIES_SHOWN]):
            inner = Scope(here, scope, at, known)
            place = f"{target}[{at}]"
            if isinstance(node, EachKey):
                yield from self.values(node.key, f"{place} (key)", entry, inner, levels + 1)
            yield from self.values(node.value, place, entry, inner, levels + 1)
