"""A mapping that compiles → what it probably does not mean: rules that cannot apply, and the like.

With samples of records it also knows paths that no record has.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from relay.sources.mapping.compiling import CompiledMapping
from relay.sources.mapping.evaluation import NotCompiled, options_of
from relay.sources.mapping.nodes import (
    Constant,
    Each,
    EachKey,
    Evaluated,
    Node,
    Problem,
    Severity,
    evaluated_in,
    inside,
)
from relay.sources.mapping.rules import Rule
from relay.sources.mapping.syntax import (
    Among,
    And,
    Compare,
    Expression,
    Has,
    Literal,
    Name,
    Not,
    Path,
    Setting,
    paths_of,
    walk,
    written,
)
from relay.sources.tools.lint_platform import judge_for_the_platform
from relay.stream.mapping.rules import COMPUTED_NAMES, KIND_OF_NAME

_LIKE_A_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\Z").match
_LOOKED_UP = ("id", "ts", "user", "app_id", "site_id")


def lint(mapping: CompiledMapping, given: Mapping[str, Any]) -> list[Problem]:
    """Warnings about a mapping, in the order of its parts. `given` is its YAML."""
    found = [
        *_unreachable(mapping),
        *(problem for rule in mapping.rules for problem in _judge_rule(rule)),
        *_unused(mapping, given),
    ]
    if "otherwise" not in given and all(rule.holds is not None for rule in mapping.rules):
        found.append(
            _warning((), "has no otherwise: say dead_letter or skip for what no rule is for")
        )
    if not mapping.tests:
        found.append(_warning((), "has no tests: relay map test has nothing to run"))
    return found


def _warning(loc: tuple[str | int, ...], text: str) -> Problem:
    return Problem(loc, text, Severity.WARNING)


def _judge_rule(rule: Rule) -> Iterator[Problem]:
    name = rule.nodes.get("event")
    if isinstance(name, Constant) and name.value in COMPUTED_NAMES:
        yield _warning(
            name.loc, f"{name.value} is computed or deleted by the platform: skip it, or rename it"
        )
    if isinstance(name, Constant) and name.value in KIND_OF_NAME:
        yield _warning(name.loc, f"is made from rules of kind {KIND_OF_NAME[name.value]}")
    for key in _LOOKED_UP:
        node = rule.nodes.get(key)
        if isinstance(node, Constant) and isinstance(node.value, str) and _LIKE_A_PATH(node.value):
            yield _warning(node.loc, f"is a constant that looks like a path: .{node.value}?")
    for key in ("id", "ts"):
        node = rule.nodes.get(key)
        if isinstance(node, Constant):
            yield _warning(
                node.loc, f"{key} is the same for every event: the platform may drop them"
            )
    yield from judge_for_the_platform(rule)
    if rule.outcome_of not in {"skip", "native"} and "user" not in rule.nodes:
        yield _warning(rule.loc, "has no user: its events have nobody to belong to")


# --- which rules can never apply ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Atom:
    """A condition on one value: it is one of `options` (None: it is there), or it is not."""

    path: Expression
    options: frozenset[Any] | None
    holds: bool


def _unreachable(mapping: CompiledMapping) -> Iterator[Problem]:
    before: list[tuple[Rule, list[_Atom] | None]] = []
    for rule in mapping.rules:
        atoms = [] if rule.when is None else _atoms(rule.when.tree, mapping)
        if atoms is not None and _contradiction(atoms):
            yield _warning((*rule.loc, "when"), "can never hold: its parts exclude each other")
        # A rule is never reached when an earlier one
        #
        #     has no condition,
        #     has the same condition, as it is written, or
        #     asks for less: all that it asks for follows from what this one asks for.
        #
        # The last is only known of conditions that are joined by `and` (`_atoms`).
        for earlier, known in before:
            same = rule.when is not None and earlier.when is not None
            # As text: in Python 1 equals True.
            same = same and repr(rule.when.tree) == repr(earlier.when.tree)  # type: ignore[union-attr]
            covered = known is not None and atoms is not None
            if earlier.when is None or same or (covered and _covers(known or [], atoms or [])):
                yield _warning(
                    rule.loc, f"is never reached: rule {earlier.name.name} applies before it"
                )
                break
        before.append((rule, atoms))


def _atoms(tree: Expression, mapping: CompiledMapping) -> list[_Atom] | None:
    """The conditions that must all hold; None when the expression is of another shape."""
    parts = tree.parts if isinstance(tree, And) else (tree,)
    atoms = [_atom(part, mapping) for part in parts]
    return None if any(atom is None for atom in atoms) else [atom for atom in atoms if atom]


def _atom(tree: Expression, mapping: CompiledMapping) -> _Atom | None:
    match tree:
        case Compare(left, Literal(value), negated):
            return _Atom(left, frozenset([_typed(value)]), not negated)
        case Among(inner, options, negated):
            try:
                values = options_of(options, mapping.names)
            except NotCompiled:
                return None
            return _Atom(inner, frozenset(map(_typed, values)), not negated)
        case Has(inner):
            return _Atom(inner, None, holds=True)
        case Not(Has(inner)):
            return _Atom(inner, None, holds=False)
        case _:
            return None


def _typed(value: Any) -> Any:
    return (bool, value) if isinstance(value, bool) else value


def _implies(one: _Atom, other: _Atom) -> bool:
    """Whether `other` holds wherever `one` does."""
    # Of two conditions on the same value: `in` stands for "is one of these", `not in` for "is none
    # of these, or absent", `has` for "is there".
    #
    #     | one      | other    | the other follows when                       |
    #     |----------|----------|----------------------------------------------|
    #     | has      | has      | both say the same                            |
    #     | in       | has      | always; of `not has` never                   |
    #     | not has  | not in   | always                                       |
    #     | in       | in       | all options of one are among the other's     |
    #     | not in   | not in   | all options of the other are among one's     |
    #     | in       | not in   | they have no option in common                |
    if one.path != other.path:
        return False
    if other.options is None:
        return one.holds is other.holds if one.options is None else one.holds and other.holds
    if one.options is None:  # something that is absent is none of any options
        return not one.holds and not other.holds
    if one.holds and other.holds:
        return one.options <= other.options
    if not one.holds and not other.holds:
        return one.options >= other.options
    return one.holds and one.options.isdisjoint(other.options)


def _covers(earlier: list[_Atom], later: list[_Atom]) -> bool:
    return all(any(_implies(one, atom) for one in later) for atom in earlier)


def _contradiction(atoms: list[_Atom]) -> bool:
    return any(
        _implies(one, _Atom(other.path, other.options, not other.holds))
        for at, one in enumerate(atoms)
        for other in atoms[at + 1 :]
    )


# --- what nobody uses -----------------------------------------------------------------------


def _unused(mapping: CompiledMapping, given: Mapping[str, Any]) -> Iterator[Problem]:
    used = set(mapping.names.used)
    for rule in mapping.rules:
        for expression in _expressions(rule):
            used |= {node.name for node in walk(expression.tree) if isinstance(node, Setting)}
            for node in walk(expression.tree):
                if isinstance(node, Among):
                    used |= {o.name for o in node.options if isinstance(o, Name | Setting)}
    for section in ("tables", "settings"):
        names = given.get(section)
        for name in names if isinstance(names, dict) else ():
            if name not in used:
                yield _warning((section, name), "is used nowhere")


def _expressions(rule: Rule) -> Iterator[Evaluated]:
    if rule.when is not None:
        yield rule.when
    for node in rule.nodes.values():
        yield from evaluated_in(node)


# --- with samples ---------------------------------------------------------------------------


def lint_paths(mapping: CompiledMapping, documents: Iterable[Any]) -> list[Problem]:
    """Paths, of rules that look at whole documents, whose first key no sample has."""
    if mapping.events is not None:
        return []
    known: set[str] = set()
    for document in documents:
        if isinstance(document, dict):
            known |= document.keys()
    found: dict[tuple[str | int, ...], Problem] = {}
    for rule in mapping.rules:
        for node in rule.nodes.values():
            for expression in _at_event(node):
                for path in paths_of(expression.tree):
                    problem = _judge_path(path, expression.loc, known)
                    if problem is not None:
                        found.setdefault(expression.loc, problem)
    return list(found.values())


def _at_event(node: Node) -> Iterator[Evaluated]:
    """The expressions that look at the event itself, not at an entry of a list in it."""
    if isinstance(node, Evaluated):
        yield node
    within = (node.source,) if isinstance(node, Each | EachKey) else inside(node)
    for inner in within:
        yield from _at_event(inner)


def _judge_path(path: Path, loc: tuple[str | int, ...], known: set[str]) -> Problem | None:
    if path.out or not path.steps or not isinstance(path.steps[0], str) or path.steps[0] in known:
        return None
    near = get_close_matches(path.steps[0], known, n=1)
    meant = f"; did you mean .{near[0]}?" if near else ""
    return _warning(loc, f"no sample has {written(path)}{meant}")
