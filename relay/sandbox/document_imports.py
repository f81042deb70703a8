"""Stand-in for mediarithmics' bulk imports of user segments: files in, members and executions out.

Documented: creating an import and an execution. The list, its pages, the action, the error file and
the execution's fields are as the vendor's own code uses them; the rest is inferred.
"""

from typing import Any
from urllib.parse import parse_qs

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from relay.sandbox import envelopes
from relay.sandbox.faults import explain
from relay.sandbox.segment_lines import refused_at_once
from relay.sandbox.segment_store import (
    Counts,
    ErrorFile,
    ExecutionSeen,
    ImportOptions,
    SegmentStore,
)
from relay.sandbox.state import State
from relay.sandbox.tracking import check_caller, invalid, not_found

_ROOT = "/v1/datamarts/{datamart_id}/document_imports"
_ONE = _ROOT + "/{import_id}"
MIME_TYPES = {"APPLICATION_X_NDJSON": "application/x-ndjson", "TEXT_CSV": "text/csv"}


def routes(state: State) -> list[Route]:
    """The routes of this stand-in, and those by which a test looks behind it."""
    api = DocumentImports(state)
    return [
        Route(_ROOT, api.create, methods=["POST"]),
        Route(_ROOT, api.list_imports, methods=["GET"]),
        Route(_ONE, api.show, methods=["GET"]),
        Route(_ONE + "/executions", api.execute, methods=["POST"]),
        Route(_ONE + "/executions", api.list_executions, methods=["GET"]),
        Route("/v1/data_file/data", api.data_file, methods=["GET"]),
        Route("/_sandbox/imports", api.options, methods=["GET", "PUT"]),
        Route("/_sandbox/imports/executions", api.seen, methods=["GET"]),
        Route("/_sandbox/segments", api.segments, methods=["GET"]),
        Route("/_sandbox/segments/{kind}/{value:path}", api.members, methods=["GET"]),
    ]


class DocumentImports:
    """The handlers."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def _store(self) -> SegmentStore:
        return self._state.keep(SegmentStore, lambda: SegmentStore(self._state))

    async def create(self, request: Request) -> Response:
        """Make a document import."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        try:
            asked = orjson.loads(await request.body())
        except orjson.JSONDecodeError:
            return invalid(self._state, "document import", [("$", "is not JSON")])
        problems = _problems(asked)
        if problems:
            return invalid(self._state, "document import", problems)
        made = {
            "id": self._store.new_id(),
            "datafarm_key": "DF_EU_SANDBOX",
            "datamart_id": request.path_params["datamart_id"],
            "priority": "MEDIUM",
            **asked,
        }
        self._store.imports[made["id"]] = made
        return envelopes.ok(self._ids(made))

    async def list_imports(self, request: Request) -> Response:
        """The document imports whose name holds `keywords`."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        words = request.query_params.get("keywords", "")
        datamart = request.path_params["datamart_id"]
        found = [
            self._ids(made)
            for made in self._store.imports.values()
            if made["datamart_id"] == datamart and words in made["name"]
        ]
        return _page(request, found)

    async def show(self, request: Request) -> Response:
        """One document import."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        made = self._import(request)
        return not_found(self._state) if made is None else envelopes.ok(self._ids(made))

    async def execute(self, request: Request) -> Response:
        """Take a file: raw, or as the part `file` of a form."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        made = self._import(request)
        if made is None:
            return not_found(self._state)
        body, file_name = await request.body(), ""
        content_type = request.headers.get("content-type", "")
        if content_type.startswith("multipart/form-data"):
            body, file_name, content_type = _file_of_form(body, content_type)
        if content_type.partition(";")[0].strip() != MIME_TYPES[made["mime_type"]]:
            wrong = f"must be {MIME_TYPES[made['mime_type']]}"
            return invalid(self._state, "upload", [("Content-Type", wrong)])
        why = refused_at_once(body, made["mime_type"])
        if why is not None or not body.strip():
            return invalid(self._state, "upload", [("$", why or "the document is empty")])
        seen = self._store.start(made["id"], body, file_name)
        return envelopes.ok(self._document(seen))

    async def list_executions(self, request: Request) -> Response:
        """The executions of a document import, the newest first."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        made = self._import(request)
        if made is None:
            return not_found(self._state)
        await self._store.advance()
        now = self._state.now_ms()
        found = [
            self._document(seen)
            for seen in reversed(self._store.executions.values())
            if seen.import_id == made["id"] and seen.visible_ms <= now
        ]
        return _page(request, found)

    async def data_file(self, request: Request) -> Response:
        """The error file of an execution."""
        refusal = check_caller(self._state, request.scope)
        if refusal is not None:
            return refusal
        uri = request.query_params.get("uri", "")
        seen = self._store.executions.get(uri.rpartition("/")[2].removesuffix(".errors"))
        content = None if seen is None else self._store.error_file(seen)
        if content is None:
            return not_found(self._state)
        return Response(content, media_type="application/octet-stream")

    async def options(self, request: Request) -> Response:
        """How imports behave from now on."""
        if request.method == "PUT":
            try:
                self._store.options = ImportOptions.model_validate_json(await request.body())
            except ValidationError as error:
                return Response(explain(error), status_code=400)
        return Response(self._store.options.model_dump_json(), media_type="application/json")

    async def seen(self, _: Request) -> Response:
        """Every upload, by the stand-in's own count."""
        await self._store.advance()
        return _json([self._seen(seen) for seen in self._store.executions.values()])

    async def segments(self, _: Request) -> Response:
        """How many members each segment has."""
        await self._store.advance()
        store = self._store
        return _json(
            {f"{kind}/{value}": len(store.listed((kind, value))) for kind, value in store.members}
        )

    async def members(self, request: Request) -> Response:
        """The members of a segment, sorted, a JSON object a line."""
        await self._store.advance()
        segment = (request.path_params["kind"], request.path_params["value"])
        listed = self._store.listed(segment)
        lines = (
            orjson.dumps({"user": user, "expires_ms": expires}, option=orjson.OPT_APPEND_NEWLINE)
            for user, expires in listed
        )
        return StreamingResponse(lines, media_type="application/x-ndjson")

    def _check(self, request: Request) -> Response | None:
        refusal = check_caller(self._state, request.scope)
        if refusal is None and self._state.datamart(request.path_params["datamart_id"]) is None:
            return not_found(self._state)
        return refusal

    def _import(self, request: Request) -> dict[str, Any] | None:
        made = self._store.imports.get(request.path_params["import_id"])
        if made is None or made["datamart_id"] != request.path_params["datamart_id"]:
            return None
        return made

    def _ids(self, document: dict[str, Any]) -> dict[str, Any]:
        as_number = self._store.options.ids_as_numbers
        return {**document, "id": int(document["id"])} if as_number else document

    def _seen(self, seen: ExecutionSeen) -> dict[str, Any]:
        return {
            "id": seen.id,
            "import": self._store.imports[seen.import_id]["name"],
            "status": seen.status,
            "sha256": seen.sha256,
            "bytes": seen.size_bytes,
            "lines": seen.lines,
            "succeeded": seen.succeeded,
            "rejected": len(seen.rejected),
            "created_ms": seen.created_ms,
        }

    def _document(self, seen: ExecutionSeen) -> dict[str, Any]:
        """An execution as the vendor's code knows it."""
        made = self._store.imports[seen.import_id]
        document: dict[str, Any] = {
            "id": seen.id,
            "status": seen.status,
            "creation_date": seen.created_ms,
            "external_model_name": "PUBLIC_DOCUMENT_IMPORT_EXECUTION",
            "num_tasks": 1,
            "completed_tasks": int(seen.final),
            "parameters": {
                "datamart_id": made["datamart_id"],
                "document_import_id": seen.import_id,
                "document_type": made["document_type"],
                "file_uri": f"mics://data_file/input/{seen.id}",
            },
            "result": None,
            "error": None,
        }
        if seen.final and seen.fails:
            document["error"] = {"message": "the executor stopped"}
        elif seen.final and seen.status != "CANCELED":
            self._add_counts(document, seen)
        return self._ids(document)

    def _add_counts(self, document: dict[str, Any], seen: ExecutionSeen) -> None:
        options = self._store.options
        counts: dict[str, Any] = {
            "total_success": seen.succeeded + (options.counts is Counts.WRONG),
            "total_failure": len(seen.rejected),
        }
        if seen.rejected and options.error_file is not ErrorFile.NONE:
            counts["error_file_uri"] = f"mics://data_file/errors/{seen.id}.errors"
        match options.counts:
            case Counts.RESULT | Counts.WRONG:
                document["result"] = {"input_file_name": seen.file_name, **counts}
            case Counts.PARAMETERS:
                document["parameters"] |= counts
            case Counts.NONE:
                pass


def _problems(asked: Any) -> list[tuple[str, str]]:
    if not isinstance(asked, dict):
        return [("$", "must be an object")]
    problems = []
    if asked.get("document_type") != "USER_SEGMENT":
        problems.append(("document_type", "only USER_SEGMENT is played here"))
    if asked.get("mime_type") not in MIME_TYPES:
        problems.append(("mime_type", f"must be one of {', '.join(MIME_TYPES)}"))
    if asked.get("encoding") != "utf-8":
        problems.append(("encoding", "must be utf-8"))
    if not isinstance(asked.get("name"), str) or not asked["name"]:
        problems.append(("name", "must be text"))
    return problems


def _file_of_form(body: bytes, content_type: str) -> tuple[bytes, str, str]:
    """The part named `file`: content, file name, content type."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    for part in body.split(b"--" + boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            text = head.decode("utf-8", "replace")
            name = text.partition('filename="')[2].partition('"')[0]
            kind = text.lower().partition("content-type:")[2].partition("\r\n")[0].strip()
            return content.removesuffix(b"\r\n"), name, kind
    return b"", "", ""


def _page(request: Request, found: list[dict[str, Any]]) -> Response:
    query = parse_qs(request.url.query)
    first = int(query.get("first_result", ["0"])[0])
    return envelopes.listing(found, first, int(query.get("max_results", ["50"])[0]))


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
