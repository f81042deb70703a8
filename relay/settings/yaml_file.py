"""A YAML file → raw values, each with its line; what is wrong with the file is told, not raised.

Bounded: a file that was named by mistake, or that multiplies itself by aliases, is one line, too.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from relay.settings.sources import Given, Loc

# More than any settings need, and little enough to be read at once.
_CHARACTERS_MAX = 1_000_000
_DEPTH_MAX = 50
_DIGITS_MAX = 100
_ALIASED_MAX = 10_000
"""Values that all aliases of a file stand for together. An alias of aliases multiplies them."""


class _Unusable(Exception):
    """Nothing of the file can be used. Its text is the line to say."""


def read_file(path: Path) -> Given:
    """A YAML file, with `file:line` as the origin of every key."""
    given = Given()
    try:
        text = _text(path)
        root = yaml.compose(text, Loader=_Loader)
        if root is not None:
            data = _Reader(str(path), given).value(root, ())
            if isinstance(data, dict):
                given.data = data
            elif data is not None:
                given.problems.append(f"{path}:1: must be a mapping of sections to settings")
    except _Unusable as problem:
        given.problems.append(str(problem))
    except RecursionError:  # in the parser, which does not say where
        given.problems.append(f"{path}: is nested too deeply")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        given.problems.append(f"{path}{line}: is not valid YAML: {_bare(error.problem)}")
    except yaml.YAMLError:  # characters that YAML forbids; they carry no mark
        given.problems.append(f"{path}: is not valid YAML: it holds characters YAML forbids")
    return given


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_CHARACTERS_MAX + 1)
    except FileNotFoundError:
        raise _Unusable(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise _Unusable(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise _Unusable(f"{path}: cannot be read: {error.strerror}") from None
    if len(text) > _CHARACTERS_MAX:
        raise _Unusable(f"{path}: has more than {_CHARACTERS_MAX} characters: not settings?")
    return text


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

    def __init__(self, name: str, given: Given) -> None:
        self.name = name
        self.given = given
        self.open: set[int] = set()
        self.read: set[int] = set()
        self.aliased = 0

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        self.given.origins.setdefault(loc, self.at(node))
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
                    f"{self.given.origins[loc[:1]]}: its aliases repeat more than {_ALIASED_MAX} "
                    "values; write the values out"
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
            key = str(key_node.value)
            here = (*loc, key)
            if key in read:
                self.problem(key_node, f"{'.'.join(map(str, here))}: given twice")
            self.given.origins[here] = self.at(key_node)
            read[key] = self.value(value_node, here)
        return read

    def scalar(self, node: yaml.Node) -> Any:
        match node.tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return node.value == "true"
            case "int":
                return self.whole_number(node)
            case "float":
                return float(node.value)
            case "str":
                return node.value
            case _:
                self.problem(node, "tags (!…) are not used here; quote a value that starts with !")
                return None

    def whole_number(self, node: yaml.Node) -> int | None:
        if len(node.value) > _DIGITS_MAX:  # Python refuses to read some thousands of them
            self.problem(node, f"a number of more than {_DIGITS_MAX} digits")
            return None
        return int(node.value)

    def problem(self, node: yaml.Node, text: str) -> None:
        self.given.problems.append(f"{self.at(node)}: {text}")

    def at(self, node: yaml.Node) -> str:
        return f"{self.name}:{node.start_mark.line + 1}"


def _bare(problem: str | None) -> str:
    """PyYAML's words up to the first quotation: what it quotes may be part of a secret."""
    text = re.split(r"[\"'`]", problem or "", maxsplit=1)[0].strip()
    return f"{text or 'cannot be parsed'} (quote values that hold special characters)"
