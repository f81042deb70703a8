"""The vocabulary in which the stand-ins write their parts of the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def ref(name: str) -> Json:
    """One of `#/components/schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> Json:
    """An object with these properties and any others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


def optional(schema: Json) -> Json:
    """This, or null."""
    return {"anyOf": [{"type": "null"}, schema]}


def answer(description: str, schema: Json) -> Json:
    """A response with a JSON body."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def json_body(schema: Json) -> Json:
    """A request body that must be there."""
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def parameter(name: str, where: str, schema: Json, description: str = "") -> Json:
    """A parameter of the path (then it is required) or the query."""
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": description,
    }
