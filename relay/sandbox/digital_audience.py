"""Stand-in for Digital Audience's REST API: a session cookie, audiences and their segments.

The page shows no answers and two paths for most calls: what it leaves open is an option. Paths are
matched in any case, as the framework that the page's route templates point to does. All inferred
but the request bodies, the names of the fields and the cookie.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.sandbox.faults import explain
from relay.sandbox.state import State

COOKIE = "digitalAudience"
_LOGIN_PAGE = b"<!DOCTYPE html><html><body>Log in</body></html>"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z")


class SessionEnd(StrEnum):
    """How a call without a session is answered."""

    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    REDIRECT = "redirect"
    PAGE = "page"


class Paths(StrEnum):
    """Which of the page's paths exist."""

    BOTH = "both"
    HEADING = "heading"
    SAMPLE = "sample"


class Keys(StrEnum):
    """How keys are written."""

    CAMEL = "camel"
    PASCAL = "pascal"


class AudienceOptions(BaseModel):
    """How the API behaves; `PUT /_sandbox/digital_audience` changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    login: tuple[str, str] | None = Field(
        default=None, description="User name and password; None: any, but some."
    )
    session_calls: int | None = Field(default=None, description="A session ends after so many.")
    session_end: SessionEnd = SessionEnd.UNAUTHORIZED
    paths: Paths = Paths.BOTH
    keys: Keys = Keys.CAMEL
    envelope: bool = Field(default=True, description="Answers stand under `data`.")
    empty_answers: bool = Field(default=False, description="Changes are answered by nothing.")
    nulls: bool = Field(default=False, description="Every nullable field is null.")
    without_segment_id: bool = Field(default=False, description="`segmentId` is missing.")


@dataclass(slots=True)
class Session:
    """A login."""

    calls: int = 0


class Audiences:
    """What the vendor keeps."""

    def __init__(self, state: State) -> None:
        self.options = AudienceOptions()
        self.sessions: dict[str, Session] = {}
        self.logins = 0
        self.audiences: dict[int, dict[str, Any]] = {}
        self.segments: dict[int, dict[str, Any]] = {}
        self._next = 9000
        self._state = state
        self.add_segment(501, 77, "Churn NL")

    def number(self) -> int:
        """The next id."""
        self._next += 1
        return self._next

    def add_segment(self, segment_id: int, audience_id: int, name: str) -> None:
        """Make a segment."""
        self.segments[segment_id] = {
            "id": self.number(),
            "segmentId": segment_id,
            "segmentRefId": None,
            "categoryId": None,
            "name": name,
            "description": "",
            "extend": False,
            "active": True,
            "accountId": 12,
            "audienceId": audience_id,
            "platformId": 3,
            "isRecurring": False,
            "isSystemGenerated": False,
            "country": 528,
            "startDate": "2025-01-01T00:00:00Z",
            "endDate": "2025-12-16T11:36:10.6878666Z",
            "status": "Active",
            "statusId": 1,
            "userName": "sandbox",
            "userId": 4,
            "totalLogCount": 0,
            "totalReadyCount": 10,
            "totalProcessingCount": 1,
            "totalPendingCount": 0,
            "totalUploadCount": 3,
            "totalFailedCount": 0,
            "totalNoDataCount": 0,
            "totalSegmentUploadCount": 3,
            "created": "2025-01-01T00:00:00Z",
            "updated": "2025-01-01T00:00:00Z",
        }


NULLABLE = (
    "segmentRefId",
    "categoryId",
    "totalReadyCount",
    "totalProcessingCount",
    "totalFailedCount",
    "totalNoDataCount",
)


def routes(state: State) -> list[Route]:
    """The routes of this stand-in, and the one by which a test changes it."""
    api = DigitalAudience(state)
    return [
        _any_case("/account/login", api.login, "POST"),
        _any_case("/segment/audience:{audience_id:int}", api.segments, "GET"),
        _any_case("/api/segment/audience:{audience_id:int}", api.segments, "GET"),
        _any_case("/segment/loadsegmentbyid/{segment_id:int}", api.segment, "GET"),
        _any_case("/segment/updateenddate", api.extend, "POST"),
        _any_case("/api/segment/updateenddate", api.extend, "POST"),
        _any_case("/segment/{segment_id:int}", api.segment, "GET"),
        _any_case("/segment/{segment_id:int}", api.delete, "DELETE"),
        _any_case("/api/segment/{segment_id:int}", api.delete, "DELETE"),
        _any_case("/audience/createcrmaudience", api.create, "POST"),
        _any_case("/api/audience/create/api/audience/createcrmaudience", api.create, "POST"),
        _any_case("/organisation/loadplatformaccounts", api.accounts, "GET"),
        Route("/_sandbox/digital_audience", api.options, methods=["GET", "PUT"]),
    ]


class DigitalAudience:
    """The handlers."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def _room(self) -> Audiences:
        return self._state.keep(Audiences, lambda: Audiences(self._state))

    async def login(self, request: Request) -> Response:
        """Begin a session."""
        given = await _body(request)
        name, password = given.get("userName"), given.get("password")
        if not name or not password or self._room.options.login not in (None, (name, password)):
            return self._answer(data=False)
        key = self._state.new_id()
        self._room.sessions[key] = Session()
        self._room.logins += 1
        answer = self._answer(data=True)
        answer.set_cookie(COOKIE, key, httponly=True)
        answer.set_cookie("other", "not-ours", domain="127.0.0.1")
        return answer

    async def segments(self, request: Request) -> Response:
        """The segments of an audience."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        audience = request.path_params["audience_id"]
        found = [one for one in self._room.segments.values() if one["audienceId"] == audience]
        return self._answer(data=[self._shown(one) for one in found])

    async def segment(self, request: Request) -> Response:
        """One segment."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        found = self._room.segments.get(request.path_params["segment_id"])
        return Response(status_code=404) if found is None else self._answer(data=self._shown(found))

    async def extend(self, request: Request) -> Response:
        """Move the end of a segment."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        given = await _body(request)
        found = self._room.segments.get(given.get("segmentid", 0))
        if found is None:
            return Response(status_code=404)
        if not _TIME.fullmatch(str(given.get("endDate"))):
            return Response(status_code=400)
        found["endDate"] = given["endDate"]
        return self._done()

    async def delete(self, request: Request) -> Response:
        """Delete a segment."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        found = self._room.segments.pop(request.path_params["segment_id"], None)
        return Response(status_code=404) if found is None else self._done()

    async def create(self, request: Request) -> Response:
        """Make an audience in a campaign."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        given = await _body(request)
        if not given.get("name") or not str(given.get("campaignId", "")).isdigit():
            return Response(status_code=400)
        number = self._room.number()
        made = {
            "userId": 4,
            "id": number,
            "name": given["name"],
            "description": given.get("description"),
            "campaignId": int(given["campaignId"]),
            "campaignName": "Campaign",
            "created": _now(self._state),
            "updated": _now(self._state),
            "dataUpdated": None,
        }
        self._room.audiences[number] = made
        return self._answer(data=made)

    async def accounts(self, request: Request) -> Response:
        """The platform accounts, with a secret among their fields as the vendor has it."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        account = {
            "id": 12,
            "name": "Account",
            "platformId": 3,
            "platformName": "platform",
            "platformDisplayName": "Platform",
            "agencyId": 1,
            "agencyName": "Agency",
            "accountTypeId": None,
            "accountTypeName": None,
            "advertiserId": None,
            "clientId": "c-1",
            "defaultSegmentPricingCategoryId": None,
            "created": "2025-01-01T00:00:00Z",
            "updated": "2025-01-01T00:00:00Z",
            "accessToken": "secret-of-the-account",
        }
        return self._answer(data=[account])

    async def options(self, request: Request) -> Response:
        """How the API behaves from now on, and what it keeps."""
        room = self._room
        if request.method == "PUT":
            try:
                room.options = AudienceOptions.model_validate_json(await request.body())
            except ValidationError as error:
                return Response(explain(error), status_code=400)
        return _json(
            {
                "logins": room.logins,
                "audiences": list(room.audiences.values()),
                "segments": list(room.segments.values()),
            }
        )

    def _check(self, request: Request) -> Response | None:
        """The refusal of a path that does not exist here, or of a call without a session."""
        options = self._room.options
        path = request.url.path.lower()
        is_sample = path.startswith(("/api/", "/segment/loadsegmentbyid/"))
        if options.paths is (Paths.HEADING if is_sample else Paths.SAMPLE) and not path.startswith(
            "/organisation"
        ):
            return Response(status_code=404)
        session = self._room.sessions.get(request.cookies.get(COOKIE, ""))
        if session is not None:
            session.calls += 1
            if options.session_calls is None or session.calls <= options.session_calls:
                return None
        match options.session_end:
            case SessionEnd.UNAUTHORIZED:
                return Response(status_code=401)
            case SessionEnd.FORBIDDEN:
                return Response(status_code=403)
            case SessionEnd.REDIRECT:
                return Response(status_code=302, headers={"location": "/account/login"})
            case SessionEnd.PAGE:
                return Response(_LOGIN_PAGE, media_type="text/html")

    def _shown(self, segment: dict[str, Any]) -> dict[str, Any]:
        options = self._room.options
        shown = dict(segment)
        if options.nulls:
            shown |= dict.fromkeys(NULLABLE)
        if options.without_segment_id:
            shown["id"] = shown.pop("segmentId")
        return shown

    def _done(self) -> Response:
        return Response() if self._room.options.empty_answers else self._answer(data=True)

    def _answer(self, *, data: Any) -> Response:
        options = self._room.options
        if options.keys is Keys.PASCAL:
            data = _pascal(data)
            return _json({"Data": data} if options.envelope else data)
        return _json({"data": data} if options.envelope else data)


def _any_case(path: str, handler: Any, method: str) -> Route:
    route = Route(path, handler, methods=[method])
    route.path_regex = re.compile(route.path_regex.pattern, re.IGNORECASE)
    return route


async def _body(request: Request) -> dict[str, Any]:
    try:
        given = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return {}
    return given if isinstance(given, dict) else {}


def _pascal(data: Any) -> Any:
    if isinstance(data, list):
        return [_pascal(item) for item in data]
    if isinstance(data, dict):
        return {key[0].upper() + key[1:]: value for key, value in data.items()}
    return data


def _now(state: State) -> str:
    return f"{datetime.fromtimestamp(state.now_ms() / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
