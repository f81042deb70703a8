"""The sandbox as one ASGI application: options in, the stand-ins behind their gate out.

Each stand-in is a module with `routes(state) -> list[Route]`. A new one is named in `STAND_INS`;
what it keeps, it keeps with `State.keep`, so that a reset forgets it.
"""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from relay.clock import Clock, SystemClock
from relay.sandbox import (
    control,
    digital_audience,
    document_imports,
    envelopes,
    mparticle,
    openapi,
    tracking,
    user_points_api,
)
from relay.sandbox.fault_middleware import FaultMiddleware
from relay.sandbox.options import SandboxOptions
from relay.sandbox.stand_in import StandIn
from relay.sandbox.state import State


def create_app(options: SandboxOptions | None = None, clock: Clock | None = None) -> Starlette:
    """The application; its state is at `app.state.sandbox` for tests in the same process."""
    state = State(options or SandboxOptions(), clock or SystemClock())

    def refusal(path: str, status: int, text: str, headers: Mapping[str, str]) -> Response:
        words = next((s.refusal for s in STAND_INS if path.startswith(s.prefix)), mediarithmics)
        return words(state, status, text, headers)

    async def http_error(request: Request, exception: Exception) -> Response:
        """No such path, or not with that method."""
        status, text, headers = 500, "Internal Server Error", {}
        if isinstance(exception, HTTPException):
            status, text = exception.status_code, exception.detail
            headers = dict(exception.headers or {})
        if status == HTTPStatus.NOT_FOUND:
            text = envelopes.NOT_FOUND
        return refusal(request.url.path, status, text, headers)

    app = Starlette(
        routes=[
            *(route for stand_in in STAND_INS for route in stand_in.routes(state)),
            *control.routes(state),
            *openapi.routes(STAND_INS),
        ],
        middleware=[Middleware(FaultMiddleware, state=state, refusal=refusal)],
        exception_handlers={HTTPException: http_error},
    )
    app.state.sandbox = state
    return app


def _tracking(state: State) -> list[BaseRoute]:
    return [*tracking.routes(state), *user_points_api.routes(state)]


def mediarithmics(state: State, status: int, text: str, headers: Mapping[str, str]) -> Response:
    """An error as mediarithmics words it."""
    return envelopes.error(status, text, state.new_id(), headers=headers)


STAND_INS: tuple[StandIn, ...] = (
    StandIn(
        "/v1/datamarts/",
        _tracking,
        mediarithmics,
        {**tracking.OPERATIONS, **user_points_api.operations()},
    ),
    StandIn("/v1/datamarts/", document_imports.routes, mediarithmics),
    StandIn("/service/", mparticle.routes, mediarithmics),
    StandIn("/segment/", digital_audience.routes, mediarithmics),
)
