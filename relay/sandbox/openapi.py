"""The OpenAPI document of the sandbox: the stand-ins' paths in, `/openapi.json` out.

Made of the tables that the routes are served from and the models that bodies are held against.
A test lets schemathesis hold the document and the answers against each other.
"""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay import __version__
from relay.sandbox.documents import DatamartId, Text
from relay.sandbox.operations import Operations, paths_and_schemas

_STATUSES = {
    400: "Not valid; it says what.",
    401: "The token is missing or not accepted.",
    404: "No such resource, or nothing to list.",
    413: "The body is too large.",
}


def routes(operations: Operations) -> list[Route]:
    """The route that serves the document."""
    body = orjson.dumps(document(operations))

    async def openapi(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return [Route("/openapi.json", openapi, methods=["GET"])]


def _type_of(parameter: str) -> Any:
    return DatamartId if parameter == "datamartId" else Text


def document(operations: Operations) -> dict[str, Any]:
    """The whole document."""
    paths, schemas = paths_and_schemas(operations, _type_of, _STATUSES)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Relay sandbox",
            "version": __version__,
            "description": "A stand-in for the vendors' APIs, with faults on demand.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization"}
            },
        },
    }
