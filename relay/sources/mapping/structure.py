"""A node of a mapping → the closure that makes its value, and which paths each part is made from.

A fault gains, on its way out, the keys that were about to be filled and the paths that were read.
"""

from typing import Any

from relay.sources.mapping.evaluation import (
    ENTRY_BYTES,
    Closure,
    Names,
    NotCompiled,
    Scope,
    compiled,
    shared,
    spend,
)
from relay.sources.mapping.faults import Unfit, wants
from relay.sources.mapping.nodes import (
    Conditional,
    Constant,
    Each,
    EachKey,
    Evaluated,
    ListOf,
    MapOf,
    Node,
    Problems,
    Together,
    evaluated_in,
    inside,
)
from relay.sources.mapping.syntax import TOP, Meta, Path, Step, nearest, paths_of, walk

DYNAMIC_KEY = "(a key)"
_NO_SCOPE = Scope(None, None, 0, {})


def build(node: Node, names: Names, levels: int, problems: Problems) -> Closure:
    """The closure of a node that stands `levels` lists deep."""
    if isinstance(node, Constant):
        value = node.value
        return lambda _here, _scope: value
    if isinstance(node, Evaluated):
        return _evaluated(node, names, levels, problems)
    closure = _structure(node, names, levels, problems)
    return shared(closure, nearest_of(node), names, levels)


def condition(node: Evaluated, names: Names, levels: int, problems: Problems) -> Closure:
    """The closure of a condition. It holds when it gives true, and never raises."""
    return _evaluated(node, names, levels, problems, soft=True)


def nearest_of(node: Node) -> int:
    """How many levels out the nearest thing lies that the node looks at; TOP when nothing."""
    match node:
        case Evaluated():
            return nearest(node.tree)
        case Each() | EachKey():
            distance = nearest(node.source.tree)
            for inner in inside(node):
                if inner is not node.source:
                    distance = min(distance, _beyond(inner))
            return distance
        case _:
            return min((nearest_of(inner) for inner in inside(node)), default=TOP)


def _beyond(node: Node, depth: int = 1) -> int:
    """How far out the body of an `each` looks, its own entries left aside."""
    distance = TOP
    for inner in inside(node):
        within = isinstance(node, Each | EachKey) and inner is not node.source
        distance = min(distance, _beyond(inner, depth + within))
    if isinstance(node, Evaluated):
        outs = [path.out - depth for path in paths_of(node.tree) if path.out >= depth]
        distance = min([distance, *outs])
    return distance


def _evaluated(
    node: Evaluated, names: Names, levels: int, problems: Problems, *, soft: bool = False
) -> Closure:
    try:
        return compiled(node.tree, names, levels, soft=soft)
    except NotCompiled as error:
        problems.error(node.loc, str(error))
        return lambda _here, _scope: None


def _structure(node: Node, names: Names, levels: int, problems: Problems) -> Closure:
    match node:
        case ListOf(items, _):
            return _list([build(item, names, levels, problems) for item in items], items)
        case MapOf():
            return map_of(node, names, levels, problems)
        case Each(source, when, value, _):
            return _each(
                _source(source, names, levels, problems),
                None if when is None else condition(when, names, levels + 1, problems),
                build(value, names, levels + 1, problems),
                node,
            )
        case EachKey(source, when, key, value, _):
            return _each_key(
                _source(source, names, levels, problems),
                None if when is None else condition(when, names, levels + 1, problems),
                _evaluated(key, names, levels + 1, problems),
                build(value, names, levels + 1, problems),
                node,
            )
        case Together(parts, lists, _):
            closures = [build(part, names, levels, problems) for part in parts]
            return _concatenated(closures, parts) if lists else _merged(closures, parts)
        case Conditional(when, then, otherwise, _):
            return _chosen(
                condition(when, names, levels, problems),
                build(then, names, levels, problems),
                None if otherwise is None else build(otherwise, names, levels, problems),
            )
        case _:
            raise AssertionError(node)


def reads(node: Node) -> tuple[Path, ...]:
    """The paths that a node itself reads, where it is an expression or goes through a list."""
    match node:
        case Evaluated():
            return tuple(paths_of(node.tree))
        case Each() | EachKey():
            return tuple(paths_of(node.source.tree))
        case _:
            return ()


def rebased(read: tuple[Path, ...], base: tuple[Path, ...], index: int | None) -> tuple[Path, ...]:
    """Paths of an entry as paths of what the list stands in. Index None is any entry."""
    found: list[Path] = []
    for path in read:
        if path.out:
            found.append(Path(path.out - 1, path.steps))
        else:
            place: tuple[Any, ...] = (index,)
            found.extend(Path(b.out, b.steps + place + path.steps) for b in base[:1])
    return tuple(found)


def map_of(node: MapOf, names: Names, levels: int, problems: Problems) -> Closure:
    """The closure of an object."""
    constants: dict[str, Any] = {}
    entries: list[tuple[str, Closure]] = []
    dynamic: list[tuple[Closure, Closure, Node]] = []
    read: dict[str, tuple[Path, ...]] = {}
    for key, inner in node.entries:
        if isinstance(key, Evaluated):
            name = _evaluated(key, names, levels, problems)
            dynamic.append((name, build(inner, names, levels, problems), inner))
        elif isinstance(inner, Constant):
            constants[key] = inner.value
        else:
            entries.append((key, build(inner, names, levels, problems)))
            read[key] = reads(inner)
    if not entries and not dynamic:
        return lambda _here, _scope: constants
    static = _static_map(constants, entries, read)
    made = static if not dynamic else _with_dynamic_keys(static, dynamic, constants)
    return _needing(made, node.needs) if node.needs else made


def _static_map(
    constants: dict[str, Any],
    entries: list[tuple[str, Closure]],
    read: dict[str, tuple[Path, ...]],
) -> Closure:
    least = len(constants)

    def made(here: Any, scope: Any) -> Any:
        out = constants.copy()
        key = ""
        try:
            for key, closure in entries:
                value = closure(here, scope)
                if value is not None:
                    out[key] = value
        except Unfit as fault:
            fault.target.append(key)
            fault.read = fault.read or read[key]
            raise
        return out if len(out) > least else None

    return made


def _with_dynamic_keys(
    static: Closure, dynamic: list[tuple[Closure, Closure, Node]], constants: dict[str, Any]
) -> Closure:
    def made(here: Any, scope: Any) -> Any:
        out = static(here, scope) or constants.copy()
        before = len(out)
        for key, closure, node in dynamic:
            try:
                name = key(here, scope)
                value = closure(here, scope)
            except Unfit as fault:
                fault.target.append(DYNAMIC_KEY)
                fault.read = fault.read or reads(node)
                raise
            if name is not None and (value is not None or isinstance(node, Constant)):
                out[name] = value
        return out if len(out) > before or before > len(constants) else None

    return made


def _needing(made: Closure, needs: frozenset[str]) -> Closure:
    def needing(here: Any, scope: Any) -> Any:
        out = made(here, scope)
        return None if out is None or needs.isdisjoint(out) else out

    return needing


def _list(closures: list[Closure], items: tuple[Node, ...]) -> Closure:
    if len(closures) == 1:
        (only,) = closures

        def one(here: Any, scope: Any) -> Any:
            try:
                value = only(here, scope)
            except Unfit as fault:
                raise _at(fault, 0, items[0]) from None
            return None if value is None else [value]

        return one

    def made(here: Any, scope: Any) -> Any:
        out: list[Any] = []
        at = 0
        try:
            for at, closure in enumerate(closures):  # noqa: B007 -- the fault tells it
                value = closure(here, scope)
                if value is not None:
                    out.append(value)
        except Unfit as fault:
            raise _at(fault, at, items[at]) from None
        return out or None

    return made


def _at(fault: Unfit, position: int, node: Node) -> Unfit:
    fault.target.append(position)
    fault.read = fault.read or reads(node)
    return fault


def _source(source: Evaluated, names: Names, levels: int, problems: Problems) -> Closure:
    closure = _evaluated(source, names, levels, problems)

    def entries(here: Any, scope: Any) -> Any:
        value = closure(here, scope)
        if value is None:
            return ()
        if type(value) is not list:
            if type(value) is dict:
                raise Unfit("must be a list, and is an object (entries makes a list of it)")
            raise wants("a list", value)
        if levels and scope is not _NO_SCOPE:
            spend(scope, len(value) * ENTRY_BYTES)
        return value

    return entries


def _looks_outside(node: Node) -> bool:
    return any(
        isinstance(found, Meta) or (isinstance(found, Path) and found.out > 0)
        for expression in evaluated_in(node)
        for found in walk(expression.tree)
    )


def _each(source: Closure, when: Closure | None, value: Closure, node: Each) -> Closure:
    outside = _looks_outside(node.value) or (node.when is not None and _looks_outside(node.when))
    base = reads(node)

    def made(here: Any, scope: Any) -> Any:
        out: list[Any] = []
        known: dict[int, Any] = {}
        inner: Any = _NO_SCOPE
        entries = source(here, scope)
        at = 0
        try:
            for at, entry in enumerate(entries):
                if entry is None:
                    continue
                if outside:
                    inner = Scope(here, scope, at, known)
                if when is not None and when(entry, inner) is not True:
                    continue
                found = value(entry, inner)
                if found is not None:
                    out.append(found)
        except Unfit as fault:
            fault.target.append(at)
            fault.read = rebased(fault.read or reads(node.value), base, at)
            raise
        return out or None

    return made


def _each_key(
    source: Closure, when: Closure | None, key: Closure, value: Closure, node: EachKey
) -> Closure:
    base = reads(node)
    constant = isinstance(node.value, Constant)

    def made(here: Any, scope: Any) -> Any:
        out: dict[str, Any] = {}
        known: dict[int, Any] = {}
        entries = source(here, scope)
        at = 0
        try:
            for at, entry in enumerate(entries):
                if entry is None:
                    continue
                inner = Scope(here, scope, at, known)
                if when is not None and when(entry, inner) is not True:
                    continue
                name = key(entry, inner)
                if name is None:
                    continue
                if type(name) is not str:
                    raise wants("text, as keys are (text makes it of a number)", name)
                found = value(entry, inner)
                if found is not None or constant:
                    out[name] = found
        except Unfit as fault:
            fault.target.append(DYNAMIC_KEY)
            fault.read = rebased(fault.read or reads(node.value), base, at)
            raise
        return out or None

    return made


def _merged(closures: list[Closure], parts: tuple[Node, ...]) -> Closure:
    def made(here: Any, scope: Any) -> Any:
        out: dict[str, Any] = {}
        at = 0
        try:
            for at, closure in enumerate(closures):  # noqa: B007 - for the fault
                value = closure(here, scope)
                if value is not None:
                    if type(value) is not dict:
                        raise wants("an object, to be merged", value)
                    out.update(value)
        except Unfit as fault:
            fault.read = fault.read or reads(parts[at])
            raise
        return out or None

    return made


def _concatenated(closures: list[Closure], parts: tuple[Node, ...]) -> Closure:
    def made(here: Any, scope: Any) -> Any:
        out: list[Any] = []
        at = 0
        try:
            for at, closure in enumerate(closures):  # noqa: B007 -- the fault tells it
                value = closure(here, scope)
                if type(value) is list:
                    out.extend(value)
                elif value is not None:
                    out.append(value)
        except Unfit as fault:
            fault.read = fault.read or reads(parts[at])
            raise
        return out or None

    return made


def _chosen(when: Closure, then: Closure, otherwise: Closure | None) -> Closure:
    def made(here: Any, scope: Any) -> Any:
        if when(here, scope) is True:
            return then(here, scope)
        return None if otherwise is None else otherwise(here, scope)

    return made


Sources = dict[tuple[Step | None, ...], tuple[Path, ...]]
"""Keys of the event → the paths that the value there is made from. None is any entry of a list."""


def sources_of(  # noqa: C901, PLR0911 -- a case for each kind of node
    node: Node, target: tuple[Step | None, ...] = ()
) -> Sources:
    """Where each part of what a node makes comes from."""
    match node:
        case Constant():
            return {}
        case Evaluated():
            return {target: tuple(paths_of(node.tree))}
        case ListOf(items, _):
            found: Sources = {}
            for at, item in enumerate(items):
                found |= sources_of(item, (*target, at))
                for place, read in sources_of(item, (*target, None)).items():
                    found.setdefault(place, read)
            return found
        case MapOf(entries):
            found = {}
            for key, inner in entries:
                found |= sources_of(
                    inner, (*target, DYNAMIC_KEY if isinstance(key, Evaluated) else key)
                )
            return found
        case Each() | EachKey():
            base = reads(node)
            entry = None if isinstance(node, Each) else DYNAMIC_KEY
            inner_sources = sources_of(node.value, (*target, entry)).items()
            return {target: base} | {to: rebased(read, base, None) for to, read in inner_sources}
        case Together(parts, _, _):
            return _of_any(parts, target)
        case Conditional(_, then, otherwise, _):
            return _of_any((then,) if otherwise is None else (then, otherwise), target)


def _of_any(nodes: tuple[Node, ...], target: tuple[Step | None, ...]) -> Sources:
    """Where what stands at one place comes from when it may be made by each of several nodes."""
    found: Sources = {}
    for node in nodes:
        for to, read in sources_of(node, target).items():
            found[to] = found.get(to, ()) + read
    return found
