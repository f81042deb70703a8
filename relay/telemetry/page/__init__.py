"""The live page of the admin port: files of this folder, and who may see them.

One document, one style sheet, one script; no build step and nothing from elsewhere. The script asks
`status` and `settings` beside it, so any path prefix of a proxy works. What they say becomes text
in the document, never markup, and the content security policy lets nothing else run.
"""

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relay.telemetry.access import COOKIE, Access

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_TYPES = {
    "page.html": "text/html; charset=utf-8",
    "runbook.html": "text/html; charset=utf-8",
    "login.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "again.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_OPEN = frozenset({"login.html", "page.css", "icon.svg"})
_OFF = (
    "The page is off: the admin port listens beyond this machine and `admin.token` is not set.\n"
    "Set it (RELAY_ADMIN__TOKEN_FILE), or let `admin.host` be 127.0.0.1.\n"
    "/livez /readyz /metrics /status answer without it.\n"
)
_TOKEN_BYTES_MAX = 1024  # of the body that carries the token

Handler = Callable[[Request], Awaitable[Response]]


def page_routes(access: Access, settings: Mapping[str, Any]) -> list[Route]:
    """The page and what belongs to it. `settings` are shown as they are: secrets masked before."""

    async def masked(_request: Request) -> Response:
        content = orjson.dumps(settings, option=orjson.OPT_NON_STR_KEYS)
        return Response(content, media_type="application/json", headers=HEADERS)

    async def login(request: Request) -> Response:
        return await _login(request, access)

    routes = [Route(f"/{name}", guarded(access, _file(name), name)) for name in _TYPES]
    return [
        Route("/", guarded(access, _file("page.html"), "page.html")),
        Route("/runbook", guarded(access, _file("runbook.html"), "runbook.html")),
        Route("/settings", guarded(access, masked)),
        Route("/login", login, methods=["POST"]),
        *routes,
    ]


def guarded(access: Access, handler: Handler, name: str = "") -> Handler:
    """The handler, for requests that may look; others are answered 401 or 403.

    `name` is that of the file that it serves, where it serves one: some are for everybody.
    """

    async def guard(request: Request) -> Response:
        if access.is_off:
            return Response(_OFF, 403, HEADERS, media_type="text/plain")
        if name in _OPEN or access.may_look(request.headers, request.cookies):
            return await handler(request)
        if name.endswith(".html"):
            return Response(_content("login.html"), 401, HEADERS, media_type="text/html")
        return Response("the token of admin.token is needed\n", 401, HEADERS)

    return guard


async def body_of(request: Request, bytes_max: int) -> bytes | None:
    """The body; None of one that is longer, of which no more is read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            return None
    return bytes(body)


def _file(name: str) -> Handler:
    async def answer(_request: Request) -> Response:
        return Response(_content(name), headers={**HEADERS, "content-type": _TYPES[name]})

    return answer


async def _login(request: Request, access: Access) -> Response:
    """A form with the token → a cookie in its place, for this address only."""
    if access.token is None:
        return Response(_OFF if access.is_off else "there is no token to give\n", 403, HEADERS)
    body = await body_of(request, _TOKEN_BYTES_MAX)
    if body is None:
        return Response("too long for a token\n", 413, HEADERS)
    given = _field(body)
    if not access.is_token(given):
        return Response(_content("login.html"), 401, HEADERS, media_type="text/html")
    # Without a path the browser takes that of this request: right behind any prefix.
    answer = RedirectResponse("./", 303, HEADERS)
    answer.set_cookie(COOKIE, access.cookie(), path=None, httponly=True, samesite="strict")
    return answer


def _field(form: bytes) -> str:
    return next(iter(parse_qs(form.decode("utf-8", "replace")).get("token", [])), "")


def _content(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()
