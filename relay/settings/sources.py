"""A YAML file and the environment → one tree of raw values, and where each value came from.

Nothing is judged here except what cannot be read at all: the models judge. The environment is
read here and nowhere else. pydantic-settings would do the merging, but it stops at the first
variable that it cannot parse, ignores the ones it does not know, and forgets file and line.
"""

import copy
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import BaseModel

from relay.settings.options import (
    PREFIX,
    SEPARATOR,
    annotation_at,
    is_many,
    is_mapping,
    is_optional,
    models_in,
    options,
)

Loc = tuple[str | int, ...]

# Kubernetes sets these for every Service of the namespace; one called `relay` would otherwise
# look like a row of misspelt settings.
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$")
_TEST_PREFIX = PREFIX + "TEST_"


@dataclass(slots=True)
class Given:
    """What was given: a tree, the origin of each of its nodes, and what could not be read."""

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Loc, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unknown_variables: list[str] = field(default_factory=list)

    def origin(self, loc: Loc) -> str | None:
        """Where the value at `loc` was given, or the nearest thing around it that has a place."""
        for length in range(len(loc), 0, -1):
            found = self.origins.get(loc[:length])
            if found is not None:
                return found
        return None


def process_environ() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ  # noqa: TID251 - this is the one reader that the ban points to


def read_file(path: Path) -> Given:
    """A YAML file, with `file:line` as the origin of every key."""
    given = Given()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        given.problems.append(f"{path}: no such file")
        return given
    except UnicodeDecodeError:
        given.problems.append(f"{path}: is not UTF-8 text")
        return given
    except OSError as error:
        given.problems.append(f"{path}: cannot be read: {error.strerror}")
        return given
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is not None:
            data = _Reader(str(path), given).value(root, ())
            if isinstance(data, dict):
                given.data = data
            elif data is not None:
                given.problems.append(f"{path}:1: must be a mapping of sections to settings")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        given.problems.append(f"{path}{line}: is not valid YAML: {_bare(error.problem)}")
    except yaml.YAMLError:  # characters that YAML forbids; they carry no mark
        given.problems.append(f"{path}: is not valid YAML: it holds characters YAML forbids")
    return given


def read_environ(environ: Mapping[str, str], model: type[BaseModel]) -> Given:
    """The variables that start with `RELAY_`, with their names as origins. Empty ones are unset."""
    given = Given()
    paths = dict(_variables(model))
    for name in sorted(environ):
        text = environ[name]
        if not name.upper().startswith(PREFIX) or name.startswith(_TEST_PREFIX) or not text:
            continue
        path = paths.get(name)
        if path is None:
            if SEPARATOR in name or not _SERVICE_LINK.search(name):
                given.unknown_variables.append(name)
            continue
        try:
            value = _from_text(text, annotation_at(model, path))
        except ValueError as error:
            given.problems.append(f"{name}: {error}")
            continue
        _put(given, path, value, name)
    return given


def merge(low: Given, high: Given) -> Given:
    """Both together; where both give a value, `high` wins."""
    merged = Given(
        data=copy.deepcopy(_merge(low.data, high.data)),
        origins=dict(low.origins),
        problems=[*low.problems, *high.problems],
        unknown_variables=[*low.unknown_variables, *high.unknown_variables],
    )
    for loc in high.origins:
        if loc in merged.origins:  # what stood below a replaced value has no origin any more
            for below in [known for known in merged.origins if known[: len(loc)] == loc]:
                del merged.origins[below]
    merged.origins.update(high.origins)
    return merged


def drop_empty_groups(data: dict[str, Any], *models: type[BaseModel]) -> None:
    """Take out groups with nothing below them: a header whose lines are all commented out."""
    for model in models:
        for name, known in model.model_fields.items():
            groups = models_in(known.annotation)
            if groups and data.get(name, ...) is None and not is_optional(known.annotation):
                del data[name]
            elif groups and isinstance(data.get(name), dict):
                drop_empty_groups(data[name], *groups)


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

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        self.given.origins.setdefault(loc, self.at(node))
        if id(node) in self.open:
            self.problem(node, "an alias stands inside its own anchor")
            return None
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
                return int(node.value)
            case "float":
                return float(node.value)
            case "str":
                return node.value
            case _:
                self.problem(node, "tags (!…) are not used here; quote a value that starts with !")
                return None

    def problem(self, node: yaml.Node, text: str) -> None:
        self.given.problems.append(f"{self.at(node)}: {text}")

    def at(self, node: yaml.Node) -> str:
        return f"{self.name}:{node.start_mark.line + 1}"


def _bare(problem: str | None) -> str:
    """PyYAML's words up to the first quotation: what it quotes may be part of a secret."""
    text = re.split(r"[\"'`]", problem or "", maxsplit=1)[0].strip()
    return f"{text or 'cannot be parsed'} (quote values that hold special characters)"


def _variables(model: type[BaseModel]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every variable with its path: leaves, and groups, which take a JSON object."""
    for option in options(model):
        for length in range(1, len(option.path) + 1):
            path = option.path[:length]
            yield PREFIX + SEPARATOR.join(path).upper(), path


def _from_text(text: str, annotation: Any) -> Any:
    structured = bool(models_in(annotation)) or is_mapping(annotation)
    if structured or (is_many(annotation) and text.lstrip().startswith("[")):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"is not valid JSON (character {error.pos})") from None
    if is_many(annotation):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _put(given: Given, path: tuple[str, ...], value: Any, origin: str) -> None:
    here = given.data
    for key in path[:-1]:
        inner = here.setdefault(key, {})
        if not isinstance(inner, dict):  # a group's JSON was not an object: the model says so
            return
        here = inner
    old = here.get(path[-1])
    if isinstance(old, dict) and isinstance(value, dict):
        value = _merge(old, value)  # the variable with the longer name is the more precise one
    here[path[-1]] = value
    given.origins[path] = origin


def _merge(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merge(old, value)
        else:
            merged[key] = value
    return merged
