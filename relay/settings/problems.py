"""What is wrong with given settings → one line each: where, which setting, what to do.

A line never repeats the value that was given: it may be a secret in the wrong place.
"""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from relay.settings.options import dotted, keys, models_at, options, variable
from relay.settings.sources import Given
from relay.yaml_text import Loc

_NEAR = 0.6  # difflib's own default: one or two letters of a word
_NEAR_ELSEWHERE = 0.8  # among all settings there is always one that is a little like it
_UNSHOWN = ("value_error", "assertion_error")
_MEANINGS = {
    "string_type": "should be text",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "path_type": "should be the path of a file",
    "model_type": "should be a mapping of settings",
    "model_attributes_type": "should be a mapping of settings",
    "dict_type": "should be a mapping of settings",
    **dict.fromkeys(
        ("tuple_type", "list_type", "set_type", "frozen_set_type"),
        "should be a list: [first, second], or each on a line of its own after a dash",
    ),
}
"""Kinds of error that pydantic tells in words of Python."""


def variable_problems(given: Given, model: type[BaseModel]) -> Iterator[str]:
    """A line for each variable with the prefix that is no setting."""
    known = [option.variable for option in options(model)]
    for name in given.unknown_variables:
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=_NEAR)
        yield f"{name}: unknown setting{_meant(near)}"


def model_problems(
    error: ValidationError, given: Given, model: type[BaseModel], path: Loc
) -> Iterator[tuple[bool, str]]:
    """A line for each error of the section at `path`, with whether it is only a missing value."""
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        loc = _real_loc(given.data, (*path, *detail["loc"]), detail["type"])
        yield detail["type"] == "missing", _line(detail, loc, given, model)


def unknown(loc: Loc, given: Given, model: type[BaseModel]) -> str:
    """The line for a key that is no setting, with the nearest one that is."""
    origin = given.origin(loc)
    level, key = loc[:-1], str(loc[-1])
    near = difflib.get_close_matches(key, keys(models_at(model, level)), n=1, cutoff=_NEAR)
    names = [dotted((*level, found)) for found in near]
    if not names:  # the right word on the wrong level, as a top-level `datamart_id`
        leaves: dict[str, str] = {}
        for option in options(model):
            leaves.setdefault(option.path[-1], option.name)
        close = difflib.get_close_matches(key, leaves, n=1, cutoff=_NEAR_ELSEWHERE)
        names = [leaves[leaf] for leaf in close]
    where = f"{origin}: " if origin else ""
    return f"{where}{dotted(loc)}: unknown setting{_meant(names)}"


def _line(detail: ErrorDetails, loc: Loc, given: Given, model: type[BaseModel]) -> str:
    origin = given.origin(loc)
    name = dotted(loc)
    if detail["type"] == "missing":
        names = [str(part) for part in loc]
        by_variable = not any(isinstance(part, int) for part in loc)
        hint = f", or {variable(names)} in the environment" if by_variable else ""
        file = "the settings file" if given.file else "./relay.yaml, or in a file named by --config"
        return f"{name}: required but not given; set it in {file}{hint}"
    if detail["type"] == "extra_forbidden":
        return unknown(loc, given, model)
    message = _message(detail)
    if detail["type"] == "string_pattern_mismatch":
        message += _example(name, model)
    if origin is None:
        return f"{name}: {message}" if name else message
    named = origin == variable([str(part) for part in loc])
    return f"{origin}: {message}" if named else f"{origin}: {name}: {message}"


def _example(name: str, model: type[BaseModel]) -> str:
    for option in options(model):
        if option.name == name and option.field is not None and option.field.examples:
            return f", as {option.field.examples[0]} does"
    return ""


def _message(detail: ErrorDetails) -> str:
    text = detail["msg"].split("\n", maxsplit=1)[0]
    if detail["type"] in _MEANINGS:
        return _MEANINGS[detail["type"]]
    if detail["type"] in _UNSHOWN:
        return text.partition(", ")[2]
    if detail["type"] in ("too_short", "too_long"):  # of texts, too, behind a validator or secret
        text = text.partition(" after validation")[0]
        if text.startswith("Value "):
            text = text.replace("item", "character")
    for what in ("Input ", "String ", "Value ", "Tuple ", "List "):
        text = text.removeprefix(what)
    return text


def _meant(near: Sequence[str]) -> str:
    return f"; did you mean {near[0]}?" if near else ""


def _real_loc(data: Any, loc: Loc, kind: str) -> Loc:
    """`loc` without the names of union members and validators that pydantic puts in it."""
    # Of each step that pydantic names: a key or an index that is in the data stays; the last one of
    # a missing value is not there yet, and stays; the first names the section. All others are
    # members of a union or validators, which mean nothing to whoever reads the line.
    real: list[str | int] = []
    here = data
    for index, part in enumerate(loc):
        in_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if in_list or (isinstance(here, dict) and part in here):
            here = here[part]
        elif not (kind == "missing" and index == len(loc) - 1) and index > 0:
            continue
        real.append(part)
    return tuple(real)
