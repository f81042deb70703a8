"""Expression tree → a closure that evaluates it. Done once, when a mapping is compiled.

A closure takes the element that is looked at and its scope, and gives a value, or None for absent.
It may raise Unfit, and nothing else, on any JSON; a `soft` one never does.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

from relay.model import Record
from relay.sources.mapping.faults import Unfit
from relay.sources.mapping.syntax import (
    TOP,
    Among,
    And,
    Argument,
    Compare,
    Expression,
    Fallback,
    Has,
    Literal,
    Meta,
    Name,
    Not,
    Or,
    Path,
    Setting,
    Step,
    Steps,
    Template,
    Transform,
    nearest,
    steps_text,
)
from relay.sources.mapping.texts import as_text
from relay.sources.mapping.transforms import TRANSFORMS, BadArguments, make


class Scope(NamedTuple):
    """Where an element stands: in what, at which position, and what was computed there before.

    Outermost is the scope of the document: its `here` is the Kafka record, its `outer` None.
    `known` holds what the elements of one list have in common, by number of the closure.
    """

    here: Any
    outer: "Scope | None"
    position: int
    known: dict[int, Any]


Closure = Callable[[Any, Any], Any]

DIGEST = Meta("digest")
_WITH_PARTS = frozenset({dict, list})


class NotCompiled(Exception):
    """What is wrong with an expression that could be parsed."""


@dataclass(slots=True)
class Names:
    """What expressions may name: tables and settings; and what of it was named."""

    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    closures: int = 0

    def table(self, name: str) -> Mapping[str, Any]:
        """A table by its name: a setting that is one, or one of the mapping's.

        Raises NotCompiled where there is none of that name.
        """
        found = self.settings.get(name)
        if not isinstance(found, dict):
            found = self.tables.get(name)
        if found is None:
            raise NotCompiled(f"{name} is no table{_meant(name, [*self.tables])}")
        self.used.add(name)
        return found

    def setting(self, name: str) -> Any:
        """The value of a setting; None when it is not set.

        Raises NotCompiled where the mapping declares none of that name.
        """
        if name not in self.settings:
            raise NotCompiled(f"settings has no {name}{_meant(name, [*self.settings])}")
        self.used.add(name)
        return self.settings[name]


# What lies outside of a list can go into each of its entries, and what is made can so become as
# large as the square of the document, or its cube. So these count, and one record has a limit:
#
#     an entry of a list in a list       ENTRY_BYTES
#     what is looked up outside of it    its size, each time
#     what is computed once for all      its size for each element that it goes into, if it is large
#
# The last two cost more than what they count, so the first few events of a record have them free:
# a mapping without lists may name the whole document in each of its fields, too.
COPIES_BYTES_MAX = 64 * 1024 * 1024
ENTRY_BYTES = 128
_LARGE_BYTES = 4096
_FREE_EVENTS = 8
_SPENT = 0  # its key in what is known of a record; closures are numbered from 1


def spend(scope: Scope, size: int) -> None:
    """Count what one more element takes. Raises Unfit when it is too much for one record."""
    while scope.outer is not None:
        scope = scope.outer
    spent = scope.known[_SPENT] = scope.known.get(_SPENT, 0) + size
    if spent > COPIES_BYTES_MAX:
        raise Unfit(
            f"makes more than {COPIES_BYTES_MAX >> 20} MiB of one record: what stands outside of a "
            "list (^) goes into each of its entries"
        )


def _counts(scope: Scope) -> bool:
    """Whether what goes into this element counts: all but a record's first few events."""
    outer = scope.outer
    return scope.position >= _FREE_EVENTS or (outer is not None and outer.outer is not None)


def _size(value: Any) -> int:
    """About how many bytes a value takes as JSON."""
    kind = type(value)
    if kind is str:
        return len(value)
    if kind is dict:
        return 8 + sum(len(key) + _size(inner) for key, inner in value.items())
    if kind is list:
        return 8 + sum(map(_size, value))
    return 8


def compiled(node: Expression, names: Names, levels: int, *, soft: bool = False) -> Closure:
    """The closure of an expression that stands `levels` lists deep. Raises NotCompiled."""
    closure = _closure(node, names, levels, soft=soft)
    if not _costs(node):
        return closure
    return shared(closure, nearest(node), names, levels, soft=soft)


def shared(
    closure: Closure, distance: int, names: Names, levels: int, *, soft: bool = False
) -> Closure:
    """The closure, evaluated once for all elements of a list where it looks at none of them.

    So the steps that a mapping takes are bounded by its size and the size of the document.
    """
    # `distance` is how many lists out the nearest thing lies that the expression looks at:
    #
    #     0      the element itself: evaluated for each
    #     1      its list's surroundings: once for all its elements, remembered in their scope
    #     more   once for all elements of that list, remembered further out
    #
    # The number of the closure is its key in `known`, since all rules share that one dictionary.
    hops = min(distance, levels)
    if hops == 0:
        return closure
    names.closures += 1
    number = names.closures

    def once(here: Any, scope: Any) -> Any:
        known = scope.known if hops == 1 else _out(scope, hops - 1).known
        if number not in known:
            value = known[number] = closure(here, scope)
            return value
        value = known[number]
        if not soft and value is not None and _counts(scope):
            size = known.get(-number)
            if size is None:
                size = known[-number] = _size(value)
            if size > _LARGE_BYTES:
                spend(scope, size)
        return value

    return once


def _out(scope: Scope, hops: int) -> Scope:
    for _ in range(hops):
        scope = scope.outer or scope
    return scope


def _costs(node: Expression) -> bool:
    return node == DIGEST or not isinstance(node, Path | Literal | Meta | Setting)


def _closure(  # noqa: C901, PLR0911, PLR0912 -- a case for each kind of node
    node: Expression, names: Names, levels: int, *, soft: bool
) -> Closure:
    match node:
        case Path(out, steps):
            if out > levels:
                raise NotCompiled(
                    f"has {out} ^ and stands in {levels} list{'s' * (levels != 1)}: each ^ leads "
                    "out of one `events` or `each`"
                )
            return _path(out, steps, soft=soft)
        case Literal(value):
            return lambda _here, _scope: value
        case Setting(name):
            constant = names.setting(name)
            return lambda _here, _scope: constant
        case Meta():
            return _meta(node, levels)
        case Steps(inner, steps):
            return _steps_after(compiled(inner, names, levels, soft=soft), steps, soft=soft)
        case Fallback(first, second):
            return _fallback(
                compiled(first, names, levels, soft=soft),
                compiled(second, names, levels, soft=soft),
            )
        case Transform():
            return _transform(node, names, levels, soft=soft)
        case Template(parts):
            return _template(parts, names, levels, soft=soft)
        case Compare(left, right, negated):
            one = compiled(left, names, levels, soft=True)
            other = compiled(right, names, levels, soft=True)
            return _equal(one, other, right, negated=negated)
        case Among(inner, options, negated):
            found = compiled(inner, names, levels, soft=True)
            return _among(found, options_of(options, names), negated=negated)
        case Has(inner):
            within = compiled(inner, names, levels, soft=True)
            return lambda here, scope: within(here, scope) is not None
        case Not(inner):
            held = compiled(inner, names, levels, soft=True)
            return lambda here, scope: held(here, scope) is not True
        case And(parts):
            return _both([compiled(part, names, levels, soft=True) for part in parts])
        case Or(parts):
            return _either([compiled(part, names, levels, soft=True) for part in parts])


def _path(out: int, steps: tuple[Step, ...], *, soft: bool) -> Closure:
    walk = _walker(steps, soft=soft)
    if out == 0:
        return _near(steps, walk)
    if soft and out == 1:
        return lambda _here, scope: walk(scope.here)

    def from_outside(_here: Any, scope: Any) -> Any:
        value = walk(scope.here if out == 1 else _out(scope, out - 1).here)
        is_large = type(value) in _WITH_PARTS or (type(value) is str and len(value) > 64)  # noqa: PLR2004
        if is_large and not soft and _counts(scope):
            spend(scope, _size(value))
        return value

    return from_outside


def _near(steps: tuple[Step, ...], walk: Callable[[Any], Any]) -> Closure:
    """Paths from the element itself are most of a mapping: the short ones take no second call."""
    if not steps:
        return lambda here, _scope: here
    if len(steps) == 1 and isinstance(steps[0], str):
        key = steps[0]

        def one(here: Any, _scope: Any) -> Any:
            return here.get(key) if type(here) is dict else walk(here)

        return one
    if len(steps) == 2 and isinstance(steps[0], str) and isinstance(steps[1], str):  # noqa: PLR2004
        outer, last = steps

        def two(here: Any, _scope: Any) -> Any:
            if type(here) is dict:
                inner = here.get(outer)
                if type(inner) is dict:
                    return inner.get(last)
                if inner is None:
                    return None
            return walk(here)

        return two
    return lambda here, _scope: walk(here)


def _walker(steps: tuple[Step, ...], *, soft: bool) -> Callable[[Any], Any]:
    """Steps into a value. What is not there is absent; a key is never looked up in a full list."""

    def walk(value: Any) -> Any:
        # What a step does:
        #
        #     a key into an object    the entry, or absent
        #     a number into a list    the entry, or absent
        #     a key into a full list  a fault that says how to choose (where it is `soft`, absent)
        #     any other step          absent: nothing is there
        for position, step in enumerate(steps):
            kind = type(value)
            if kind is dict:
                value = value.get(step) if type(step) is str else None
            elif kind is list:
                if type(step) is int:
                    value = value[step] if -len(value) <= step < len(value) else None
                elif soft or not value:
                    return None
                else:
                    place = steps_text(steps[:position]) or "."
                    raise Unfit(
                        f"{place} is a list: take one entry ([0], first, find) or go through all "
                        "of them (each)"
                    )
            else:
                return None
        return value

    return walk


def _steps_after(inner: Closure, steps: tuple[Step, ...], *, soft: bool) -> Closure:
    walk = _walker(steps, soft=soft)
    return lambda here, scope: walk(inner(here, scope))


def _fallback(first: Closure, second: Closure) -> Closure:
    def either(here: Any, scope: Any) -> Any:
        value = first(here, scope)
        return second(here, scope) if value is None else value

    return either


def _transform(node: Transform, names: Names, levels: int, *, soft: bool) -> Closure:
    if node.name not in TRANSFORMS:
        raise NotCompiled(f"{node.name} is no transform{_meant(node.name, [*TRANSFORMS])}")
    inner = compiled(node.inner, names, levels, soft=soft or node.soft)
    spec = TRANSFORMS[node.name]
    arguments: list[Any] = []
    for argument in node.arguments:
        match argument:
            case Literal(value):
                arguments.append(value)
            case Setting(name):
                value = names.setting(name)
                # A list of keys that is not set is one without keys.
                arguments.append([] if value is None and "keys" in spec.kinds else value)
            case Name(name) if "table" in spec.kinds:
                arguments.append(names.table(name))
            case Name(name):
                raise NotCompiled(f"{name} is no constant: text is written in double quotes")
    while arguments and arguments[-1] is None:  # a setting that is not set is not given
        arguments.pop()
    try:
        function = make(node.name, arguments)
    except BadArguments as error:
        raise NotCompiled(str(error)) from None
    return _applied(inner, function, soft=soft or node.soft)


def _applied(inner: Closure, function: Callable[[Any], Any], *, soft: bool) -> Closure:
    if not soft:

        def applied(here: Any, scope: Any) -> Any:
            value = inner(here, scope)
            return None if value is None else function(value)

        return applied

    def tried(here: Any, scope: Any) -> Any:
        value = inner(here, scope)
        try:
            return None if value is None else function(value)
        except Unfit:
            return None

    return tried


def _template(
    parts: tuple[str | Expression, ...], names: Names, levels: int, *, soft: bool
) -> Closure:
    pieces = [
        part if isinstance(part, str) else compiled(part, names, levels, soft=soft)
        for part in parts
    ]

    def text(here: Any, scope: Any) -> Any:
        found: list[str] = []
        for piece in pieces:
            if type(piece) is str:
                found.append(piece)
                continue
            value = piece(here, scope)  # type: ignore[operator]
            if value is None:
                return None
            found.append(value if type(value) is str else as_text(value))
        return "".join(found)

    if not soft:
        return text

    def soft_text(here: Any, scope: Any) -> Any:
        try:
            return text(here, scope)
        except Unfit:
            return None

    return soft_text


def _meta(node: Meta, levels: int) -> Closure:
    if node.name == "null":
        return lambda _here, _scope: None
    if node.name == "index":
        return lambda _here, scope: scope.position
    read = _OF_RECORD[node.name]
    argument = node.argument
    if levels == 0:
        return lambda _here, scope: read(scope.here, argument)
    return lambda _here, scope: read(_out(scope, levels).here, argument)


def _utf8(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


@lru_cache(maxsize=1)
def _digest(value: bytes) -> str:
    """Of one value at a time: a record of many documents is hashed once."""
    return hashlib.sha256(value).hexdigest()


def _header(record: Record, name: str) -> str | None:
    for key, value in reversed(record.headers):
        if key == name:
            return _utf8(value)
    return None


_OF_RECORD: dict[str, Callable[[Record, str], Any]] = {
    "key": lambda record, _: _utf8(record.key),
    "header": _header,
    "topic": lambda record, _: record.topic,
    "partition": lambda record, _: record.partition,
    "offset": lambda record, _: record.offset,
    "timestamp": lambda record, _: record.timestamp_ms,
    "digest": lambda record, _: _digest(record.value or b""),
}


def same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal: unlike in Python, 1 is not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    kind = type(one)
    if kind is dict or kind is list:
        return False  # only what has no parts is compared
    return bool(one == other)


def _equal(left: Closure, right: Closure, node: Expression, *, negated: bool) -> Closure:
    """Equality. What is absent equals nothing, and so differs from everything."""
    if isinstance(node, Literal) and isinstance(node.value, str):
        text = node.value
        if negated:
            return lambda here, scope: left(here, scope) != text
        return lambda here, scope: left(here, scope) == text

    def equal(here: Any, scope: Any) -> bool:
        one = left(here, scope)
        if one is None:
            return negated
        other = right(here, scope)
        return same(one, other) is not negated

    return equal


def options_of(options: tuple[Argument, ...], names: Names) -> tuple[Any, ...]:
    """The constants that `in` compares with; of a table its keys."""
    found: list[Any] = []
    for option in options:
        match option:
            case Literal(value):
                found.append(value)
            case Setting(name):
                value = names.setting(name)
                found.extend(value if isinstance(value, list | dict) else [value])
            case Name(name):
                found.extend(names.table(name))
    return tuple(found)


def _among(inner: Closure, options: tuple[Any, ...], *, negated: bool) -> Closure:
    texts = frozenset(option for option in options if isinstance(option, str))
    others = [option for option in options if option is not None and not isinstance(option, str)]

    def among(here: Any, scope: Any) -> bool:
        value = inner(here, scope)
        if type(value) is str:
            return (value in texts) is not negated
        return any(same(value, other) for other in others) is not negated

    return among


def _both(parts: list[Closure]) -> Closure:
    if len(parts) == 2:  # noqa: PLR2004
        one, two = parts
        return lambda here, scope: one(here, scope) is True and two(here, scope) is True

    def both(here: Any, scope: Any) -> bool:
        return all(part(here, scope) is True for part in parts)

    return both


def _either(parts: list[Closure]) -> Closure:
    def either(here: Any, scope: Any) -> bool:
        return any(part(here, scope) is True for part in parts)

    return either


def _meant(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


__all__ = ["TOP", "Closure", "Names", "NotCompiled", "Scope", "compiled", "same", "shared"]
