"""What one vendor's API hands to the application that serves it: its routes and its manners."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from relay.sandbox.faults import explain
from relay.sandbox.state import State

# (state, status, text, headers) -> an error as this API words it.
Refusal = Callable[[State, int, str, Mapping[str, str]], Response]


@dataclass(frozen=True, slots=True)
class StandIn:
    """A stand-in for a vendor's API."""

    prefix: str
    """Where its paths begin: errors and faults of these paths are worded by `refusal`."""

    routes: Callable[[State], Sequence[BaseRoute]]
    refusal: Refusal
    paths: Mapping[str, Any] = field(default_factory=dict)
    """Its paths in the document at `/openapi.json`."""

    schemas: Mapping[str, Any] = field(default_factory=dict)
    """What its paths refer to under `#/components/schemas/`."""


def as_json(document: object, status: int = 200) -> Response:
    """An answer."""
    return Response(orjson.dumps(document), status_code=status, media_type="application/json")


class Serves(Protocol):
    """A stand-in that looks at callers first."""

    def refusal(self, request: Request) -> Response | None:
        """Why a caller is not served."""
        ...


_Room = TypeVar("_Room", bound=Serves)


def calls(
    room: Callable[[], _Room],
    handlers: Mapping[tuple[str, str], Callable[[_Room, Request], Awaitable[Response]]],
) -> list[Route]:
    """The routes of a stand-in, by method and path."""

    def route(method: str, path: str) -> Route:
        async def answer(request: Request) -> Response:
            here = room()
            return here.refusal(request) or await handlers[method, path](here, request)

        return Route(path, answer, methods=[method])

    return [route(*call) for call in handlers]


class Behaves(Protocol):
    """A stand-in that can be told how to behave."""

    options: Any

    def changed(self) -> None:
        """There are other options from now on."""
        ...


def behaviour(path: str, room: Callable[[], Behaves]) -> Route:
    """The route that shows the options of a stand-in, and changes them."""

    async def answer(request: Request) -> Response:
        here = room()
        options: BaseModel = here.options
        if request.method == "PUT":
            try:
                here.options = options = options.model_validate_json(await request.body())
            except ValidationError as error:
                return Response(explain(error), status_code=400)
            here.changed()
        return Response(options.model_dump_json(), media_type="application/json")

    return Route(path, answer, methods=["GET", "PUT"])
