"""A vendor's API in the sandbox: what it keeps, and the routes of its calls and its options."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from relay.sandbox.faults import explain
from relay.sandbox.state import State


class StandIn:
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


_StandIn = TypeVar("_StandIn", bound=StandIn)


def calls(
    state: State,
    kind: type[_StandIn],
    options: str,
    handlers: Mapping[tuple[str, str], Callable[[_StandIn, Request], Awaitable[Response]]],
) -> list[Route]:
    """The routes of a stand-in, by method and path, and the one of its options."""

    def route(method: str, path: str) -> Route:
        async def answer(request: Request) -> Response:
            stand_in = state.keep(kind)
            return stand_in.refusal(request) or await handlers[method, path](stand_in, request)

        return Route(path, answer, methods=[method])

    async def behaviour(request: Request) -> Response:
        stand_in = state.keep(kind)
        if request.method == "PUT":
            try:
                stand_in.options = type(stand_in.options).model_validate_json(await request.body())
            except ValidationError as error:
                return Response(explain(error), status_code=400)
        return JSONResponse(stand_in.shown())

    return [*(route(*call) for call in handlers), Route(options, behaviour, methods=["GET", "PUT"])]
