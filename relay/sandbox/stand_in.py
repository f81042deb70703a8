"""What one vendor's API hands to the application that serves it: its routes and its manners."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from relay.sandbox.faults import explain
from relay.sandbox.operations import Operations
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
    operations: Operations = field(default_factory=dict)
    """What of it is in the document at `/openapi.json`."""


def as_json(document: object, status: int = 200) -> Response:
    """An answer."""
    return Response(orjson.dumps(document), status_code=status, media_type="application/json")


class Room:
    """What a stand-in keeps, and how it behaves."""

    options: Any
    """A model; `PUT` at its address changes it."""

    def refusal(self, _: Request) -> Response | None:
        """Why a caller is not served."""
        return None

    def changed(self) -> None:
        """There are other options from now on."""


_Room = TypeVar("_Room", bound=Room)


def calls(
    room: Callable[[], _Room],
    options: str,
    handlers: Mapping[tuple[str, str], Callable[[_Room, Request], Awaitable[Response]]],
) -> list[Route]:
    """The routes of a stand-in, by method and path, and the one of its options."""

    def route(method: str, path: str) -> Route:
        async def answer(request: Request) -> Response:
            here = room()
            return here.refusal(request) or await handlers[method, path](here, request)

        return Route(path, answer, methods=[method])

    async def behaviour(request: Request) -> Response:
        here = room()
        if request.method == "PUT":
            try:
                here.options = type(here.options).model_validate_json(await request.body())
            except ValidationError as error:
                return Response(explain(error), status_code=400)
            here.changed()
        return Response(here.options.model_dump_json(), media_type="application/json")

    return [*(route(*call) for call in handlers), Route(options, behaviour, methods=["GET", "PUT"])]
