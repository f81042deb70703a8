"""Settings models → a flat list of what can be set: path, variable, type, default, description.

Everything that has to know the whole set reads it here: the environment, the nearest-name
suggestions, the reference page and the example files.
"""

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

PREFIX = "RELAY_"
SEPARATOR = "__"
FILE_SUFFIX = "_file"


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be set. `field` is None for the `…_file` twin of a secret."""

    path: tuple[str, ...]
    field: FieldInfo | None

    @property
    def name(self) -> str:
        """How the option is written in the docs: dots between levels."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable(self.path)


def variable(path: Sequence[str]) -> str:
    """The environment variable for a path of keys."""
    return PREFIX + SEPARATOR.join(path).upper()


def options(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Option]:
    """Every leaf that can be set below a model: its own first, then those of its policies."""
    for name in _nearest_first(model):
        field = model.model_fields[name]
        here = (*path, name)
        groups = models_in(field.annotation)
        if not groups:
            yield Option(here, field)
            if is_secret(field.annotation) and name + FILE_SUFFIX not in model.model_fields:
                yield Option((*path, name + FILE_SUFFIX), None)
        seen: set[tuple[str, ...]] = set()
        for group in groups:
            for option in options(group, here):
                if option.path not in seen:  # members of a union share keys, as `protocol`
                    seen.add(option.path)
                    yield option


def _nearest_first(model: type[BaseModel]) -> list[str]:
    declared = (name for part in model.__mro__ for name in inspect.get_annotations(part))
    return [name for name in dict.fromkeys(declared) if name in model.model_fields]


def models_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[type[BaseModel]]:
    """The models that a value at `loc` may be an instance of; a number steps into a list."""
    annotations: list[Any] = [model]
    for step in loc:
        if isinstance(step, int):
            inner = [item for annotation in annotations for item in _items(annotation)]
        else:
            inner = [
                known.model_fields[step].annotation
                for annotation in annotations
                for known in models_in(annotation)
                if step in known.model_fields
            ]
        annotations = inner
    return [known for annotation in annotations for known in models_in(annotation)]


def keys(models: Sequence[type[BaseModel]]) -> list[str]:
    """The keys that may stand at one level."""
    known: list[str] = []
    for model in models:
        for name, field in model.model_fields.items():
            known.append(name)
            if is_secret(field.annotation):
                known.append(name + FILE_SUFFIX)
    return list(dict.fromkeys(known))


def is_optional(annotation: Any) -> bool:
    """Whether null is a value of its own."""
    return type(None) in _members(annotation)


def annotation_at(model: type[BaseModel], path: Sequence[str | int]) -> Any:
    """The type of the field at a path, or None where the models know no such field."""
    for parent in models_at(model, path[:-1]):
        if path[-1] in parent.model_fields:
            return parent.model_fields[path[-1]].annotation
    return None


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of this type may be: itself, or members of a union."""
    return [
        member
        for member in _members(annotation)
        if isinstance(member, type) and issubclass(member, BaseModel)
    ]


def element_models(annotation: Any) -> list[type[BaseModel]]:
    """The models that the elements of a list may be; none where it is no list of models."""
    lists = [one for one in _members(annotation) if get_origin(one) in (list, tuple)]
    return [model for many in lists for one in get_args(many) for model in models_in(one)]


def dotted(loc: Sequence[str | int]) -> str:
    """How a setting is written: dots between levels, numbers of list elements in brackets."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def is_secret(annotation: Any) -> bool:
    """Whether the value must never be shown."""
    return any(member in (SecretStr, SecretBytes) for member in _members(annotation))


def is_many(annotation: Any) -> bool:
    """Whether the value is a list (or a set, or a tuple): commas separate it in a variable."""
    many = (list, tuple, set, frozenset)
    return any((get_origin(member) or member) in many for member in _members(annotation))


def is_mapping(annotation: Any) -> bool:
    """Whether the value is a free mapping: JSON in a variable."""
    return any(
        isinstance(origin := get_origin(member) or member, type) and issubclass(origin, Mapping)
        for member in _members(annotation)
    )


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    elif annotation is not None:
        yield annotation


def _items(annotation: Any) -> Iterator[Any]:
    for member in _members(annotation):
        yield from get_args(member)
