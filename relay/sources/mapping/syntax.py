"""The tree that an expression is parsed to, and what can be read off it without running it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool
Step: TypeAlias = str | int
"""A key of an object, or a position in a list (from the end when it is negative)."""

TOP = 1_000_000
"""More levels out than any mapping has: where the record itself is."""


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from the element that is looked at, or from one `out` levels around it."""

    out: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; None stands for `@null`, a null that is sent."""

    value: Scalar | None


@dataclass(frozen=True, slots=True)
class Meta:
    """Something about the record (`@topic`, `@key`, `@header("x")`) or the element (`@index`)."""

    name: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the mapping, `@settings.name`: a constant once the mapping is compiled."""

    name: str


@dataclass(frozen=True, slots=True)
class Name:
    """A bare word as an argument: the name of a table."""

    name: str


Argument: TypeAlias = Literal | Setting | Name


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps from what another expression gives: `(.a | json).b`."""

    inner: "Expression"
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Fallback:
    """The first that is there."""

    first: "Expression"
    second: "Expression"


@dataclass(frozen=True, slots=True)
class Transform:
    """A named function of one value; `soft` makes what it cannot read absent, not a fault."""

    inner: "Expression"
    name: str
    arguments: tuple[Argument, ...]
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """Whether two values are equal, or (`negated`) are not."""

    left: "Expression"
    right: "Expression"
    negated: bool


@dataclass(frozen=True, slots=True)
class Among:
    """Whether a value is one of several, or (`negated`) is none of them."""

    inner: "Expression"
    options: tuple[Argument, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Has:
    """Whether something is there."""

    inner: "Expression"


@dataclass(frozen=True, slots=True)
class Not:
    """Whether something does not hold."""

    inner: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    """Whether all of several hold (`and`)."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Whether one of several holds (`or`)."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A text with expressions in it: `"{.uid}/{.when}"`."""

    parts: tuple["str | Expression", ...]


Expression: TypeAlias = (
    Path
    | Literal
    | Meta
    | Setting
    | Steps
    | Fallback
    | Transform
    | Compare
    | Among
    | Has
    | Not
    | And
    | Or
    | Template
)


def inner_of(node: Expression) -> tuple[Expression, ...]:
    """The expressions that stand directly in this one."""
    match node:
        case Fallback(first, second):
            return (first, second)
        case Compare(left, right, _):
            return (left, right)
        case And(parts) | Or(parts):
            return parts
        case Template(pieces):
            return tuple(piece for piece in pieces if not isinstance(piece, str))
        case Steps() | Transform() | Among() | Has() | Not():
            return (node.inner,)
        case Path() | Literal() | Meta() | Setting():
            return ()


def walk(node: Expression) -> Iterator[Expression]:
    """This expression and all within."""
    yield node
    for inner in inner_of(node):
        yield from walk(inner)


def paths_of(node: Expression) -> list[Path]:
    """Every path in it, as written."""
    return [found for found in walk(node) if isinstance(found, Path)]


def nearest(node: Expression) -> int:
    """How many levels out the nearest thing lies that it looks at; TOP when it needs no element."""
    distance = TOP
    for found in walk(node):
        if isinstance(found, Path):
            distance = min(distance, found.out)
        elif isinstance(found, Meta) and found.name == "index":
            distance = 0
    return distance


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$-")


def written(path: Path) -> str:
    """The path as it is written in a mapping."""
    return "^" * path.out + (steps_text(path.steps) or ".")


def steps_text(steps: tuple[Step | None, ...]) -> str:
    """Steps as they are written; None is any position of a list."""
    text = ""
    for step in steps:
        if step is None:
            text += "[]" if text else ".[]"
        elif isinstance(step, int):
            text += f"[{step}]" if text else f".[{step}]"
        elif step and not step[0].isdigit() and step[0] != "-" and _PLAIN.issuperset(step):
            text += f".{step}"
        else:
            text += f'."{step}"'
    return text
