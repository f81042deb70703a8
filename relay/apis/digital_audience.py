"""Digital Audience, Segment API: a login, a table of calls, and whatever JSON comes back.

The vendor's page gives most calls two paths that disagree, and shows no answers. So the paths are
settings, an answer is passed on as it came, and one without a body is believed by its status.
The session is a cookie; no other cookie is kept or sent. It lives as long as the process.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from relay.apis.addresses import PATHS, Credentials
from relay.apis.caller import Caller, lost
from relay.apis.errors import AnswerUnusable, LoginRefused, Refused

COOKIE = "digitalAudience"
HINTS = {
    401: "check segments.digital_audience.user_name and password, or cookie",
    404: "check the id, and segments.digital_audience.base_url and paths",
}
_METHODS = {"extend": "POST", "delete": "DELETE", "create": "POST"}
_CHECK_PATHS = "a page or a redirect came where data was due: check segments.digital_audience.paths"


class DigitalAudience:
    """The calls for one user. What comes is JSON as it came, or None where nothing did."""

    def __init__(
        self, caller: Caller, credentials: Credentials, paths: Mapping[str, str] = PATHS
    ) -> None:
        self._caller = caller
        self._credentials = credentials
        self._paths = {**PATHS, **paths}
        self._cookie = credentials.cookie

    async def call(self, name: str, id_: str = "", /, **body: Any) -> Any:
        """Make the call of this name in `PATHS`.

        Raises:
            AnswerLost: An audience may have been made, or a segment deleted: look before repeating.
        """
        if not self._cookie:
            await self.log_in()
        method, path = _METHODS.get(name, "GET"), self._paths[name].format(id=id_ and number(id_))
        what = f"{self._caller.vendor}: {method} {path}"
        repeatable = name not in ("create", "delete")
        # The page's samples name the type on every call, those without a body too.
        headers = {"Cookie": f"{COOKIE}={self._cookie}", "Content-Type": "application/json"}
        content = orjson.dumps(body) if body else None
        try:
            answer = await self._caller.send(
                method, path, headers=headers, content=content, repeatable=repeatable
            )
            return _document(what, answer)
        except AnswerUnusable as error:
            if repeatable:
                raise AnswerUnusable(error.problem, hint=_CHECK_PATHS) from None
            raise lost(error, _CHECK_PATHS) from None

    async def log_in(self) -> None:
        """Begin the session. LoginRefused: not with these credentials."""
        path = self._paths["login"]
        what = f"{self._caller.vendor}: POST {path}"
        body = {"userName": self._credentials.user_name, "password": self._credentials.password}
        answer = await self._caller.send("POST", path, repeatable=True, json=body)
        self._cookie = answer.cookies.get(COOKIE)
        if not self._cookie:
            problem = f"{what}: the login is not accepted: no cookie named {COOKIE} came"
            raise LoginRefused(problem, hint=HINTS[401])


def field_of(document: Any, name: str) -> Any:
    """A field of what came, bare or under `data`, whatever the case of its name."""
    if not isinstance(document, dict):
        return None
    fields = {key.lower(): value for key, value in document.items()}
    return fields[name.lower()] if name.lower() in fields else field_of(fields.get("data"), name)


def number(text: str) -> int:
    """An id. The routes of the page take whole numbers only."""
    if not (text.isascii() and text.isdigit()):
        raise Refused(f"Digital Audience: ids are whole numbers, {len(text)} characters are not")
    return int(text)


def utc_7_digits(when: datetime) -> str:
    """A time as the page's sample has it. Without a zone it is taken to be UTC."""
    utc = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S.%f}0Z"


def _document(what: str, answer: httpx.Response) -> Any:
    if not answer.content.strip():
        return None
    try:
        return _without_secrets(orjson.loads(answer.content))
    except orjson.JSONDecodeError:
        raise AnswerUnusable(f"{what}: the answer is not JSON") from None


def _without_secrets(found: Any) -> Any:
    """Accounts carry a token of theirs, which nobody needs to see."""
    if isinstance(found, list):
        return [_without_secrets(item) for item in found]
    if not isinstance(found, dict):
        return found
    return {k: _without_secrets(v) for k, v in found.items() if k.lower() != "accesstoken"}
