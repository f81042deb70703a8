"""A rule of a mapping: when it applies, and which event it makes, or why the document is skipped.

Judged here is what can be known without a document: keys that no event has, fields that are
missing, constants of a wrong type.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from relay.model import Undecodable, Unwanted
from relay.sources.mapping.evaluation import Closure, Names
from relay.sources.mapping.faults import MappingCode, Unfit, wants
from relay.sources.mapping.nodes import (
    Conditional,
    Constant,
    Each,
    Evaluated,
    ListOf,
    MapOf,
    Node,
    Problems,
    Together,
    read_expression,
    read_value,
)
from relay.sources.mapping.structure import (
    Sources,
    build,
    condition,
    map_of,
    reads,
    sources_of,
)
from relay.sources.mapping.syntax import Path, Step, steps_text, written
from relay.stream.decoding.app_event import Choice, Profile, Segment, Track
from relay.stream.decoding.reasons import fault_text
from relay.yaml_text import Loc

MODELS: Mapping[str, type[BaseModel]] = {
    "track": Track,
    "profile": Profile,
    "choice": Choice,
    "segment": Segment,
}
# What the key that names the kind fills in the event.
FILLED_BY_KIND = {
    "track": "event",
    "profile": "properties",
    "choice": "processing_id",
    "segment": "action",
}
OUTCOMES = (*MODELS, "native", "skip")
OWN_KEYS = frozenset({"name", "when", "reason"})
# What YAML 1.1 took for true or false.
_YAML_WORDS = frozenset({"yes", "no", "on", "off", "y", "n"})
_CODE = re.compile(r"[a-z][a-z0-9_]{0,59}\Z").match
_NAME_MAX = 80  # characters: it stands in every reason of a dead letter
_READ_SHOWN = 3  # paths that a reason names: more than these nobody reads
# An identifier that is not there leaves its entry out: half an identity says nothing.
_IDENTIFIERS = {
    "accounts": frozenset({"id"}),
    "emails": frozenset({"address", "hash"}),
    "devices": frozenset({"id", "advertising_id", "network_id", "vector_id", "device_point_id"}),
}


@dataclass(frozen=True, slots=True)
class RuleName:
    """A rule as messages know it, and where the parts of its event come from."""

    name: str
    sources: Sources = field(default_factory=dict)

    def read_for(self, target: tuple[Step, ...]) -> tuple[Path, ...]:
        """The paths of the value at `target`, else of what it stands in, else of its parts."""
        anywhere = tuple(None if isinstance(step, int) else step for step in target)
        # The nearest that is known: the value itself; what it stands in; and at last all its parts.
        for length in range(len(target), 0, -1):
            for place in (target[:length], anywhere[:length]):
                if place in self.sources:
                    return self.sources[place]
        parts = [read for to, read in self.sources.items() if to[: len(target)] == target]
        return tuple(path for read in parts for path in read)


class Mapped(NamedTuple):
    """A document of the input format (schemas/app-event.v1.json), not yet judged.

    Its `repr` does not show what it holds.
    """

    document: dict[str, Any]
    rule: RuleName

    def __repr__(self) -> str:
        return f"Mapped(rule={self.rule.name})"


Part = Mapped | Undecodable | Unwanted
"""What becomes of one event of a document."""

Outcome = Callable[[Any, Any], Part]


@dataclass(slots=True)
class Rule:
    """A rule as read and as compiled. `nodes` are its fields, for those who explain and lint."""

    loc: Loc
    name: RuleName
    outcome_of: str
    when: Evaluated | None
    nodes: dict[str, Node]
    holds: Closure | None
    outcome: Outcome


def read_rule(
    given: Any,
    every: Mapping[str, Any],
    loc: Loc,
    names: Names,
    *,
    levels: int,
    problems: Problems,
) -> Rule | None:
    """The rule, compiled; None when it cannot be used, with the reasons in `problems`."""
    if not isinstance(given, dict):
        problems.error(loc, "must be a map with when and one of " + ", ".join(OUTCOMES))
        return None
    chosen = [key for key in OUTCOMES if key in given]
    if len(chosen) != 1:
        more = f", not {' and '.join(chosen)}" if chosen else ""
        problems.error(loc, f"needs exactly one of {', '.join(OUTCOMES)}{more}")
        return None
    kind = chosen[0]
    name = given.get("name", f"{loc[-1] + 1}" if isinstance(loc[-1], int) else kind)
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_MAX or not name.isprintable():
        problems.error((*loc, "name"), f"must be text of at most {_NAME_MAX} characters")
        name = "?"
    when, holds = None, None
    if "when" in given:
        before = len(problems.found)
        found = read_expression(given["when"], (*loc, "when"), problems)
        if isinstance(found, Evaluated):
            when, holds = found, condition(found, names, levels, problems)
        elif found.value is not True and len(problems.found) == before:
            problems.error((*loc, "when"), 'must be a condition, such as .type == "order"')
    if kind == "skip":
        return Rule(loc, RuleName(name), kind, when, {}, holds, _skipping(given, loc, problems))
    nodes = _nodes(kind, given, every, loc, problems)
    rule_name = RuleName(name, _sources(nodes))
    if kind == "native":
        outcome = _native(nodes, rule_name, names, levels=levels, problems=problems, loc=loc)
    else:
        _judge(kind, nodes, loc, problems)
        outcome = _making(kind, nodes, rule_name, names, levels=levels, problems=problems)
    return Rule(loc, rule_name, kind, when, nodes, holds, outcome)


def _skipping(given: dict[str, Any], loc: Loc, problems: Problems) -> Outcome:
    code, reason = given["skip"], given.get("reason", "a rule skips it")
    for key in given.keys() - {"skip"} - OWN_KEYS:
        problems.error((*loc, key), "has no meaning beside skip")
    if not isinstance(code, str) or not _CODE(code):
        problems.error(
            (*loc, "skip"), "must be a code to count under: a-z, 0-9 and _, beginning with a letter"
        )
        code = "?"
    if not isinstance(reason, str):
        problems.error((*loc, "reason"), "must be text")
    part = Unwanted(code, str(reason))
    return lambda _here, _scope: part


def _nodes(
    kind: str, given: dict[str, Any], every: Mapping[str, Any], loc: Loc, problems: Problems
) -> dict[str, Node]:
    """The fields of the event, in the words of the input format."""
    known = set(Track.model_fields) if kind == "native" else set(MODELS[kind].model_fields)
    known -= {"type", FILLED_BY_KIND.get(kind, "")}
    nodes: dict[str, Node] = {}
    for key, value in given.items():
        if key in OWN_KEYS - {"reason"}:
            continue
        here = (*loc, key)
        if key == kind:
            nodes[FILLED_BY_KIND.get(kind, "native")] = read_value(value, here, problems)
        elif key in known:
            nodes[key] = read_value(value, here, problems)
        else:
            near = get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            problems.error(here, f"is not a field of {kind} events{meant}")
    if kind != "native":
        for key, value in every.items():
            if key in known and key not in nodes:
                nodes[key] = read_value(value, ("all", key), problems)
    return nodes


def _sources(nodes: dict[str, Node]) -> Sources:
    found: Sources = {}
    for key, node in nodes.items():
        found |= sources_of(node, () if key == "native" else (key,))
    return found


def _judge(kind: str, nodes: dict[str, Node], loc: Loc, problems: Problems) -> None:
    model = MODELS[kind]
    for key, described in model.model_fields.items():
        if described.is_required() and key not in nodes and key not in ("type", "user"):
            problems.error(loc, f"has no {key}: every {kind} event needs one")
    if kind == "segment" and not {"segment_ids", "segment_technical_names"} & nodes.keys():
        problems.error(loc, "has neither segment_ids nor segment_technical_names")
    document = {key: _example(node) for key, node in nodes.items()} | {"type": kind}
    try:
        model.model_validate(document)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _judge_detail(detail, nodes, problems)


def _example(node: Node) -> Any:
    """What the node makes, as far as it is known without a document; None elsewhere."""
    match node:
        case Constant(value, _):
            return value
        case MapOf(entries):
            return {key: _example(inner) for key, inner in entries if isinstance(key, str)}
        case ListOf(items, _):
            return [_example(item) for item in items]
        case Each():
            return [_example(node.value)]
        case _:
            return None


def _judge_detail(detail: ErrorDetails, nodes: dict[str, Node], problems: Problems) -> None:
    """An error about a constant, or about a key, is one of the mapping; others are of examples."""
    node: Node = MapOf(tuple(nodes.items()), ())
    # From the fields down to the node that made the part which is wrong. Steps that are not in the
    # mapping are pydantic's: the name of a form of device, the mark of a key.
    for step in detail["loc"]:
        match node:
            case MapOf(entries) if step in (known := dict(entries)):
                node = known[str(step)]
            case ListOf(items, _) if isinstance(step, int):
                node = items[step]
            case Each():
                node = node.value
            case _:  # the name of a form, or the mark of a key
                continue
    # Told is, of what pydantic found in the example:
    #
    #     a key that no model has             always: keys are the mapping's own
    #     a constant that does not fit        always
    #     anything else                       never: it is about what a document would have given
    if any(problem.loc == node.loc for problem in problems.found):
        return  # one line for each mistake
    if detail["type"] == "extra_forbidden" and detail["loc"]:
        problems.error(node.loc, "is not a field of the input format here")
    elif isinstance(node, Constant) and node.value is not None:
        hint = "; a path begins with a dot" if isinstance(node.value, str) else ""
        if isinstance(node.value, str) and node.value.lower() in _YAML_WORDS:
            hint = f"; {node.value} is a text here: write true or false"
        problems.error(node.loc, f"this constant does not fit: {fault_text(detail)}{hint}")


def _making(
    kind: str,
    nodes: dict[str, Node],
    name: RuleName,
    names: Names,
    *,
    levels: int,
    problems: Problems,
) -> Outcome:
    constants: dict[str, Any] = {"type": kind}
    fields: list[tuple[str, Closure, tuple[Path, ...]]] = []
    for key, node in nodes.items():
        if isinstance(node, Constant):
            constants[key] = node.value
        else:
            made = _user(node) if key == "user" else node
            fields.append((key, build(made, names, levels, problems), reads(node)))
    # Without any identifier the event is still one: the relay says what becomes of it.
    constants.setdefault("user", {})

    def make(here: Any, scope: Any) -> Part:
        document = constants.copy()
        key = ""
        read: tuple[Path, ...] = ()
        try:
            for key, closure, read in fields:  # noqa: B007 -- the fault tells it
                value = closure(here, scope)
                if value is not None:
                    document[key] = value
        except Unfit as fault:
            fault.target.append(key)
            fault.read = fault.read or read
            return refused(fault, name)
        return Mapped(document, name)

    return make


def _user(node: Node) -> Node:
    """The user, with entries that are left out when they lack the identifier they are about."""
    if not isinstance(node, MapOf):
        return node
    entries = [
        (key, _identifying(inner, _IDENTIFIERS[key]) if key in _IDENTIFIERS else inner)
        for key, inner in node.entries
        if isinstance(key, str)
    ]
    return MapOf(tuple(entries), node.loc)


def _identifying(node: Node, needs: frozenset[str]) -> Node:
    match node:
        case MapOf():
            return replace(node, needs=needs)
        case ListOf(items, loc):
            return ListOf(tuple(_identifying(item, needs) for item in items), loc)
        case Each():
            return replace(node, value=_identifying(node.value, needs))
        case Together(parts, lists, loc):
            return Together(tuple(_identifying(part, needs) for part in parts), lists, loc)
        case Conditional(when, then, otherwise, loc):
            kept = None if otherwise is None else _identifying(otherwise, needs)
            return Conditional(when, _identifying(then, needs), kept, loc)
        case _:
            return node


def _native(
    nodes: dict[str, Node],
    name: RuleName,
    names: Names,
    *,
    levels: int,
    problems: Problems,
    loc: Loc,
) -> Outcome:
    """A part of the document is an event already; fields beside `native` are put over its own."""
    node = nodes["native"]
    inner = build(node, names, levels, problems)
    others = {key: other for key, other in nodes.items() if key != "native"}
    over = map_of(MapOf(tuple(others.items()), loc), names, levels, problems)

    def make(here: Any, scope: Any) -> Part:
        try:
            event = inner(here, scope)
            if type(event) is dict:
                return Mapped({**event, **(over(here, scope) or {})}, name)
            fault = wants("an object", event)
            if event is None:
                fault = Unfit("is missing", MappingCode.MISSING_FIELD)
        except Unfit as raised:
            fault = raised
        fault.read = fault.read or reads(node)
        fault.target = fault.target or ["native"]
        return refused(fault, name)

    return make


def refused(fault: Unfit, name: RuleName) -> Undecodable:
    """The dead letter of a fault, with both sides named."""
    target = steps_text(tuple(reversed(fault.target))).lstrip(".")
    return Undecodable(fault.code, told(target, fault.text, fault.read, name))


def told(target: str, text: str, read: tuple[Path, ...], rule: RuleName) -> str:
    """What is wrong with a part of an event, what it was made from, and by which rule."""
    paths = list(dict.fromkeys(written(path) for path in read))
    more = " or …" if len(paths) > _READ_SHOWN else ""
    origin = f"from {' or '.join(paths[:_READ_SHOWN])}{more}, " if paths else ""
    return f"{target}: {text} ({origin}rule {rule.name})"
