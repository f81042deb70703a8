"""Stand-in for mParticle's User Segments Export API: a CSV put here comes out as an export.

Documented: paths, Basic authentication, the two objects. As the vendor's samples have it, and
against its table: `projectId` only inside `segment`, `filename` null while PENDING. The file
is served from here, under an address that plays a signed one, unless a test says where it put it.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from relay.sandbox.stand_in import StandIn, calls
from relay.sandbox.state import State
from relay.wording import rfc3339

_ROOT = "/service/v1/segments"
_HOUR_MS = 3_600_000
_SIGNATURE = "0f" * 32


class ExportOptions(BaseModel):
    """How exports behave; `PUT /_sandbox/mparticle` changes it."""

    model_config = ConfigDict(extra="forbid")

    credentials: tuple[str, str] | None = Field(
        default=None, description="API key and access token; None: any, but some."
    )
    forbidden: bool = Field(default=False, description="The project may not use the API: 403.")
    takes_ms: int = Field(default=300, ge=0)
    fail_next: int = Field(default=0, ge=0, description="So many exports from now on fail.")
    null_filename: int = Field(
        default=0, ge=0, description="So many times COMPLETE is said without a file name."
    )
    top_level_project_id: bool = False
    kept_ms: int = Field(default=48 * _HOUR_MS, ge=0)
    gone: Literal["not_found", "dead_file"] = Field(
        default="not_found", description="What an export is after its time: the page does not say."
    )
    cut_downloads: int = Field(
        default=0, ge=0, description="So many downloads over HTTP break off in the middle."
    )
    location: str | None = Field(
        default=None, description="What exports name as their file; None: an address of here."
    )


@dataclass(slots=True)
class Export:
    """An export that was asked for."""

    id: str
    segment: dict[str, Any]
    started_ms: int
    fails: bool
    content: bytes = field(repr=False)


class Mparticle(StandIn):
    """The segments of one project, their exports, and the calls."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.options: ExportOptions = ExportOptions()
        self.project_id = state.new_id()
        self.segments: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, Callable[[], bytes]] = {}
        self.exports: dict[str, Export] = {}

    async def list_segments(self, _: Request) -> Response:
        """A bare list of segment objects."""
        return JSONResponse(list(self.segments.values()))

    async def request_export(self, request: Request) -> Response:
        """Begin an export. Each request is a new one."""
        try:
            asked = orjson.loads(await request.body())
        except orjson.JSONDecodeError:
            return _error(400, "not JSON")
        if not isinstance(asked, dict) or str(asked.get("outputFormat", "")).lower() != "csv":
            return _error(400, "outputFormat must be CSV")
        segment = self.segments.get(asked.get("segmentId", ""))
        if segment is None:
            return _error(404, "no such segment")
        fails = self._still("fail_next")
        content = self.contents[segment["segmentId"]]()
        export = Export(self._state.new_id(), segment, self._state.now_ms(), fails, content)
        self.exports[export.id] = export
        return self._status(export, "PENDING")

    async def show_export(self, request: Request) -> Response:
        """How an export stands."""
        export = self.exports.get(request.path_params["export_id"])
        if export is None or (self._expired(export) and self.options.gone == "not_found"):
            return _error(404, "no such export")
        if self._state.now_ms() < export.started_ms + self.options.takes_ms:
            return self._status(export, "PENDING")
        if export.fails:
            return self._status(export, "FAILED")
        if self._still("null_filename"):
            return self._status(export, "COMPLETE")
        base = f"{request.url.scheme}://{request.url.netloc}/upload-bucket"
        here = f"{base}/path/to/{export.id}.csv?X-Amz-Signature={_SIGNATURE}"
        return self._status(export, "COMPLETE", self.options.location or here)

    async def download(self, request: Request) -> Response:
        """The file, to whoever has its address."""
        export = self.exports.get(request.path_params["export_id"])
        if export is None or request.query_params.get("X-Amz-Signature") != _SIGNATURE:
            return Response(status_code=403)
        if self._expired(export):
            return Response(status_code=404)
        if self._still("cut_downloads"):
            half = export.content[: len(export.content) // 2]
            return Response(half, headers={"content-length": str(len(export.content))})
        return Response(export.content, media_type="text/csv")

    async def set_segment(self, request: Request) -> Response:
        """Make the body what the segment exports; or the local file that `file` names."""
        id_, query = request.path_params["segment_id"], request.query_params
        body = await request.body()
        kind = query.get("type", "Dynamic")
        self.segments[id_] = {
            "segmentId": id_,
            "name": query.get("name", "My Segment"),
            "description": None,
            "category": None,
            "projectId": self.project_id,
            "type": kind,
            "lastRun": None if kind == "Static" else rfc3339(self._state.now_ms() / 1000),
        }
        file = query.get("file")
        self.contents[id_] = Path(file).read_bytes if file else lambda: body
        return Response(status_code=204)

    async def seen(self, _: Request) -> Response:
        """Every export that was asked for."""
        return JSONResponse(list(self.exports))

    def refusal(self, request: Request) -> Response | None:
        """Why a caller is not served: the API knows its callers, a signed address anybody."""
        if not request.url.path.startswith(_ROOT):
            return None
        pair = ":".join(self.options.credentials or ())
        known = "Basic " + base64.b64encode(pair.encode()).decode()
        given = request.headers.get("authorization", "")
        if not given.startswith("Basic ") or (self.options.credentials and given != known):
            return _error(401, "unauthorized")
        return _error(403, "forbidden") if self.options.forbidden else None

    def _still(self, option: str) -> bool:
        """Whether what shall happen so many times happens now; the option counts down."""
        left: int = getattr(self.options, option)
        setattr(self.options, option, max(0, left - 1))
        return left > 0

    def _expired(self, export: Export) -> bool:
        done = export.started_ms + self.options.takes_ms
        return self._state.now_ms() > done + self.options.kept_ms

    def _status(self, export: Export, status: str, filename: str | None = None) -> Response:
        ended_ms = export.started_ms + self.options.takes_ms
        document = {
            "exportId": export.id,
            "segment": export.segment,
            "status": status,
            "startTime": rfc3339(export.started_ms / 1000),
            "endTime": None if status == "PENDING" else rfc3339(ended_ms / 1000),
            "filename": filename,
        }
        if self.options.top_level_project_id:
            document["projectId"] = self.project_id
        return JSONResponse(document)


def routes(state: State) -> list[Route]:
    """The routes of this stand-in, and those by which a test fills it."""
    handlers = {
        ("GET", f"{_ROOT}/list"): Mparticle.list_segments,
        ("POST", f"{_ROOT}/export/"): Mparticle.request_export,
        ("GET", _ROOT + "/export/{export_id}"): Mparticle.show_export,
        ("GET", "/upload-bucket/path/to/{export_id}.csv"): Mparticle.download,
        ("PUT", "/_sandbox/mparticle/segments/{segment_id}"): Mparticle.set_segment,
        ("GET", "/_sandbox/mparticle/exports"): Mparticle.seen,
    }
    return calls(state, Mparticle, "/_sandbox/mparticle", handlers)


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
