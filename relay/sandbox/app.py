"""The sandbox as one ASGI application: options in, the stand-ins behind their gate out.

Each stand-in is a module with `routes(state) -> list[Route]`; what it keeps, it keeps with
`State.keep`, so that a reset forgets it.
"""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

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
from relay.sandbox.state import State


def create_app(options: SandboxOptions | None = None, clock: Clock | None = None) -> Starlette:
    """The application; its state is at `app.state.sandbox` for tests in the same process."""
    state = State(options or SandboxOptions(), clock or SystemClock())

    async def http_error(_: Request, exception: Exception) -> Response:
        """No such path, or not with that method."""
        status, text, headers = 500, "Internal Server Error", {}
        if isinstance(exception, HTTPException):
            status, text = exception.status_code, exception.detail
            headers = dict(exception.headers or {})
        if status == HTTPStatus.NOT_FOUND:
            text = envelopes.NOT_FOUND
        return envelopes.error(status, text, state.new_id(), headers=headers)

    app = Starlette(
        routes=[
            *tracking.routes(state),
            *user_points_api.routes(state),
            *document_imports.routes(state),
            *mparticle.routes(state),
            *digital_audience.routes(state),
            *control.routes(state),
            *openapi.routes(
                {**control.OPERATIONS, **tracking.OPERATIONS, **user_points_api.operations()}
            ),
        ],
        middleware=[Middleware(FaultMiddleware, state=state)],
        exception_handlers={HTTPException: http_error},
    )
    app.state.sandbox = state
    return app
