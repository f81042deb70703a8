"""Stand-in for mediarithmics' bulk imports of user segments: files in, members and executions out.

Documented: creating an import and an execution. The list, its pages, the error file and the
execution's fields are as the vendor's own code uses them; the rest is inferred.
"""

from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from relay.sandbox import envelopes
from relay.sandbox.refusals import check_caller, invalid, not_found
from relay.sandbox.segment_lines import refused_at_once
from relay.sandbox.segment_store import ExecutionSeen, SegmentStore
from relay.sandbox.stand_in import calls
from relay.sandbox.state import State

_ROOT = "/v1/datamarts/{datamart_id}/document_imports"
_ONE = _ROOT + "/{import_id}"
MIME_TYPES = {"APPLICATION_X_NDJSON": "application/x-ndjson", "TEXT_CSV": "text/csv"}


def routes(state: State) -> list[Route]:
    """The routes of this stand-in, and those by which a test looks behind it."""
    handlers = {
        ("POST", _ROOT): DocumentImports.create,
        ("GET", _ROOT): DocumentImports.list_imports,
        ("POST", _ONE + "/executions"): DocumentImports.execute,
        ("GET", _ONE + "/executions"): DocumentImports.list_executions,
        ("GET", "/v1/data_file/data"): DocumentImports.data_file,
        ("GET", "/_sandbox/imports/executions"): DocumentImports.seen,
        ("GET", "/_sandbox/segments"): DocumentImports.list_segments,
        ("GET", "/_sandbox/segments/{kind}/{value:path}"): DocumentImports.list_members,
    }
    return calls(state, DocumentImports, "/_sandbox/imports", handlers)


class Definition(BaseModel):
    """A document import as it is asked for."""

    model_config = ConfigDict(extra="allow", strict=True)

    document_type: Literal["USER_SEGMENT"]
    mime_type: Literal["APPLICATION_X_NDJSON", "TEXT_CSV"]
    encoding: Literal["utf-8"]
    name: str = Field(min_length=1)


def document_imports(state: State) -> "DocumentImports":
    """What is kept of them."""
    return state.keep(DocumentImports)


class DocumentImports(SegmentStore):
    """The handlers, with what they show and change."""

    def refusal(self, request: Request) -> Response | None:
        """Why a caller is not served: no token, no such datamart, no such import."""
        if request.url.path.startswith("/_sandbox/"):
            return None
        refusal = check_caller(self._state, request.scope)
        datamart = request.path_params.get("datamart_id")
        if refusal is not None or datamart is None:
            return refusal
        made = request.path_params.get("import_id")
        known = made is None or self.imports.get(made, {}).get("datamart_id") == datamart
        if self._state.datamart(datamart) is None or not known:
            return not_found(self._state)
        return None

    async def create(self, request: Request) -> Response:
        """Make a document import."""
        try:
            asked = Definition.model_validate_json(await request.body())
        except ValidationError as error:
            wrong = [(".".join(map(str, e["loc"])) or "$", e["msg"]) for e in error.errors()]
            return invalid(self._state, "document import", wrong)
        made = {
            "id": self.new_id(),
            "datafarm_key": "DF_EU_SANDBOX",
            "datamart_id": request.path_params["datamart_id"],
            "priority": "MEDIUM",
            **asked.model_dump(),
        }
        self.imports[made["id"]] = made
        return envelopes.ok(self._with_id(made))

    async def list_imports(self, request: Request) -> Response:
        """The document imports whose name holds `keywords`."""
        words = request.query_params.get("keywords", "")
        datamart = request.path_params["datamart_id"]
        found = [
            self._with_id(made)
            for made in self.imports.values()
            if made["datamart_id"] == datamart and words in made["name"]
        ]
        return _page(request, found)

    async def execute(self, request: Request) -> Response:
        """Take a file."""
        made = self.imports[request.path_params["import_id"]]
        body = await request.body()
        given = request.headers.get("content-type", "").partition(";")[0].strip()
        if given != MIME_TYPES[made["mime_type"]]:
            wrong = f"must be {MIME_TYPES[made['mime_type']]}"
            return invalid(self._state, "upload", [("Content-Type", wrong)])
        why = refused_at_once(body, made["mime_type"])
        if why is not None or not body.strip():
            return invalid(self._state, "upload", [("$", why or "the document is empty")])
        return envelopes.ok(self._document(self.start(made["id"], body)))

    async def list_executions(self, request: Request) -> Response:
        """The executions of a document import, the newest first."""
        await self.advance()
        now = self._state.now_ms()
        found = [
            self._document(seen)
            for seen in reversed(self.of_import.get(request.path_params["import_id"], []))
            if seen.visible_ms <= now
        ]
        return _page(request, found)

    async def data_file(self, request: Request) -> Response:
        """The error file of an execution."""
        uri = request.query_params.get("uri", "")
        seen = self.executions.get(uri.rpartition("/")[2].removesuffix(".errors"))
        content = None if seen is None else self.error_file(seen)
        if content is None:
            return not_found(self._state)
        return Response(content, media_type="application/octet-stream")

    async def seen(self, _: Request) -> Response:
        """Every upload, by the stand-in's own count."""
        await self.advance()
        return JSONResponse([self._seen(seen) for seen in self.executions.values()])

    async def list_segments(self, _: Request) -> Response:
        """How many members each segment has."""
        await self.advance()
        return JSONResponse(
            {f"{kind}/{value}": len(self.listed((kind, value))) for kind, value in self.members}
        )

    async def list_members(self, request: Request) -> Response:
        """The members of a segment, sorted, a JSON object a line."""
        await self.advance()
        segment = (request.path_params["kind"], request.path_params["value"])
        lines = (
            orjson.dumps({"user": user, "expires_ms": expires}, option=orjson.OPT_APPEND_NEWLINE)
            for user, expires in self.listed(segment)
        )
        return StreamingResponse(lines, media_type="application/x-ndjson")

    def _with_id(self, document: dict[str, Any]) -> dict[str, Any]:
        as_number = self.options.ids_as_numbers
        return {**document, "id": int(document["id"])} if as_number else document

    def _seen(self, seen: ExecutionSeen) -> dict[str, Any]:
        names = ("id", "status", "sha256", "lines", "succeeded", "created_ms")
        return {name: getattr(seen, name) for name in names} | {
            "import": self.imports[seen.import_id]["name"],
            "bytes": seen.size_bytes,
            "rejected": len(seen.rejected),
        }

    def _document(self, seen: ExecutionSeen) -> dict[str, Any]:
        """An execution as the vendor's code knows it."""
        made, options = self.imports[seen.import_id], self.options
        parameters = {
            "datamart_id": made["datamart_id"],
            "document_import_id": seen.import_id,
            "document_type": made["document_type"],
            "file_uri": f"mics://data_file/input/{seen.id}",
        }
        document: dict[str, Any] = {
            "id": seen.id,
            "status": seen.status,
            "creation_date": seen.created_ms,
            "external_model_name": "PUBLIC_DOCUMENT_IMPORT_EXECUTION",
            "num_tasks": 1,
            "completed_tasks": int(seen.final),
            "parameters": parameters,
            "result": None,
            "error": {"message": "the executor stopped"} if seen.final and seen.fails else None,
        }
        if seen.final and not seen.fails and seen.status != "CANCELED":
            counts: dict[str, Any] = {
                "total_success": seen.succeeded + (options.counts == "wrong"),
                "total_failure": len(seen.rejected),
            }
            if seen.rejected and options.error_file != "none":
                counts["error_file_uri"] = f"mics://data_file/errors/{seen.id}.errors"
            if options.counts == "parameters":
                document["parameters"] = parameters | counts
            elif options.counts != "none":
                document["result"] = counts
        return self._with_id(document)


def _page(request: Request, found: list[dict[str, Any]]) -> Response:
    query = request.query_params
    first, most = query.get("first_result", "0"), query.get("max_results", "50")
    return envelopes.listing(found, int(first), int(most))
