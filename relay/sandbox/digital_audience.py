"""Stand-in for Digital Audience: a session cookie, and segments that can be moved and deleted.

The page shows no answers: they are empty, or what they most likely are. Paths are those of the
page's headings and samples, in any case.
"""

import re
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.sandbox.state import State

_COOKIE = "digitalAudience"
_PAGE = "<!DOCTYPE html><html></html>"
_ID = re.compile(r"/segment/(?:loadsegmentbyid/)?(\d+)")


class AudienceOptions(BaseModel):
    """How the API behaves; `PUT /_sandbox/digital_audience` changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    password: str | None = Field(default=None, description="None: any, but some.")
    empty_answers: bool = Field(default=False, description="As on the page: nothing but a status.")
    page: bool = Field(default=False, description="Calls are carried out and answered by a page.")


class Room:
    """What the vendor keeps."""

    def __init__(self, _: State) -> None:
        self.options = AudienceOptions()
        self.sessions: set[str] = set()
        self.audiences: list[dict[str, Any]] = []
        end = "2025-12-16T11:36:10.6878666Z"
        self.segments: dict[int, dict[str, Any]] = {
            501: {"segmentId": 501, "audienceId": 77, "name": "Churn NL", "endDate": end}
        }


def routes(state: State) -> list[Route]:
    """Every path that is none of another stand-in's, and the one by which a test looks inside."""

    def room() -> Room:
        return state.keep(Room, lambda: Room(state))

    async def behave(request: Request) -> Response:
        if request.method == "PUT":
            room().options = AudienceOptions.model_validate_json(await request.body())
        shown = {"audiences": room().audiences, "segments": list(room().segments.values())}
        return Response(orjson.dumps(shown), media_type="application/json")

    async def answer(request: Request) -> Response:
        body, path = await request.body(), request.url.path.lower().removeprefix("/api")
        given = orjson.loads(body) if body else {}
        if path == "/account/login":
            return _log_in(room(), state, given)
        if request.cookies.get(_COOKIE) not in room().sessions:
            return Response(status_code=401)
        if path.startswith("/segment/spa/"):  # a single-page app is at home there
            return Response(_PAGE, media_type="text/html")
        found = _carry_out(room(), request.method, path, given)
        if found is None:
            return Response(status_code=404)
        if room().options.page:
            return Response(_PAGE, media_type="text/html")
        content = b"" if room().options.empty_answers else orjson.dumps({"data": found})
        return Response(content, media_type="application/json")

    roots = ("account", "segment", "Segment", "organisation", "audience", "api")
    paths = [f"/{root}/{{rest:path}}" for root in roots]
    calls = [Route(path, answer, methods=["GET", "POST", "DELETE"]) for path in paths]
    return [*calls, Route("/_sandbox/digital_audience", behave, methods=["GET", "PUT"])]


def _log_in(room: Room, state: State, given: dict[str, Any]) -> Response:
    password = given.get("password")
    if not given.get("userName") or password != (room.options.password or password or ""):
        return Response(b'{"data":false}', media_type="application/json")
    answer = Response(b'{"data":true}', media_type="application/json")
    room.sessions.add(session := state.new_id())
    answer.set_cookie(_COOKIE, session, httponly=True)
    answer.set_cookie("other", "not-ours")
    return answer


def _carry_out(room: Room, method: str, path: str, given: dict[str, Any]) -> Any:
    """What the call answers; None where there is no such thing."""
    if path.endswith("createcrmaudience"):
        room.audiences.append({"id": 9000 + len(room.audiences), **given})
        return room.audiences[-1]
    if path.startswith("/organisation/"):
        return [{"id": 12, "name": "Account", "accessToken": "secret-of-the-account"}]
    if path.startswith("/segment/audience:"):
        audience = path.removeprefix("/segment/audience:")
        return [s for s in room.segments.values() if str(s["audienceId"]) == audience]
    if path == "/segment/updateenddate" and given.get("segmentid") in room.segments:
        room.segments[given["segmentid"]]["endDate"] = given["endDate"]
        return True
    segment = _ID.fullmatch(path)
    if segment is None:
        return None
    number = int(segment.group(1))
    return room.segments.pop(number, None) if method == "DELETE" else room.segments.get(number)
