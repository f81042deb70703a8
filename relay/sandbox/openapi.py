"""The OpenAPI document of the sandbox: the stand-ins' paths in, `/openapi.json` out.

Written by hand from what the stand-ins do, not generated from it: a test lets schemathesis hold
the two against each other.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay import __version__
from relay.sandbox import control_openapi
from relay.sandbox.stand_in import StandIn


def routes(stand_ins: Sequence[StandIn]) -> list[Route]:
    """The route that serves the document."""
    body = orjson.dumps(document(stand_ins))

    async def openapi(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return [Route("/openapi.json", openapi, methods=["GET"])]


def document(stand_ins: Sequence[StandIn]) -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Relay sandbox",
            "version": __version__,
            "description": "A stand-in for the vendors' APIs, with faults on demand.",
        },
        "paths": control_openapi.PATHS
        | {path: item for s in stand_ins for path, item in s.paths.items()},
        "components": {
            "schemas": control_openapi.SCHEMAS
            | {name: schema for s in stand_ins for name, schema in s.schemas.items()},
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization"}
            },
        },
    }
