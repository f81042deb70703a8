"""What a route takes and answers, beside its handler: the table that serves and documents it."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import getdoc
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaValue

Handler = TypeVar("Handler", bound=Callable[..., Any])
_PARAMETER = re.compile(r"\{(\w+)\}")
_NO_CONTENT = "204"


@dataclass(frozen=True, slots=True)
class Operation(Generic[Handler]):
    """One method at one path. Its words in the document are the handler's docstring."""

    handler: Handler
    answer: Any = None
    """Type of what it answers with; None: nothing."""

    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    """Each field is a parameter."""

    refusals: Mapping[int, Any] = field(default_factory=dict)
    """Type of what it answers with, by status."""

    media_type: str = "application/json"
    secured: bool = False

    def types(self) -> Iterable[Any]:
        """All types that the document has to explain."""
        yield from (t for t in (self.answer, self.body, *self.refusals.values()) if t is not None)


Operations = Mapping[str, Mapping[str, Operation[Any]]]
"""By path, then by method. A path's parameters are in braces."""


def paths_and_schemas(
    operations: Operations, type_of: Callable[[str], Any], texts: Mapping[int, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts `paths` and `components.schemas` of an OpenAPI document.

    `type_of` has the type of a path's parameter by its name, `texts` what a status means.
    """
    every = [operation for methods in operations.values() for operation in methods.values()]
    types = [type_of(name) for path in operations for name in _PARAMETER.findall(path)]
    types += [known for operation in every for known in operation.types()]
    schemas, definitions = TypeAdapter.json_schemas(
        [(repr(known), "validation", TypeAdapter(known)) for known in types],
        ref_template="#/components/schemas/{model}",
    )

    def of(known: Any) -> JsonSchemaValue:
        return schemas[repr(known), "validation"]

    paths = {
        path: {
            "parameters": [
                _parameter("path", name, of(type_of(name)), required=True)
                for name in _PARAMETER.findall(path)
            ],
            **{
                method.lower(): _item(operation, of, texts) for method, operation in methods.items()
            },
        }
        for path, methods in operations.items()
    }
    return paths, definitions.get("$defs", {})


def _item(
    operation: Operation[Any], of: Callable[[Any], JsonSchemaValue], texts: Mapping[int, str]
) -> dict[str, Any]:
    summary, _, description = (getdoc(operation.handler) or "").partition("\n\n")
    item: dict[str, Any] = {"summary": summary}
    if description:
        item["description"] = description
    if operation.secured:
        item["security"] = [{"token": []}]
    if operation.query is not None:
        item["parameters"] = _query(operation.query)
    if operation.body is not None:
        item["requestBody"] = {"required": True, "content": _content(of(operation.body))}
    item["responses"] = {
        str(status): {"description": texts[status], "content": _content(of(known))}
        for status, known in operation.refusals.items()
    }
    if operation.answer is None:
        item["responses"][_NO_CONTENT] = {"description": "Done."}
    else:
        content = _content(of(operation.answer), operation.media_type)
        item["responses"]["200"] = {"description": "Done.", "content": content}
    return item


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    known = model.model_json_schema()
    return [
        _parameter("query", name, schema, required=name in known.get("required", ()))
        for name, schema in known["properties"].items()
    ]


def _parameter(
    where: str, name: str, schema: Mapping[str, Any], *, required: bool
) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if value is not None}
    description = kept.pop("description", "")
    return {
        "name": name,
        "in": where,
        "required": required,
        "schema": kept,
        "description": description,
    }


def _content(schema: JsonSchemaValue, media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": schema}}
