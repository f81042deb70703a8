"""mediarithmics user points: a profile or choice is put, choices are read.

The vendor's page shows no answer to these calls: `{"status":"ok","data":…}` is inferred from what
it says of the API as a whole. A path names a user, and so may the vendor's words: errors of this
client hold neither.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from pydantic import BaseModel, ConfigDict

from relay.apis.caller import Caller
from relay.apis.errors import AnswerUnusable, NotThere, Refused
from relay.apis.mediarithmics_document_imports import error_words
from relay.model import Request

VENDOR = "mediarithmics"
HINTS = {
    401: "check tracking.api_token",
    403: "the token's account may not do this in the datamart",
    404: "no such user point, or another datamart: check tracking.datamart_id",
}
PAGE = 100
# Shorter values turn up in every text by chance.
_TELLING_CHARACTERS = 4


class UserPoints:
    """The calls for one datamart. Each may be repeated: the user is then as after the first."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def put(self, request: Request) -> dict[str, Any]:
        """Put a profile or a choice; what the platform says that it is now."""
        headers = {"content-type": "application/json"}
        data = await self._data(
            request.method, request.path, request.body, content=request.body, headers=headers
        )
        return data if isinstance(data, dict) else {}

    async def choices(self, path: str) -> list[dict[str, Any]]:
        """All choices at `path`, or their history, page by page; empty where there are none.

        The platform says the same of a user without choices and of one that it does not know.
        """
        found: list[dict[str, Any]] = []
        while True:
            try:
                page = await self._data(
                    "GET", path, params={"first_result": len(found), "max_results": PAGE}
                )
            except NotThere:
                return found
            if not isinstance(page, list):
                raise AnswerUnusable(f"{VENDOR}: {_name(path)}: the answer is not a list")
            found += page
            if len(page) < PAGE:
                return found

    async def _data(self, method: str, path: str, body: bytes = b"", **options: Any) -> Any:
        """What a call answers. The vendor's words are left out where they quote what was sent."""
        known = [value for value in _values(path, body) if len(value) >= _TELLING_CHARACTERS]
        careful = replace(self._caller, words=_words_without(known))
        shown = _name(path)
        envelope = await careful.value(method, path, _Envelope, shown=shown, **options)
        if envelope.status != "ok":
            raise Refused(f"{VENDOR}: {shown}: 200 with an error inside", status=HTTPStatus.OK)
        return envelope.data


class _Envelope(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    status: str
    data: Any = None


def _name(path: str) -> str:
    """What a path is about, without whom."""
    parts = urlsplit(path).path.split("/user_points/")[-1].split("/")[1:]
    return "…/" + "/".join(part.partition("=")[0] for part in parts)


def _values(path: str, body: bytes) -> set[str]:
    """What the call says of the user: every value of its path and every text of its body."""
    found = {
        unquote(value)
        for part in urlsplit(path).path.split("/")
        for pair in part.split(",")
        if (value := pair.partition("=")[2])
    }
    return found | set(_texts(orjson.loads(body) if body else None))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    inner = value.values() if isinstance(value, dict) else value
    for one in inner if isinstance(value, dict | list) else ():
        yield from _texts(one)


def _words_without(known: list[str]) -> Callable[[bytes], str]:
    def words(body: bytes) -> str:
        said = error_words(body)
        quotes = any(value.casefold() in said.casefold() for value in known)
        return "" if quotes else said

    return words


def failure_code(error: Refused | NotThere) -> str:
    """A bounded code of a refusal."""
    return f"http_{error.status or int(HTTPStatus.OK)}"
