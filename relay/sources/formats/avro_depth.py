"""Guards for Avro: a schema whose values have no bound, and a value nested too deeply.

Only a recursive schema lets bytes decide how deep a value is. fastavro then calls itself for every
level without a limit: 20,000 bytes can end the process. So values of such schemas are walked
first, without making anything of them. Values of other schemas are as deep as the schema.
"""

from collections.abc import Callable, Mapping
from typing import Any

from relay.sources.formats.schemas import SchemaUnusable

DEPTH_MAX = 200
"""Objects and arrays within one another, as in JSON."""

_WIDTHS = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8}
_VARINT_MAX = 10  # bytes of a 64-bit number, at 7 bits each

Guard = Callable[[bytes], bool]


def depth_guard(schema: Any, named: Mapping[str, Any]) -> Guard | None:
    """Says of a body whether it is nested too deeply; None where the schema bounds the depth.

    `schema` is parsed, `named` its types by full name. Raises SchemaUnusable for an array whose
    items take no bytes: a value of nothing but a count could have any number of them.
    """
    look = _Look(named)
    look.visit(schema, ())
    return _Walk(schema, named).too_deep if look.recursive else None


class _Look:
    """Goes through a schema once."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._seen: set[str] = set()
        self.recursive = False

    def visit(  # noqa: C901 - a case for each type of Avro that holds others
        self, schema: Any, above: tuple[str, ...]
    ) -> None:
        if isinstance(schema, list):
            for branch in schema:
                self.visit(branch, above)
            return
        if isinstance(schema, str):
            if schema in above:
                self.recursive = True
            elif schema in self._named and schema not in self._seen:
                self.visit(self._named[schema], above)
            return
        kind = schema["type"]
        if kind == "record":
            if schema["name"] in above:
                self.recursive = True
                return
            for each in schema["fields"]:
                self.visit(each["type"], (*above, schema["name"]))
            self._seen.add(schema["name"])
        elif kind == "array":
            if self._least(schema["items"], ()) == 0:
                raise SchemaUnusable("has an array of items that take no bytes")
            self.visit(schema["items"], above)
        elif kind == "map":
            self.visit(schema["values"], above)

    def _least(  # noqa: PLR0911 - a return for each type of Avro
        self, schema: Any, above: tuple[str, ...]
    ) -> int:
        """The fewest bytes of a value; of one that holds itself without an end, one is enough."""
        if isinstance(schema, list):
            return 1
        if isinstance(schema, str):
            if schema in _WIDTHS:
                return _WIDTHS[schema]
            return self._least(self._named[schema], above) if schema in self._named else 1
        kind = schema["type"]
        if kind == "fixed":
            return int(schema["size"])
        if kind == "record":
            if schema["name"] in above:
                return 1
            inner = (*above, schema["name"])
            return sum(self._least(each["type"], inner) for each in schema["fields"])
        return _WIDTHS.get(kind, 1)


class _TooDeep(Exception):
    """The walk went further down than it may."""


class _Walk:
    """Steps over a value. What is not a value of the schema is left for fastavro to tell."""

    def __init__(self, schema: Any, named: Mapping[str, Any]) -> None:
        self._schema = schema
        self._named = named

    def too_deep(self, body: bytes) -> bool:
        try:
            self._skip(self._schema, body, 0, 0)
        except _TooDeep:
            return True
        except (IndexError, ValueError):  # cut short, or no such branch
            return False
        return False

    def _skip(  # noqa: PLR0911 - a return for each type of Avro
        self, schema: Any, body: bytes, at: int, depth: int
    ) -> int:
        if isinstance(schema, list):
            branch, at = _number(body, at)
            return self._skip(schema[branch], body, at, depth)
        if isinstance(schema, str):
            schema = self._named.get(schema, {"type": schema})
        kind = schema["type"]
        match kind:
            case "record":
                down = _deeper(depth)
                for each in schema["fields"]:
                    at = self._skip(each["type"], body, at, down)
                return at
            case "array" | "map":
                return self._skip_blocks(schema, body, at, _deeper(depth))
            case "string" | "bytes":
                size, at = _number(body, at)
                return _within(body, at, size)
            case "fixed":
                return _within(body, at, schema["size"])
            case "int" | "long" | "enum":
                return _number(body, at)[1]
            case _:
                return _within(body, at, _WIDTHS[kind])

    def _skip_blocks(self, schema: Any, body: bytes, at: int, depth: int) -> int:
        inner = schema["items"] if schema["type"] == "array" else schema["values"]
        while True:
            count, at = _number(body, at)
            if count == 0:
                return at
            if count < 0:
                _, at = _number(body, at)  # the block's bytes: not trusted to skip it by
            for _ in range(abs(count)):
                if schema["type"] == "map":
                    size, at = _number(body, at)
                    at = _within(body, at, size)
                at = self._skip(inner, body, at, depth)


def _deeper(depth: int) -> int:
    if depth == DEPTH_MAX:
        raise _TooDeep
    return depth + 1


def _within(body: bytes, at: int, size: int) -> int:
    if size < 0 or at + size > len(body):
        raise ValueError("beyond the end")
    return at + size


def _number(body: bytes, at: int) -> tuple[int, int]:
    found, shift = 0, 0
    for _ in range(_VARINT_MAX):
        byte = body[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            return (found >> 1) ^ -(found & 1), at
        shift += 7
    raise ValueError("a number of more than ten bytes")
