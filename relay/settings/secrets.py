"""Secrets of the settings: every one has a twin that names a file: `password`, `password_file`.

A file is read once, unless the section has a field of its own for it: then whoever uses the
secret reads the file whenever it needs it.
"""

import contextlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from relay.secret_file import SecretUnreadable, read_secret
from relay.settings.options import FILE_SUFFIX, annotation_at, is_secret, options
from relay.settings.sources import Given


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
    for option in list(options(model)):
        parent = _find(given.data, option.path[:-1])
        key = option.path[-1]
        if parent is None or option.field is None or not is_secret(option.field.annotation):
            continue
        twin = key + FILE_SUFFIX
        if key in parent and twin in parent:
            _displace(given, option.path, low, high)
        own = (*option.path[:-1], twin)
        if twin in parent and annotation_at(model, own) is None:
            origin = given.origin(own)
            try:
                parent[key] = read_secret(Path(str(parent.pop(twin))))
            except SecretUnreadable as error:
                given.problems.append(f"{origin}: {'.'.join(own)}: {error}")
                parent[key] = "unread"  # reported once; not also as missing
            given.origins[option.path] = str(origin)


def _displace(given: Given, path: tuple[str, ...], low: Given, high: Given) -> None:
    key, twin = path[-1], path[-1] + FILE_SUFFIX
    above = _find(high.data, path[:-1]) or {}
    below = _find(low.data, path[:-1]) or {}
    parent = _find(given.data, path[:-1]) or {}
    if (key in above and twin in above) or (key in below and twin in below):
        where = given.origin(path)
        name = ".".join(path)
        given.problems.append(f"{where}: {name}: give this or {name}{FILE_SUFFIX}, not both")
        parent.pop(twin)
    else:
        parent.pop(twin if key in above else key)


def _find(data: Any, path: tuple[str, ...]) -> dict[str, Any] | None:
    for key in path:
        if not isinstance(data, dict):
            return None
        data = data.get(key)
    return data if isinstance(data, dict) else None
