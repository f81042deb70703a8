"""mediarithmics bulk import: a document import, its executions, their error files.

`create` → `start` with a file → `executions` until they are final → `error_file`. Which call,
field and status is documented, seen in the vendor's own code, or inferred: docs/SEGMENTS.md.

Creating is not repeatable: `create` and `start` raise AnswerLost when they may have been carried
out, and `find` and `executions` tell what was.
"""

import os
from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from relay.apis.caller import Caller, parse, unusable_is_lost
from relay.apis.clients import UPLOAD_TIMEOUT
from relay.apis.errors import AnswerUnusable, Refused, vendor_words
from relay.disk import disk_errors

DOCUMENT_TYPE = "USER_SEGMENT"
_PAGE = 50
_CHUNK_BYTES = 256 * 1024


class UploadForm(StrEnum):
    """How the file travels: as the body (documented), or as the vendor's own interface sends it."""

    RAW = "raw"
    MULTIPART = "multipart"


class Phase(StrEnum):
    """What a status means for us."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


_PHASES = {
    "PENDING": Phase.RUNNING,
    "RUNNING": Phase.RUNNING,
    "SCHEDULED": Phase.RUNNING,
    "WAITING_DEPENDENT_JOB": Phase.RUNNING,
    "SUCCEEDED": Phase.SUCCEEDED,
    "SUCCESS": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELED": Phase.CANCELED,
    # Inferred: named in the vendor's code, with no word on what they mean.
    "EXECUTOR_NOT_RESPONDING": Phase.FAILED,
    "LOST": Phase.FAILED,
}


def phase_of(status: str | None) -> Phase:
    """What a status means; UNKNOWN for a word that we do not know."""
    return _PHASES.get(status or "", Phase.UNKNOWN)


@dataclass(frozen=True, slots=True)
class DocumentImport:
    """A definition under which files are imported."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Execution:
    """The import of one file. Counts are None where the platform did not say them."""

    id: str
    status: str
    succeeded: int | None = None
    failed: int | None = None
    error_file_uri: str | None = field(default=None, repr=False)
    error: str = ""
    tasks: int | None = None
    tasks_done: int | None = None

    @property
    def phase(self) -> Phase:
        """What its status means; UNKNOWN for a word that we do not know."""
        return phase_of(self.status)


class DocumentImports:
    """The calls for one datamart."""

    def __init__(
        self, caller: Caller, datamart_id: str, upload_form: UploadForm = UploadForm.RAW
    ) -> None:
        self._caller = caller
        self._root = f"/v1/datamarts/{quote(datamart_id, safe='')}/document_imports"
        self._upload_form = upload_form

    async def create(self, name: str, mime_type: str) -> DocumentImport:
        """Make a document import for segment commands in UTF-8."""
        body = {
            "document_type": DOCUMENT_TYPE,
            "mime_type": mime_type,
            "encoding": "utf-8",
            "name": name,
        }
        made: _ImportWire = await self._call(
            "POST", self._root, _IMPORT, repeatable=False, json=body
        )
        return made.value()

    async def find(self, name: str, *, exact: bool = True) -> list[DocumentImport]:
        """The document imports with this name, or with names that begin with it."""
        found: list[_ImportWire] = await self._all(self._root, _IMPORTS, {"keywords": name})
        return [
            item.value()
            for item in found
            if item.name == name or (not exact and item.name.startswith(name))
        ]

    async def start(
        self,
        import_id: str,
        file: Path,
        content_type: str,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> Execution:
        """Upload a file and so start an execution. `on_bytes` hears of each piece that left."""
        path = self._executions(import_id)
        with disk_errors(file):
            stream = file.open("rb")
        with stream:
            options: dict[str, Any]
            if self._upload_form is UploadForm.RAW:
                # With a length, an upload that was cut off cannot be taken for a whole one.
                size = stream.seek(0, os.SEEK_END)
                headers = {"Content-Type": content_type, "Content-Length": str(size)}
                options = {"content": lambda: _pieces(stream, on_bytes), "headers": headers}
            else:
                part = (file.name, stream, content_type)
                options = {"files": {"file": part}, "data": {"type": DOCUMENT_TYPE}}
            started: _ExecutionWire = await self._call(
                "POST", path, _EXECUTION, repeatable=False, timeout=UPLOAD_TIMEOUT, **options
            )
        return started.value()

    async def executions(
        self, import_id: str, *, until: AbstractSet[str] | None = None
    ) -> list[Execution]:
        """The executions of a document import, the newest first (seen).

        With `until` only as many pages are read as it takes to see these executions.
        """
        path = self._executions(import_id)
        found: list[_ExecutionWire] = await self._all(path, _EXECUTIONS, {}, until)
        return [item.value() for item in found]

    async def error_file(self, uri: str, to: Path) -> None:
        """Write an execution's error file to `to`."""
        await self._caller.send(
            "GET", "/v1/data_file/data", repeatable=True, into=to, params={"uri": uri}
        )

    def _executions(self, import_id: str) -> str:
        return f"{self._root}/{quote(import_id, safe='')}/executions"

    async def _call(
        self, method: str, path: str, adapter: TypeAdapter[Any], *, repeatable: bool, **options: Any
    ) -> Any:
        answer = await self._caller.send(method, path, repeatable=repeatable, **options)
        with unusable_is_lost(unless=repeatable):
            return self._data(f"{method} {path}", adapter, answer)

    def _data(self, call: str, adapter: TypeAdapter[Any], answer: httpx.Response) -> Any:
        what = f"{self._caller.vendor}: {call}"
        envelope: _Envelope[Any] = parse(what, adapter, answer.content)
        if envelope.status != "ok":  # an error may come with a status of success
            raise Refused(f"{what}: refused: {vendor_words(envelope.error or '')}")
        if envelope.data is None:
            raise AnswerUnusable(f"{what}: the answer is not as documented: data is missing")
        return envelope.data

    async def _all(
        self,
        path: str,
        adapter: TypeAdapter[Any],
        params: dict[str, str],
        until: AbstractSet[str] | None = None,
    ) -> list[Any]:
        """All pages of a list. The next page starts where this one ended, by what it held."""
        found: list[Any] = []
        while True:
            page = params | {"first_result": str(len(found)), "max_results": str(_PAGE)}
            items = await self._call("GET", path, adapter, repeatable=True, params=page)
            found.extend(items)
            seen = until is not None and until <= {item.id for item in found}
            if seen or len(items) < _PAGE:
                return found


def error_words(body: bytes) -> str:
    """The reason in an error envelope, or nothing."""
    try:
        envelope = _ERROR.validate_json(body)
    except ValidationError:
        return ""
    return vendor_words(envelope.error or "")


async def _pieces(stream: BinaryIO, on_bytes: Callable[[int], None]) -> AsyncIterator[bytes]:
    stream.seek(0)
    while piece := stream.read(_CHUNK_BYTES):
        yield piece
        on_bytes(len(piece))


class _Wire(BaseModel):
    """What we read of an answer. Ids may come as numbers: they are text here, digit by digit."""

    model_config = ConfigDict(coerce_numbers_to_str=True, hide_input_in_errors=True)


_T = TypeVar("_T")


class _Envelope(_Wire, Generic[_T]):
    status: str = "ok"
    error: str | None = None
    data: _T | None = None


class _ImportWire(_Wire):
    id: str
    name: str = ""

    def value(self) -> DocumentImport:
        return DocumentImport(self.id, self.name)


class _Counts(_Wire):
    total_success: int | None = None
    total_failure: int | None = None
    error_file_uri: str | None = None


class _Error(_Wire):
    message: str | None = None


class _ExecutionWire(_Wire):
    id: str
    status: str
    num_tasks: int | None = None
    completed_tasks: int | None = None
    # The counts stand in `result`; the vendor's code knows them in `parameters` too.
    parameters: _Counts | None = None
    result: _Counts | None = None
    error: _Error | None = None

    def value(self) -> Execution:
        result, older = self.result or _Counts(), self.parameters or _Counts()
        return Execution(
            id=self.id,
            status=self.status,
            succeeded=_first(result.total_success, older.total_success),
            failed=_first(result.total_failure, older.total_failure),
            error_file_uri=result.error_file_uri or older.error_file_uri,
            error=vendor_words((self.error.message if self.error else None) or ""),
            tasks=self.num_tasks,
            tasks_done=self.completed_tasks,
        )


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


_IMPORT = TypeAdapter(_Envelope[_ImportWire])
_IMPORTS = TypeAdapter(_Envelope[list[_ImportWire]])
_EXECUTION = TypeAdapter(_Envelope[_ExecutionWire])
_EXECUTIONS = TypeAdapter(_Envelope[list[_ExecutionWire]])
_ERROR = TypeAdapter(_Envelope[Any])
