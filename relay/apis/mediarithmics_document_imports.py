"""mediarithmics bulk import: a document import, its executions, their error files.

`create` → `start` with a file → `executions` until they are final → `error_file`. Which call,
field and status is documented, seen in the vendor's own code, or inferred:
docs/SEGMENTS_REFERENCE.md.

Starting is not repeatable: `start` raises AnswerLost when it may have been carried out, and
`executions` tell whether it was. Creating is: an import is only a name, what counts is its file.
"""

import os
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Generic, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from relay.apis.caller import Caller
from relay.apis.clients import UPLOAD_TIMEOUT
from relay.apis.errors import Refused, vendor_words
from relay.disk import disk_errors

DOCUMENT_TYPE = "USER_SEGMENT"
_PAGE = 50
_CHUNK_BYTES = 256 * 1024
_T = TypeVar("_T")


class Phase(StrEnum):
    """What a status means for us."""

    RUNNING = "running"
    """PENDING, RUNNING, SCHEDULED, WAITING_DEPENDENT_JOB; and a word that we do not know."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


_PHASES = {
    "SUCCEEDED": Phase.SUCCEEDED,
    "SUCCESS": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELED": Phase.CANCELED,
    # Inferred: named in the vendor's code, with no word on what they mean.
    "EXECUTOR_NOT_RESPONDING": Phase.FAILED,
    "LOST": Phase.FAILED,
}


def phase_of(status: str | None) -> Phase:
    """What a status means."""
    return _PHASES.get(status or "", Phase.RUNNING)


# Ids may come as numbers: they are text here, digit by digit.
_WIRE = ConfigDict(coerce_numbers_to_str=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True, config=_WIRE)
class DocumentImport:
    """A definition under which files are imported."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True, config=_WIRE)
class Execution:
    """The import of one file. Counts are None where the platform did not say them."""

    id: str
    status: str
    succeeded: int | None = None
    failed: int | None = None
    error_file_uri: str | None = field(default=None, repr=False)
    error: str = ""

    @property
    def phase(self) -> Phase:
        """What its status means."""
        return phase_of(self.status)

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, answer: Any) -> Any:
        """The counts stand in `result`; the vendor's code knows them in `parameters` too."""
        if not isinstance(answer, dict):
            return answer
        facts: dict[str, Any] = {}
        for place in ("parameters", "result"):
            inner = answer.get(place) or {}
            facts |= {name: value for name, value in inner.items() if value is not None}
        return {
            **{name: answer[name] for name in ("id", "status") if name in answer},
            "succeeded": facts.get("total_success"),
            "failed": facts.get("total_failure"),
            "error_file_uri": facts.get("error_file_uri"),
            "error": vendor_words((answer.get("error") or {}).get("message") or ""),
        }


_Listed = TypeVar("_Listed", DocumentImport, Execution)


class DocumentImports:
    """The calls for one datamart."""

    def __init__(self, caller: Caller, datamart_id: str) -> None:
        self._caller = caller
        self._root = f"/v1/datamarts/{quote(datamart_id, safe='')}/document_imports"

    async def create(self, name: str, mime_type: str) -> DocumentImport:
        """Make a document import for segment commands in UTF-8."""
        body = {
            "document_type": DOCUMENT_TYPE,
            "mime_type": mime_type,
            "encoding": "utf-8",
            "name": name,
        }
        kind = _Envelope[DocumentImport]
        return await self._call("POST", self._root, kind, json=body)

    async def find(self, name: str) -> list[DocumentImport]:
        """The document imports whose names begin with this."""
        found = await self._all(self._root, _Envelope[list[DocumentImport]], {"keywords": name})
        return [one for one in found if one.name.startswith(name)]

    async def start(
        self,
        import_id: str,
        file: Path,
        content_type: str,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> Execution:
        """Upload a file and so start an execution. `on_bytes` hears of each piece that left."""
        with disk_errors(file):
            stream = file.open("rb")
        with stream:
            # With a length, an upload that was cut off cannot be taken for a whole one.
            size = stream.seek(0, os.SEEK_END)
            return await self._call(
                "POST",
                self._executions(import_id),
                _Envelope[Execution],
                repeatable=False,
                timeout=UPLOAD_TIMEOUT,
                headers={"Content-Type": content_type, "Content-Length": str(size)},
                content=lambda: _pieces(stream, on_bytes),
            )

    async def executions(
        self, import_id: str, *, until: AbstractSet[str] | None = None
    ) -> list[Execution]:
        """The executions of a document import, the newest first (seen).

        With `until` only as many pages are read as it takes to see these executions.
        """
        kind = _Envelope[list[Execution]]
        return await self._all(self._executions(import_id), kind, {}, until)

    async def error_file(self, uri: str, to: Path) -> None:
        """Write an execution's error file to `to`."""
        await self._caller.send(
            "GET", "/v1/data_file/data", repeatable=True, into=to, params={"uri": uri}
        )

    def _executions(self, import_id: str) -> str:
        return f"{self._root}/{quote(import_id, safe='')}/executions"

    async def _call(
        self, method: str, path: str, kind: "type[_Envelope[_T]]", **options: Any
    ) -> _T:
        envelope = await self._caller.value(method, path, kind, **options)
        # An error may come with a status of success.
        if envelope.status != "ok" or envelope.data is None:
            words = vendor_words(envelope.error or "")
            raise Refused(f"{self._caller.vendor}: {method} {path}: refused: {words}")
        return envelope.data

    async def _all(
        self,
        path: str,
        kind: "type[_Envelope[list[_Listed]]]",
        params: dict[str, str],
        until: AbstractSet[str] | None = None,
    ) -> list[_Listed]:
        """All pages of a list. The next page starts where this one ended, by what it held."""
        found: list[_Listed] = []
        while True:
            page = params | {"first_result": str(len(found)), "max_results": str(_PAGE)}
            items = await self._call("GET", path, kind, params=page)
            found.extend(items)
            seen = until is not None and until <= {item.id for item in found}
            if seen or len(items) < _PAGE:
                return found


def error_words(body: bytes) -> str:
    """The reason in an error envelope, or nothing."""
    try:
        envelope = _Envelope[Any].model_validate_json(body)
    except ValidationError:
        return ""
    return vendor_words(envelope.error or "")


async def _pieces(stream: BinaryIO, on_bytes: Callable[[int], None]) -> AsyncIterator[bytes]:
    stream.seek(0)
    while piece := stream.read(_CHUNK_BYTES):
        yield piece
        on_bytes(len(piece))


class _Envelope(BaseModel, Generic[_T]):
    model_config = _WIRE

    status: str = "ok"
    error: str | None = None
    data: _T | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.status == "ok" and self.data is None:
            raise ValueError("data is missing")
        return self
