"""`/dead-letters/again`: what the page asks for, to send a selection of dead letters again.

| request | token | answer |
|---|---|---|
| GET of whoever may look | not needed | `allowed`: `yes`, `token` or `off`, as a POST would meet |
| POST | no `admin.token` in the settings | 403 |
| POST | missing or wrong | 401 |
| POST of a second selection | right, while the first is under way | 409 |
| POST that cannot be meant | right | 400, with the reason |
| POST | right; Kafka does not answer or refuses | 502, with the reason |
| POST | right | 200, the counts of `ReplayResult` |

The body is JSON: `codes` (of dead letters), `positions` (of letters or records), `since` (a time or
an age), `dry_run` (only count). One of `codes` and `positions` must restrict what is meant.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.errors import InputError, RelayError
from relay.telemetry.access import Access
from relay.telemetry.page import HEADERS, body_of, guarded

PATH = "/dead-letters/again"
_BODY_BYTES_MAX = 65_536
_POSITIONS_MAX = 500


class ReplayRequest(BaseModel):
    """The selection of one request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    codes: tuple[str, ...] = Field((), max_length=_POSITIONS_MAX)
    positions: tuple[str, ...] = Field((), max_length=_POSITIONS_MAX)
    since: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What was found, and what was sent where."""

    letters: int
    truncated: int
    """Found and left alone: only a part of their record is there."""
    more: bool
    """Whether others are left: a request is bounded."""
    by_topic: dict[str, int] = field(default_factory=dict)


Replay = Callable[[ReplayRequest], Awaitable[ReplayResult]]
"""Sends what is meant, or only counts it; raises a `RelayError`."""


def replay_route(access: Access, send: Replay) -> Route:
    """The route. `send` is called for one request at a time."""
    under_way = False

    async def answer(request: Request) -> Response:
        nonlocal under_way
        if request.method != "POST":
            return _json({"allowed": _allowed(access, request)})
        refused = _refused(access, request)
        if refused is not None:
            return refused
        if under_way:
            return _told(409, "another selection is being sent: wait for it")
        under_way = True
        try:
            return _json(asdict(await send(await _wanted(request))))
        except InputError as error:
            return _told(400, str(error))
        except RelayError as error:
            return _told(502, str(error))
        finally:
            under_way = False

    return Route(PATH, guarded(access, answer), methods=["GET", "POST"])


def _refused(access: Access, request: Request) -> Response | None:
    match _allowed(access, request):
        case "off":
            return _told(403, "admin.token is not set: nothing can be changed from here")
        case "token":
            return _told(401, "the token of admin.token is needed")
        case _:
            return None


def _allowed(access: Access, request: Request) -> str:
    if access.token is None:
        return "off"
    return "yes" if access.may_act(request.headers, request.cookies) else "token"


async def _wanted(request: Request) -> ReplayRequest:
    """The body, checked.

    Raises:
        InputError: It is no selection, or one of everything.
    """
    body = await body_of(request, _BODY_BYTES_MAX)
    if body is None:
        raise InputError(f"longer than {_BODY_BYTES_MAX} bytes")
    try:
        wanted = ReplayRequest.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the body"
        raise InputError(f"{where}: {problem['msg']}") from None
    if not wanted.codes and not wanted.positions:
        raise InputError("nothing restricts the dead letters: give codes or positions")
    return wanted


def _told(status: int, problem: str) -> Response:
    return _json({"problem": problem}, status)


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, HEADERS, media_type="application/json")
