"""Digital Audience, Segment API: a login, then audiences and the segments made of them.

The vendor's page gives most calls twice, in a heading and in a sample, with paths that disagree,
and shows no answers. So each call knows both paths, and an answer is read from under `data` or
bare, whatever the case of its keys. What is inferred is marked in docs/SEGMENTS.md.

The session is a cookie named `digitalAudience`. The vendor's ad-serving domain sets a cookie of
the same name: ours goes to the host that it came from, and no other cookie is kept or sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from typing import Any

import httpx
import orjson
from pydantic import TypeAdapter

from relay.apis.caller import Caller, parse, unusable_is_lost
from relay.apis.digital_audience_model import (
    ACCOUNTS,
    AUDIENCE,
    SEGMENT,
    SEGMENTS,
    Account,
    Audience,
    Segment,
)
from relay.apis.errors import (
    AccessRefused,
    AnswerLost,
    AnswerUnusable,
    ApiError,
    LoginRefused,
    NotThere,
    Refused,
)

COOKIE = "digitalAudience"
HINTS = {
    401: "check segments.digital_audience.user_name and password",
    404: "check the id, and segments.digital_audience.base_url and paths",
}
_ROUTE_MISSING = (404, 405)
_LOGIN = "/account/login"


class PathForm(StrEnum):
    """Which of the page's paths to call: those of its headings, of its samples, or what answers."""

    AUTO = "auto"
    HEADING = "heading"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    method: str
    heading: str
    sample: str
    repeatable: bool = True


_SEGMENT = _Operation("segment", "GET", "/segment/{id}", "/Segment/loadsegmentbyid/{id}")
# The sample under this heading is another call's; the prefix is what the page's samples have.
_SEGMENTS = _Operation("segments", "GET", "/segment/audience:{id}", "/api/segment/audience:{id}")
_EXTEND = _Operation("extend", "POST", "/segment/updateenddate", "/api/segment/updateenddate")
# No sample is shown.
_DELETE = _Operation("delete", "DELETE", "/segment/{id}", "/api/segment/{id}", repeatable=False)
_CREATE = _Operation(
    "create",
    "POST",
    "/audience/createcrmaudience",
    "/api/audience/create/api/audience/createcrmaudience",
    repeatable=False,
)
# From another page of the vendor; its heading misspells the word.
_ACCOUNTS = _Operation(
    "accounts", "GET", "/organisation/loadplatformaccounts", "/organistion/loadplatformaccounts"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in."""

    user_name: str
    password: str = field(repr=False)


class DigitalAudience:
    """The calls for one user. Logs in on the first call, and again when the session has ended."""

    def __init__(
        self, caller: Caller, credentials: Credentials, paths: PathForm = PathForm.AUTO
    ) -> None:
        self._caller = caller
        self._credentials = credentials
        self._paths = paths
        self._answering: dict[str, str] = {}
        self._sessions: dict[str, str] = {}  # cookie by host

    async def segment(self, segment_id: str) -> Segment:
        """One segment."""
        found: Segment = self._one(_SEGMENT, SEGMENT, await self._call(_SEGMENT, segment_id))
        return found

    async def segments(self, audience_id: str) -> list[Segment]:
        """The segments of an audience."""
        found: list[Segment] = self._one(
            _SEGMENTS, SEGMENTS, await self._call(_SEGMENTS, audience_id)
        )
        return found

    async def accounts(self) -> list[Account]:
        """The platform accounts of the organisation: where segments can be activated."""
        found: list[Account] = self._one(_ACCOUNTS, ACCOUNTS, await self._call(_ACCOUNTS))
        return found

    async def create_audience(
        self, name: str, campaign_id: str, description: str | None = None
    ) -> Audience:
        """Make an audience in a campaign. AnswerLost: it may be there already."""
        body: dict[str, Any] = {"name": name, "campaignId": _number(campaign_id)}
        if description is not None:
            body["description"] = description
        answer = await self._call(_CREATE, json=body)
        with unusable_is_lost(unless=False):
            made: Audience = self._one(_CREATE, AUDIENCE, answer)
        return made

    async def extend(self, segment_id: str, end: datetime) -> None:
        """Move the end of a segment."""
        # Lower-case i in `segmentid`, and seven digits of a second: so the page's sample has it.
        body = {"segmentid": _number(segment_id), "endDate": utc_7_digits(end)}
        self._confirm(_EXTEND, await self._call(_EXTEND, json=body))

    async def delete(self, segment_id: str) -> None:
        """Delete a segment. NotThere if it was not there."""
        try:
            self._confirm(_DELETE, await self._call(_DELETE, segment_id))
        except AnswerLost:
            try:
                await self.segment(segment_id)
            except NotThere:
                return  # the lost answer was a yes
            self._confirm(_DELETE, await self._call(_DELETE, segment_id))

    async def _call(
        self, operation: _Operation, id_: str = "", json: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        paths = self._paths_of(operation)
        for path in paths:
            try:
                answer = await self._in_session(
                    operation.method,
                    path.format(id=_path_id(id_)),
                    repeatable=operation.repeatable,
                    json=json,
                )
            except ApiError as error:
                if error.status in _ROUTE_MISSING and path != paths[-1]:
                    continue
                raise
            self._answering[operation.name] = path
            return answer
        raise AssertionError("every operation has a path")

    def _paths_of(self, operation: _Operation) -> list[str]:
        known = self._answering.get(operation.name)
        if known is not None:
            return [known]
        match self._paths:
            case PathForm.HEADING:
                return [operation.heading]
            case PathForm.SAMPLE:
                return [operation.sample]
            case PathForm.AUTO:
                return [operation.heading, operation.sample]

    async def _in_session(self, method: str, path: str, **options: Any) -> httpx.Response:
        host = self._caller.client.base_url.host
        if host not in self._sessions:
            await self._login(host)
        try:
            return await self._send(host, method, path, **options)
        except _SessionOver:
            await self._login(host)
        try:
            return await self._send(host, method, path, **options)
        except _SessionOver as over:
            raise over.error from None

    async def _send(self, host: str, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Cookie": f"{COOKIE}={self._sessions[host]}"}
        try:
            answer = await self._caller.send(method, path, headers=headers, **options)
        except (LoginRefused, AccessRefused) as error:
            raise _SessionOver(error) from None
        except AnswerUnusable as error:
            if error.status:  # a redirect: to the login page, as far as we know
                raise _SessionOver(error) from None
            raise
        self._keep_cookie(host, answer)
        if _is_page(answer):
            problem = f"{self._caller.vendor}: {method} {path}: a page came, where data was due"
            raise _SessionOver(AnswerUnusable(problem))
        return answer

    async def _login(self, host: str) -> None:
        self._sessions.pop(host, None)
        body = {"userName": self._credentials.user_name, "password": self._credentials.password}
        answer = await self._caller.send("POST", _LOGIN, repeatable=True, json=body)
        what = f"{self._caller.vendor}: POST {_LOGIN}"
        if not _is_page(answer) and _data(what, answer) is not True:
            raise LoginRefused(f"{what}: the login is not accepted", hint=HINTS[401])
        self._keep_cookie(host, answer)
        if host not in self._sessions:
            raise AnswerUnusable(f"{what}: the answer set no cookie named {COOKIE}")

    def _keep_cookie(self, host: str, answer: httpx.Response) -> None:
        for header in answer.headers.get_list("set-cookie"):
            try:
                morsel = SimpleCookie(header).get(COOKIE)
            except CookieError:
                continue
            if morsel is not None and morsel.value:
                self._sessions[host] = morsel.value

    def _one(self, operation: _Operation, adapter: TypeAdapter[Any], answer: httpx.Response) -> Any:
        what = f"{self._caller.vendor}: {operation.name}"
        return parse(what, adapter, orjson.dumps(_lower_keys(_data(what, answer))))

    def _confirm(self, operation: _Operation, answer: httpx.Response) -> None:
        """Inferred: nothing, or anything but false, is a yes."""
        if not answer.content.strip():
            return
        what = f"{self._caller.vendor}: {operation.name}"
        if _data(what, answer) is False:
            raise Refused(f"{what}: the answer is no")


class _SessionOver(Exception):
    """The call was not carried out: there is no session any more. Or not allowed at all."""

    def __init__(self, error: ApiError) -> None:
        super().__init__()
        self.error = error


def utc_7_digits(when: datetime) -> str:
    """A time as the page's sample has it. Without a zone it is taken to be UTC."""
    utc = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S.%f}0Z"


def _data(what: str, answer: httpx.Response) -> Any:
    try:
        document = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        raise AnswerUnusable(f"{what}: the answer is not JSON") from None
    if isinstance(document, dict):
        for key, value in document.items():
            if key.lower() == "data":
                return value
    return document


def _lower_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_lower_keys(item) for item in value]
    if isinstance(value, dict):
        return {key.lower(): item for key, item in value.items()}
    return value


def _is_page(answer: httpx.Response) -> bool:
    return (
        "html" in answer.headers.get("content-type", "").lower()
        or answer.content.lstrip()[:1] == b"<"
    )


def _path_id(text: str) -> str:
    """An id in a path. The routes of the page take whole numbers only."""
    if text and not (text.isascii() and text.isdigit()):
        raise Refused(f"Digital Audience: ids are whole numbers, {len(text)} characters are not")
    return text


def _number(text: str) -> int:
    return int(_path_id(text))
