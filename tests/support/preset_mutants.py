"""A mapping → the same with one small mistake in it, for each mistake that is easily made."""

import re
from collections.abc import Iterator
from typing import Any

_PATH = re.compile(r"(?<![\w\"$.])\^*\.[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*")
_TRANSFORM = re.compile(r" \| [a-z_0-9]+(?:\((?:[^()\"]|\"[^\"]*\")*\))?\??")
_WORDS = (
    (" == ", " != "),
    (" != ", " == "),
    (" and ", " or "),
    (" or ", " and "),
    (" not in ", " in "),
    (" in ", " not in "),
    ("not ", ""),
    ("true", "false"),
)


def mutants(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each place with what was done there, and the mapping with that mistake."""
    for section in ("events", "no_user"):
        if section in data:
            yield f"{section} left out", {k: v for k, v in data.items() if k != section}
    for section in ("tables", "events", "all", "rules"):
        if section in data:
            for place, mutant in _of(data[section], section):
                yield place, data | {section: mutant}


def _of(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for key, inner in value.items():
                if key in {"name", "reason"}:
                    continue
                yield f"{place}.{key} left out", {k: v for k, v in value.items() if k != key}
                for where, mutant in _of(inner, f"{place}.{key}"):
                    yield where, {**value, key: mutant}
        case list():
            for at, inner in enumerate(value):
                yield f"{place}[{at}] left out", [*value[:at], *value[at + 1 :]]
                for where, mutant in _of(inner, f"{place}[{at}]"):
                    yield where, [*value[:at], mutant, *value[at + 1 :]]
        case str():
            for mutant in dict.fromkeys(_texts(value)):
                yield f"{place}: {value}  ->  {mutant}", mutant


def _texts(text: str) -> Iterator[str]:
    if text[:1] not in tuple('.^@"({') and "{." not in text:
        yield text + "x"
        return
    for found in _PATH.finditer(text):
        yield text[: found.end()] + "x" + text[found.end() :]
    for found in _TRANSFORM.finditer(text):
        yield text[: found.start()] + text[found.end() :]
    if " // " in text and "(" not in text:
        parts = text.split(" // ")
        for at in range(len(parts)):
            yield " // ".join([*parts[:at], *parts[at + 1 :]])
    for word, other in _WORDS:
        for found in re.finditer(re.escape(word), text):
            yield text[: found.start()] + other + text[found.end() :]
