"""A YAML file of settings → raw values, each with its line; what is wrong is told, not raised.

A file that was named by mistake is one line, too: it is read up to a bound.
"""

from pathlib import Path

from relay.settings.sources import Given
from relay.yaml_text import read_yaml

_CHARACTERS_MAX = 1_000_000


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
        given.problems.append(f"{path}: is not UTF-8 text")
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
    return given
