"""The values of a mapping as read from YAML: constants, expressions, and structures of them.

text that begins with . ^ @ " or (      an expression
text with {.path} in it                 a template
anything else                           a constant
a map, a list                           a map, a list of values
{each, as}  {each, key, value}          a list, an object made of the entries of a list
{merge: [...]}  {concat: [...]}         objects, lists put together
{when, then, else}                      one of two values
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from relay.sources.mapping.parse import NotParsed, is_expression, is_template, parse, parse_template
from relay.sources.mapping.syntax import Expression, Literal, Meta
from relay.yaml_text import Loc

DEPTH_MAX = 30  # maps and lists within one another: building calls itself for each


class Severity(StrEnum):
    """Whether a mapping with this problem can be used."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a mapping, and where in it; never with a value of a document."""

    loc: Loc
    text: str
    severity: Severity = Severity.ERROR


@dataclass(slots=True)
class Problems:
    """What was found so far."""

    found: list[Problem] = field(default_factory=list)

    def error(self, loc: Loc, text: str) -> None:
        """The mapping cannot be used."""
        self.found.append(Problem(loc, text))

    def warning(self, loc: Loc, text: str) -> None:
        """The mapping may not do what was meant."""
        self.found.append(Problem(loc, text, Severity.WARNING))


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is the same for every document; None is a null that is sent (`@null`)."""

    value: Any
    loc: Loc


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A value that an expression gives."""

    tree: Expression
    text: str
    loc: Loc


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values; absent ones are left out."""

    items: tuple["Node", ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object; absent values are left out. A key is text, or an expression that gives one.

    Without one of the keys that it `needs`, if any, all of it is absent.
    """

    entries: tuple[tuple["str | Evaluated", "Node"], ...]
    loc: Loc
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Each:
    """A list with a value for each entry of another one."""

    source: Evaluated
    when: Evaluated | None
    value: "Node"
    loc: Loc


@dataclass(frozen=True, slots=True)
class EachKey:
    """An object with a key and a value for each entry of a list."""

    source: Evaluated
    when: Evaluated | None
    key: Evaluated
    value: "Node"
    loc: Loc


@dataclass(frozen=True, slots=True)
class Together:
    """Objects merged (a later one wins), or lists one after the other."""

    parts: tuple["Node", ...]
    lists: bool
    loc: Loc


@dataclass(frozen=True, slots=True)
class Conditional:
    """One value when a condition holds, and another, or none, when it does not."""

    when: Evaluated
    then: "Node"
    otherwise: "Node | None"
    loc: Loc


Node: TypeAlias = Constant | Evaluated | ListOf | MapOf | Each | EachKey | Together | Conditional


def read_value(value: Any, loc: Loc, problems: Problems) -> Node:
    """The node of a value in YAML. What is wrong with it goes to `problems`."""
    if len(loc) > DEPTH_MAX:
        problems.error(loc[:DEPTH_MAX], f"is nested more than {DEPTH_MAX} deep")
        return Constant(None, loc)
    match value:
        case None:
            problems.error(
                loc,
                "has no value: leave the key out, or write @null for a null that is sent. Inside "
                "{ } a comma ends a value, and a template in { } needs quotes around all of it",
            )
            return Constant(None, loc)
        case str():
            return read_text(value, loc, problems)
        case list():
            return ListOf(
                tuple(read_value(item, (*loc, at), problems) for at, item in enumerate(value)), loc
            )
        case dict():
            return _read_map(value, loc, problems)
        case _:
            return Constant(value, loc)


def read_text(text: str, loc: Loc, problems: Problems) -> Constant | Evaluated:
    """An expression, a template or a constant."""
    if is_expression(text):
        return read_expression(text, loc, problems)
    if is_template(text):
        try:
            return Evaluated(parse_template(text), text, loc)
        except NotParsed as error:
            _not_parsed(error, loc, problems)
    return Constant(text, loc)


def read_expression(text: Any, loc: Loc, problems: Problems) -> Constant | Evaluated:
    """The expression that must stand here; a constant only where it cannot be read."""
    if not isinstance(text, str):
        problems.error(loc, 'must be an expression, such as .type == "order"')
        return Constant(None, loc)
    try:
        tree = parse(text)
    except NotParsed as error:
        _not_parsed(error, loc, problems)
        return Constant(None, loc)
    if tree == Meta("null"):
        return Constant(None, loc)
    if isinstance(tree, Literal):
        return Constant(tree.value, loc)
    return Evaluated(tree, text, loc)


def _not_parsed(error: NotParsed, loc: Loc, problems: Problems) -> None:
    problems.error(loc, f"character {error.at + 1}: {error.text}")


_EACH = frozenset({"each", "as", "when"})
_EACH_KEY = frozenset({"each", "key", "value", "when"})
_CONDITIONAL = frozenset({"when", "then", "else"})


def _read_map(value: dict[str, Any], loc: Loc, problems: Problems) -> Node:
    keys = value.keys()
    # A map in YAML is a form of the language when its keys are exactly those of one, else an object
    # of the event. So an event may have a property called `each` beside others.
    if "each" in keys and keys <= _EACH | _EACH_KEY:
        return _read_each(value, loc, problems)
    if {"when", "then"} <= keys <= _CONDITIONAL:
        otherwise = value.get("else")
        return Conditional(
            _must_evaluate(value["when"], (*loc, "when"), problems),
            read_value(value["then"], (*loc, "then"), problems),
            None if otherwise is None else read_value(otherwise, (*loc, "else"), problems),
            loc,
        )
    for word in ("merge", "concat"):
        if keys == {word} and isinstance(value[word], list):
            parts = enumerate(value[word])
            read = tuple(read_value(part, (*loc, word, at), problems) for at, part in parts)
            return Together(read, word == "concat", loc)
    entries: list[tuple[str | Evaluated, Node]] = []
    for name, inner in value.items():
        if inner is None and (is_expression(name) or is_template("{" + name + "}")):
            problems.error((*loc, name), "put the template in quotes: { begins a map in YAML")
            continue
        key = read_text(name, (*loc, name), problems) if is_template(name) else name
        node = read_value(inner, (*loc, name), problems)
        entries.append((key if isinstance(key, Evaluated) else name, node))
    return MapOf(tuple(entries), loc)


def _read_each(value: dict[str, Any], loc: Loc, problems: Problems) -> Node:
    source = _must_evaluate(value["each"], (*loc, "each"), problems)
    when = value.get("when")
    condition = None if when is None else _must_evaluate(when, (*loc, "when"), problems)
    if value.keys() <= _EACH and "as" in value:
        return Each(source, condition, read_value(value["as"], (*loc, "as"), problems), loc)
    if value.keys() <= _EACH_KEY and "key" in value and "value" in value:
        key = _must_evaluate(value["key"], (*loc, "key"), problems)
        return EachKey(
            source, condition, key, read_value(value["value"], (*loc, "value"), problems), loc
        )
    problems.error(
        loc, "each needs `as` beside it (makes a list), or `key` and `value` (an object)"
    )
    return Constant(None, loc)


def _must_evaluate(value: Any, loc: Loc, problems: Problems) -> Evaluated:
    if isinstance(value, str) and is_template(value) and not is_expression(value):
        found = read_text(value, loc, problems)
    else:
        found = read_expression(value, loc, problems)
    if isinstance(found, Evaluated):
        return found
    return Evaluated(Literal(found.value), str(value), loc)


def inside(  # noqa: PLR0911 -- a case for each kind of node
    node: Node,
) -> tuple[Node, ...]:
    """The nodes that stand directly in this one, keys and conditions included."""
    match node:
        case Constant() | Evaluated():
            return ()
        case ListOf(items, _):
            return items
        case MapOf(entries):
            keys = tuple(key for key, _ in entries if isinstance(key, Evaluated))
            return keys + tuple(inner for _, inner in entries)
        case Each(source, when, value, _):
            return (source, *((when,) if when else ()), value)
        case EachKey(source, when, key, value, _):
            return (source, *((when,) if when else ()), key, value)
        case Together(parts, _, _):
            return parts
        case Conditional(when, then, otherwise, _):
            return (when, then, *((otherwise,) if otherwise else ()))


def evaluated_in(node: Node) -> Iterator[Evaluated]:
    """Every expression in a node."""
    if isinstance(node, Evaluated):
        yield node
    for inner in inside(node):
        yield from evaluated_in(inner)
