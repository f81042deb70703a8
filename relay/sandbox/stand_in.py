"""A vendor's API in the sandbox: what it keeps, and the routes of its calls and its options."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from relay.sandbox.faults import explain
from relay.sandbox.state import State


class Room:
    """What a stand-in keeps, and how it behaves."""

    options: Any
    """A model; `PUT` at its address changes it."""

    def __init__(self, state: State) -> None:
        self._state = state

    def refusal(self, _: Request) -> Response | None:
        """Why a caller is not served."""
        return None

    def shown(self) -> object:
        """What `GET` at the address of the options tells."""
        return self.options.model_dump()


_Room = TypeVar("_Room", bound=Room)


def calls(
    state: State,
    kind: type[_Room],
    options: str,
    handlers: Mapping[tuple[str, str], Callable[[_Room, Request], Awaitable[Response]]],
) -> list[Route]:
    """The routes of a stand-in, by method and path, and the one of its options."""

    def route(method: str, path: str) -> Route:
        async def answer(request: Request) -> Response:
            here = state.keep(kind, lambda: kind(state))
            return here.refusal(request) or await handlers[method, path](here, request)

        return Route(path, answer, methods=[method])

    async def behaviour(request: Request) -> Response:
        here = state.keep(kind, lambda: kind(state))
        if request.method == "PUT":
            try:
                here.options = type(here.options).model_validate_json(await request.body())
            except ValidationError as error:
                return Response(explain(error), status_code=400)
        return JSONResponse(here.shown())

    return [*(route(*call) for call in handlers), Route(options, behaviour, methods=["GET", "PUT"])]
