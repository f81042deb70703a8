"""A YAML file of settings → raw values, each with its line; what is wrong is told, not raised.

A file that was named by mistake is one line, too: it is read up to a bound.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from relay.settings.options import variable
from relay.settings.sources import Given
from relay.yaml_text import Loc, read_yaml

_CHARACTERS_MAX = 1_000_000  # far beyond a file with every setting and many mappings
_GZIP = b"\x1f\x8b"
_SHELL_VARIABLE = re.compile(r"\$\{\w+[^}]*\}")
_OWN_LANGUAGE = "mappings"
"""The section whose texts may hold `${`: they are of the mapping language."""


def read_file(path: Path) -> Given:
    """A YAML file, with `file:line` as the origin of every key."""
    given = Given()
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_CHARACTERS_MAX + 1)
    except FileNotFoundError:
        given.problems.append(f"{path}: no such file")
        return given
    except UnicodeDecodeError:
        packed = _begins_with(path, _GZIP)
        why = "is compressed by gzip: unpack it first" if packed else "is not UTF-8 text"
        given.problems.append(f"{path}: {why}")
        return given
    except OSError as error:
        given.problems.append(f"{path}: cannot be read: {error.strerror}")
        return given
    if len(text) > _CHARACTERS_MAX:
        given.problems.append(f"{path}: has more than {_CHARACTERS_MAX} characters: not settings?")
        return given
    read = read_yaml(text, str(path))
    if isinstance(read.data, dict):
        given.data = read.data
    elif read.data is not None:
        given.problems.append(f"{path}:1: must be a mapping of sections to settings")
    given.origins = read.origins
    given.problems.extend(read.problems)
    given.problems.extend(_shell_variables(given))
    return given


def _begins_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _shell_variables(given: Given) -> Iterator[str]:
    """A line for each `${NAME}`: nothing replaces it, so the setting would be that very text."""
    for loc, text in _texts(given.data, ()):
        if loc[0] != _OWN_LANGUAGE and _SHELL_VARIABLE.search(text):
            keys = [str(part) for part in loc if not isinstance(part, int)]
            yield (
                f"{given.origin(loc)}: {'.'.join(keys)}: variables as ${{NAME}} are not replaced "
                f"here; leave the key out and set {variable(keys)} in the environment"
            )


def _texts(value: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*loc, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*loc, number))
