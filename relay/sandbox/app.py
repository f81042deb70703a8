"""The sandbox as one ASGI application: options in, the stand-ins behind their gate out.

Each stand-in is a module with `routes(state) -> list[Route]`. A new one is named in `STAND_INS`.
"""

from collections.abc import Callable, Mapping, Sequence
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
    tracking,
)
from relay.sandbox.gate import Gate
from relay.sandbox.options import SandboxOptions
from relay.sandbox.state import State

STAND_INS: tuple[Callable[[State], Sequence[BaseRoute]], ...] = (
    tracking.routes,
    document_imports.routes,
    mparticle.routes,
    digital_audience.routes,
    control.routes,
)


def create_app(options: SandboxOptions | None = None, clock: Clock | None = None) -> Starlette:
    """The application; its state is at `app.state.sandbox` for tests in the same process."""
    state = State(options or SandboxOptions(), clock or SystemClock())

    def refusal(path: str, status: int, text: str, headers: Mapping[str, str]) -> Response:
        del path  # One way to word an error so far.
        return envelopes.error(status, text, state.new_id(), headers=headers)

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
        routes=[route for stand_in in STAND_INS for route in stand_in(state)],
        middleware=[Middleware(Gate, state=state, refusal=refusal)],
        exception_handlers={HTTPException: http_error},
    )
    app.state.sandbox = state
    return app
