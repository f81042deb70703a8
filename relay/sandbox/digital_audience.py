"""Stand-in for Digital Audience: a session cookie, and segments that can be moved and deleted.

The page shows no answers: they are empty, or what they most likely are. Paths are those of the
page's headings and samples, in any case.
"""

import re
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from relay.sandbox.stand_in import StandIn, calls
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


class DigitalAudience(StandIn):
    """What the vendor keeps."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.options: AudienceOptions = AudienceOptions()
        self.sessions: set[str] = set()
        self.audiences: list[dict[str, Any]] = []
        end = "2025-12-16T11:36:10.6878666Z"
        self.segments: dict[int, dict[str, Any]] = {
            501: {"segmentId": 501, "audienceId": 77, "name": "Churn NL", "endDate": end}
        }

    def shown(self) -> object:
        """What tests look at."""
        return {"audiences": self.audiences, "segments": list(self.segments.values())}

    async def answer(self, request: Request) -> Response:
        """Any call."""
        body, path = await request.body(), request.url.path.lower().removeprefix("/api")
        given = orjson.loads(body) if body else {}
        if path == "/account/login":
            return self._log_in(given)
        if request.cookies.get(_COOKIE) not in self.sessions:
            return Response(status_code=401)
        if path.startswith("/segment/spa/"):  # a single-page app is at home there
            return HTMLResponse(_PAGE)
        found = _carry_out(self, request.method, path, given)
        if found is None:
            return Response(status_code=404)
        if self.options.page:
            return HTMLResponse(_PAGE)
        empty = self.options.empty_answers
        return Response(media_type="application/json") if empty else JSONResponse({"data": found})

    def _log_in(self, given: dict[str, Any]) -> Response:
        password = given.get("password")
        known = given.get("userName") and password == (self.options.password or password or "")
        answer = JSONResponse({"data": bool(known)})
        if known:
            self.sessions.add(session := self._state.new_id())
            answer.set_cookie(_COOKIE, session, httponly=True)
            answer.set_cookie("other", "not-ours")
        return answer


def routes(state: State) -> list[Route]:
    """Every path that is none of another stand-in's."""
    roots = ("account", "segment", "Segment", "organisation", "audience", "api")
    handlers = {
        (method, f"/{root}/{{rest:path}}"): DigitalAudience.answer
        for root in roots
        for method in ("GET", "POST", "DELETE")
    }
    return calls(state, DigitalAudience, "/_sandbox/digital_audience", handlers)


def _carry_out(vendor: DigitalAudience, method: str, path: str, given: dict[str, Any]) -> Any:
    """What the call answers; None where there is no such thing."""
    if path.endswith("createcrmaudience"):
        vendor.audiences.append({"id": 9000 + len(vendor.audiences), **given})
        return vendor.audiences[-1]
    if path.startswith("/organisation/"):
        return [{"id": 12, "name": "Account", "accessToken": "secret-of-the-account"}]
    if path.startswith("/segment/audience:"):
        audience = path.removeprefix("/segment/audience:")
        return [s for s in vendor.segments.values() if str(s["audienceId"]) == audience]
    if path == "/segment/updateenddate" and given.get("segmentid") in vendor.segments:
        vendor.segments[given["segmentid"]]["endDate"] = given["endDate"]
        return True
    segment = _ID.fullmatch(path)
    if segment is None:
        return None
    number = int(segment.group(1))
    return vendor.segments.pop(number, None) if method == "DELETE" else vendor.segments.get(number)
