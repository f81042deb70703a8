"""A rule that compiles → what the platform, or a replay, would make of it that nobody means."""

from collections.abc import Iterator
from difflib import get_close_matches

from relay.sources.mapping.nodes import Constant, MapOf, Node, Problem, Severity, evaluated_in
from relay.sources.mapping.rules import Rule
from relay.sources.mapping.syntax import Meta, Transform, walk
from relay.stream.mapping.rules import (
    ANY_NAMES,
    COMPUTED_NAMES,
    KIND_OF_NAME,
    NAMES_BY_TYPE,
    VISIT_NAMES,
)

_PLACE = frozenset({"partition", "offset", "timestamp"})


def judge_for_the_platform(rule: Rule) -> Iterator[Problem]:
    """Warnings; docs/EVENTS.md has what the platform does."""
    yield from _judge_place(rule)
    yield from _judge_name(rule)
    yield from _judge_hashes(rule)


def _judge_place(rule: Rule) -> Iterator[Problem]:
    """What is right for one record in one place, and not for it elsewhere."""
    for expression in evaluated_in(rule.nodes["id"]) if "id" in rule.nodes else ():
        placed = {node.name for node in walk(expression.tree) if isinstance(node, Meta)} & _PLACE
        for name in sorted(placed):
            yield _warning(
                expression.loc,
                f"@{name} is another one after a replay or in a mirrored topic, and so would be "
                "the id: take it from the event, or from @digest and @index",
            )
    if "app_id" in rule.nodes and _is_without_session(rule.nodes.get("session_status")):
        yield _warning(
            rule.loc,
            "has app_id and no session_status: apps send IN_SESSION or CLOSED_SESSION, and of "
            "NO_SESSION (the default) the platform makes no sessions",
        )


def _judge_name(rule: Rule) -> Iterator[Problem]:
    """A name with a `$` is one of the platform's, in an activity of its type."""
    node = rule.nodes.get("event")
    if not isinstance(node, Constant) or not isinstance(node.value, str):
        return
    name = node.value
    if not name.startswith("$") or name in COMPUTED_NAMES | KIND_OF_NAME.keys():
        return
    known = sorted(VISIT_NAMES.union(ANY_NAMES, *NAMES_BY_TYPE.values()))
    if name not in known:
        near = get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        yield _warning(node.loc, f"{name} is none of the platform's names{meant}")
    wanted = next((kind for kind, names in NAMES_BY_TYPE.items() if name in names), None)
    activity = rule.nodes.get("activity")
    kind = dict(activity.entries).get("type") if isinstance(activity, MapOf) else None
    # A type that is computed may be the right one: nothing is said then.
    other = kind is None or (isinstance(kind, Constant) and kind.value != wanted)
    if wanted is not None and other:
        yield _warning(node.loc, f"{name} belongs to activities of type {wanted}: activity.type")


def _judge_hashes(rule: Rule) -> Iterator[Problem]:
    """Jane@x.fr and jane@x.fr hashed as they are, are two identities."""
    for expression in evaluated_in(rule.nodes["user"]) if "user" in rule.nodes else ():
        called = {node.name for node in walk(expression.tree) if isinstance(node, Transform)}
        if "emails" in expression.loc and "sha256" in called and "lower" not in called:
            yield _warning(
                expression.loc,
                "hashes an address without `trim | lower` before it: the other senders of the "
                "datamart make another identity of it, unless they all do the same",
            )


def _is_without_session(node: Node | None) -> bool:
    return node is None or (isinstance(node, Constant) and node.value == "NO_SESSION")


def _warning(loc: tuple[str | int, ...], text: str) -> Problem:
    return Problem(loc, text, Severity.WARNING)
