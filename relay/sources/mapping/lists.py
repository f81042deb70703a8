"""Transforms of lists and objects.

Each makes a function of one value, which raises Unfit where the value is nothing that it reads; the
text says what would be, and never the value. What is absent is not given to it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from relay.sources.mapping.faults import wants
from relay.sources.mapping.texts import as_text

Function = Callable[[Any], Any]

_WITH_LENGTH = frozenset({str, list, dict})


def first() -> Function:
    """The first entry of a list; what is no list is its own first."""

    def function(value: Any) -> Any:
        return (value[0] if value else None) if type(value) is list else value

    return function


def last() -> Function:
    """The last entry of a list; what is no list is its own last."""

    def function(value: Any) -> Any:
        return (value[-1] if value else None) if type(value) is list else value

    return function


def entries() -> Function:
    """An object as a list of `{key, value}`; a list stays."""

    def function(value: Any) -> Any:
        if type(value) is dict:
            return [{"key": key, "value": inner} for key, inner in value.items()]
        if type(value) is list:
            return value
        raise wants("an object", value)

    return function


def find(key: str, wanted: str | float | bool) -> Function:
    """Of a list of objects the first whose `key` is `wanted`."""
    kind = type(wanted)

    def function(value: Any) -> Any:
        if type(value) is not list:
            raise wants("a list", value)
        for entry in value:
            if type(entry) is dict:
                found = entry.get(key)
                if found == wanted and type(found) is kind:
                    return entry
        return None

    return function


def pick(*keys: str) -> Function:
    """An object with these keys only."""

    def function(value: Any) -> Any:
        if type(value) is not dict:
            return _object(value)
        return {key: value[key] for key in keys if key in value} or None

    return function


def without(*keys: str) -> Function:
    """An object without these keys."""
    left_out = frozenset(keys)

    def function(value: Any) -> Any:
        if type(value) is not dict:
            return _object(value)
        return {key: inner for key, inner in value.items() if key not in left_out} or None

    return function


def with_prefix(prefix: str) -> Function:
    """An object with only the keys that begin so."""

    def function(value: Any) -> Any:
        if type(value) is not dict:
            return _object(value)
        return {key: inner for key, inner in value.items() if key.startswith(prefix)} or None

    return function


def gather(key: str) -> Function:
    """Of a list of objects, the entries of the lists that each has under a key, in one list."""

    def function(value: Any) -> Any:
        if type(value) is not list:
            raise wants("a list", value)
        lists = [entry.get(key) for entry in value if type(entry) is dict]
        return [inner for found in lists if type(found) is list for inner in found] or None

    return function


def drop_empty() -> Function:
    """An object or list without what is null, "", [] or {}."""

    def function(value: Any) -> Any:
        if type(value) is dict:
            return {key: inner for key, inner in value.items() if not _empty(inner)} or None
        if type(value) is list:
            return [inner for inner in value if not _empty(inner)] or None
        raise wants("an object or a list", value)

    return function


def numbered(name: str, count: int) -> Function:
    """The first entries of a list as an object: $category1, $category2 and so on."""
    names = [f"{name}{number}" for number in range(1, count + 1)]

    def function(value: Any) -> Any:
        entries_ = value if type(value) is list else [value]
        return {
            name: entry for name, entry in zip(names, entries_, strict=False) if entry is not None
        } or None

    return function


def lookup(table: Mapping[str, Any]) -> Function:
    """What the table says for a text, number or truth; absent when it does not say."""
    get = table.get

    def function(value: Any) -> Any:
        return get(value if type(value) is str else as_text(value))

    return function


def unless(*values: str | float | bool) -> Function:
    """The value, but absent when it is one of these."""
    texts = frozenset(value for value in values if isinstance(value, str))
    others = [value for value in values if not isinstance(value, str)]

    def function(value: Any) -> Any:
        if type(value) is str:
            return None if value in texts else value
        for other in others:
            if value == other and type(value) is type(other):
                return None
        return value

    return function


def _object(value: Any) -> Any:
    # PHP writes an object without keys as a list.
    if type(value) is list and not value:
        return None
    raise wants("an object", value)


def _empty(value: Any) -> bool:
    return value is None or (type(value) in _WITH_LENGTH and not value)
