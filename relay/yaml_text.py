"""YAML text → plain values, and the line that each of them stands on.

Bounded: a text that multiplies itself by aliases is one line of trouble. Settings and mappings are
both read by this. Nothing is judged here except what cannot be read.
A problem is a line `name:line: what is wrong`, and never repeats a value: it may be a secret.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from relay.yaml_errors import described

Loc = tuple[str | int, ...]

# More than any settings or mapping needs, and little enough to be read at once.
_DEPTH_MAX = 50
_DIGITS_MAX = 100  # Python refuses to read some thousands of them
_ALIASED_MAX = 10_000
"""Values that all aliases of a text stand for together. An alias of aliases multiplies them."""


class _Unusable(Exception):
    """Nothing of the text can be used. Its text is the line to say."""


@dataclass(slots=True)
class Located:
    """A document, the place (`name:line`) of each of its nodes, and what could not be read."""

    data: Any = None
    origins: dict[Loc, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def origin(self, loc: Loc) -> str | None:
        """Where `loc` stands, or the nearest thing around it that has a place."""
        for length in range(len(loc), -1, -1):
            found = self.origins.get(loc[:length])
            if found is not None:
                return found
        return None


def read_yaml(text: str, name: str) -> Located:
    """The one document in `text`; `name` is what its places are called, as a rule the file's."""
    located = Located()
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is None:  # an empty text
            located.origins[()] = name
        else:
            located.data = _Reader(name, located).value(root, ())
    except _Unusable as problem:
        located.problems.append(str(problem))
    except yaml.MarkedYAMLError as error:
        line, what = described(error)
        where = name if line is None else f"{name}:{line}"
        located.problems.append(f"{where}: is not valid YAML: {what}")
    except yaml.YAMLError:  # characters that YAML forbids; they carry no mark
        located.problems.append(f"{name}: is not valid YAML: it holds characters YAML forbids")
    except RecursionError:
        located.problems.append(f"{name}: is nested too deeply")
    return located


class _Loader(yaml.SafeLoader):
    """YAML with the plain scalars of version 1.2: `no`, `0123` and `12:30` are text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


class _Reader:
    """Turns composed nodes into plain values and notes the line of each key."""

    def __init__(self, name: str, located: Located) -> None:
        self.name = name
        self.located = located
        self.open: set[int] = set()
        self.read: set[int] = set()
        self.aliased = 0

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        self.located.origins.setdefault(loc, self.at(node))
        if id(node) in self.open:
            self.problem(node, "an alias stands inside its own anchor")
            return None
        if len(loc) > _DEPTH_MAX:
            self.problem(node, "is nested too deeply")
            return None
        if id(node) in self.read:
            self.aliased += 1
            if self.aliased > _ALIASED_MAX:
                raise _Unusable(
                    f"{self.located.origins[loc[:1]]}: its aliases repeat more than "
                    f"{_ALIASED_MAX} values; write the values out"
                )
        self.read.add(id(node))
        self.open.add(id(node))
        try:
            match node:
                case yaml.MappingNode():
                    return self.mapping(node, loc)
                case yaml.SequenceNode():
                    return [self.value(item, (*loc, i)) for i, item in enumerate(node.value)]
                case _:
                    return self.scalar(node)
        finally:
            self.open.discard(id(node))

    def mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem(key_node, "a key must be plain text")
                continue
            key = self.text(key_node)
            here = (*loc, key)
            if key in read:
                self.problem(key_node, f"{'.'.join(map(str, here))}: given twice")
            self.located.origins[here] = self.at(key_node)
            read[key] = self.value(value_node, here)
        return read

    def scalar(self, node: yaml.Node) -> Any:
        match node.tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return node.value == "true"
            case "int":
                return self.integer(node)
            case "float":
                return float(node.value)
            case "str":
                return self.text(node)
            case _:
                self.problem(node, "tags (!…) are not used here; quote a value that starts with !")
                return None

    def text(self, node: yaml.Node) -> str:
        """The text; escapes that are a pair of surrogates are one character, as in JSON."""
        text = str(node.value)
        if text.isascii():
            return text
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:  # nothing could write or send it
            self.problem(node, "an escape for half a character (\\ud800 to \\udfff)")
            return text.encode("utf-8", "replace").decode()

    def integer(self, node: yaml.Node) -> int | None:
        if len(node.value) > _DIGITS_MAX:  # Python refuses to read some thousands of them
            self.problem(node, f"a number of more than {_DIGITS_MAX} digits")
            return None
        return int(node.value)

    def problem(self, node: yaml.Node, text: str) -> None:
        self.located.problems.append(f"{self.at(node)}: {text}")

    def at(self, node: yaml.Node) -> str:
        return f"{self.name}:{node.start_mark.line + 1}"
