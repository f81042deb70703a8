"""Secrets of the settings: every one has a twin that names a file: `password`, `password_file`.

A file is read once, unless the section has a field of its own for it: then whoever uses the
secret reads the file whenever it needs it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from relay.secret_file import SecretUnreadable, read_secret
from relay.settings.options import (
    FILE_SUFFIX,
    annotation_at,
    dotted,
    element_models,
    is_secret,
    options,
)
from relay.settings.sources import Given
from relay.yaml_text import Loc


def secret_values(group: BaseModel) -> list[str]:
    """Every secret below a group of settings, in clear: for whoever must keep them out of text."""
    found: list[str] = []
    for name, field in type(group).model_fields.items():
        value = getattr(group, name, None)
        file = getattr(group, name + FILE_SUFFIX, None)
        if is_secret(field.annotation) and isinstance(file, Path):
            with contextlib.suppress(SecretUnreadable):  # told by whoever needs it
                found.append(read_secret(file))
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, SecretStr):
                found.append(one.get_secret_value())
            elif isinstance(one, BaseModel):
                found += secret_values(one)
    return found


def resolve_secrets(given: Given, model: type[BaseModel], low: Given, high: Given) -> None:
    """Put what `…_file` keys point at in place of the keys, unless the model reads them itself.

    `low` and `high` are the two sources: a file named in one displaces a secret of the other.
    """
    for path in list(_secrets(given, model)):
        parent = _find(given.data, path[:-1])
        key = str(path[-1])
        if parent is None:
            continue
        twin = key + FILE_SUFFIX
        # A secret and a file for it, both given:
        #
        #     in the same source   a mistake, told
        #     in both sources      the environment wins, whichever of the two it gives
        if key in parent and twin in parent:
            _displace(given, path, low, high)
        own = (*path[:-1], twin)
        if twin in parent and annotation_at(model, own) is None:
            origin = given.origin(own)
            try:
                parent[key] = read_secret(Path(str(parent.pop(twin))))
            except SecretUnreadable as error:
                given.problems.append(f"{origin}: {dotted(own)}: {error}")
                parent[key] = "unread"  # reported once; not also as missing
            given.origins[path] = str(origin)


def _secrets(given: Given, model: type[BaseModel]) -> Iterator[Loc]:
    """Where secrets may stand: in sections, and in the elements of lists at the top."""
    for option in options(model):
        if option.field is None:
            continue
        if is_secret(option.field.annotation):
            yield option.path
        elements = element_models(option.field.annotation)
        listed = _at(given.data, option.path) if elements else None
        for number in range(len(listed) if isinstance(listed, list) else 0):
            for element in elements:
                yield from ((*option.path, number, *at) for at in _secrets(given, element))


def _displace(given: Given, path: Loc, low: Given, high: Given) -> None:
    key, twin = str(path[-1]), f"{path[-1]}{FILE_SUFFIX}"
    above = _find(high.data, path[:-1]) or {}
    below = _find(low.data, path[:-1]) or {}
    parent = _find(given.data, path[:-1]) or {}
    if (key in above and twin in above) or (key in below and twin in below):
        where = given.origin(path)
        name = dotted(path)
        given.problems.append(f"{where}: {name}: give this or {name}{FILE_SUFFIX}, not both")
        parent.pop(twin)
    else:
        parent.pop(twin if key in above else key)


def _find(data: Any, path: Loc) -> dict[str, Any] | None:
    found = _at(data, path)
    return found if isinstance(found, dict) else None


def _at(data: Any, path: Loc) -> Any:
    for step in path:
        if isinstance(step, int):
            data = data[step] if isinstance(data, list) and step < len(data) else None
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return data
