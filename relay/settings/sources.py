"""A YAML file (`yaml_file`) and the environment → one tree of values, each with its origin.

Nothing is judged here except what cannot be read at all: the models judge. The environment is
read here and nowhere else. pydantic-settings would do the merging, but it stops at the first
variable that it cannot parse, ignores the ones it does not know, and forgets file and line.
"""

import copy
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
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
from relay.yaml_text import Loc

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
    file: bool = True
    """Whether a file was read, besides the environment."""

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


def read_environ(environ: Mapping[str, str], model: type[BaseModel]) -> Given:
    """The variables that start with `RELAY_`, with their names as origins. Empty ones are unset."""
    given = Given()
    paths = dict(_variables(model))
    for name in sorted(environ):
        text = environ[name]
        if not name.upper().startswith(PREFIX) or name.startswith(_TEST_PREFIX) or not text:
            continue
        # A variable with our prefix that is no setting is told, since a misspelt one would be
        # silently without effect. But not what Kubernetes sets by itself for a Service called
        # `relay`.
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


def _variables(model: type[BaseModel]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every variable with its path: leaves, and groups, which take a JSON object."""
    for option in options(model):
        for length in range(1, len(option.path) + 1):
            path = option.path[:length]
            yield PREFIX + SEPARATOR.join(path).upper(), path


def _from_text(text: str, annotation: Any) -> Any:
    structured = bool(models_in(annotation)) or is_mapping(annotation)
    # By what the setting is: groups and maps are JSON; a list is JSON where it begins with a
    # bracket, else words between commas; all others are text, and the model reads it.
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
