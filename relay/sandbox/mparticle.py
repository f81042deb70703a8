"""Stand-in for mParticle's User Segments Export API: a CSV put here comes out as an export.

Documented: paths, Basic authentication, the two objects. As the vendor's samples have it, and
against its table: `projectId` only inside `segment`, `filename` null while PENDING. The file goes
to S3 where one is given, else it is served from here, under an address that plays a signed one.
"""

import base64
import binascii
from dataclasses import dataclass, field
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

_ROOT = "/service/v1/segments"
_HOUR_MS = 3_600_000
_SIGNATURE = "0f" * 32


class Gone(StrEnum):
    """What an export is after its time. The vendor does not say."""

    NOT_FOUND = "not_found"
    DEAD_FILE = "dead_file"


class S3Target(BaseModel):
    """Where finished exports are put."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str
    bucket: str = "upload-bucket"
    region: str = "us-east-1"


class ExportOptions(BaseModel):
    """How exports behave; `PUT /_sandbox/mparticle` changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    gone: Gone = Gone.NOT_FOUND
    cut_downloads: int = Field(
        default=0, ge=0, description="So many downloads over HTTP break off in the middle."
    )
    s3: S3Target | None = None


@dataclass(slots=True)
class SegmentSeen:
    """A user segment and what an export of it holds."""

    id: str
    name: str
    content: bytes = field(repr=False)
    file: str | None = None
    type: str = "Dynamic"


@dataclass(slots=True)
class ExportSeen:
    """An export that was asked for."""

    id: str
    segment: SegmentSeen
    started_ms: int
    fails: bool
    content: bytes = field(repr=False)
    stored: bool = False


class Exports:
    """The segments of one project, and their exports."""

    def __init__(self, state: State) -> None:
        self.options = ExportOptions()
        self.project_id = state.new_id()
        self.segments: dict[str, SegmentSeen] = {}
        self.exports: dict[str, ExportSeen] = {}
        self.null_filenames = 0
        self.failed = 0
        self.cut = 0


def routes(state: State) -> list[Route]:
    """The routes of this stand-in, and those by which a test fills it."""
    api = Mparticle(state)
    return [
        Route(f"{_ROOT}/list", api.list_segments, methods=["GET"]),
        Route(f"{_ROOT}/export/", api.request_export, methods=["POST"]),
        Route(_ROOT + "/export/{export_id}", api.show_export, methods=["GET"]),
        Route("/upload-bucket/path/to/{export_id}.csv", api.download, methods=["GET"]),
        Route("/_sandbox/mparticle", api.set_options, methods=["GET", "PUT"]),
        Route("/_sandbox/mparticle/segments/{segment_id}", api.set_segment, methods=["PUT"]),
        Route("/_sandbox/mparticle/exports", api.seen, methods=["GET"]),
    ]


class Mparticle:
    """The handlers."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def _exports(self) -> Exports:
        return self._state.keep(Exports, lambda: Exports(self._state))

    async def list_segments(self, request: Request) -> Response:
        """A bare list of segment objects."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        return _json([self._segment(seen) for seen in self._exports.segments.values()])

    async def request_export(self, request: Request) -> Response:
        """Begin an export. Each request is a new one."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        try:
            asked = orjson.loads(await request.body())
        except orjson.JSONDecodeError:
            return _error(400, "not JSON")
        if not isinstance(asked, dict) or str(asked.get("outputFormat", "")).lower() != "csv":
            return _error(400, "outputFormat must be CSV")
        segment = self._exports.segments.get(asked.get("segmentId", ""))
        if segment is None:
            return _error(404, "no such segment")
        room = self._exports
        fails = room.failed < room.options.fail_next
        room.failed += fails
        export = ExportSeen(
            self._state.new_id(), segment, self._state.now_ms(), fails, _content(segment)
        )
        room.exports[export.id] = export
        return _json(self._status(request, export, "PENDING", None))

    async def show_export(self, request: Request) -> Response:
        """How an export stands."""
        refusal = self._check(request)
        if refusal is not None:
            return refusal
        room = self._exports
        export = room.exports.get(request.path_params["export_id"])
        if export is None or (self._expired(export) and room.options.gone is Gone.NOT_FOUND):
            return _error(404, "no such export")
        if self._state.now_ms() < export.started_ms + room.options.takes_ms:
            return _json(self._status(request, export, "PENDING", None))
        if export.fails:
            return _json(self._status(request, export, "FAILED", None))
        if room.null_filenames < room.options.null_filename:
            room.null_filenames += 1
            return _json(self._status(request, export, "COMPLETE", None))
        await self._store(export)
        return _json(self._status(request, export, "COMPLETE", self._location(request, export)))

    async def download(self, request: Request) -> Response:
        """The file, to whoever has its address."""
        room = self._exports
        export = room.exports.get(request.path_params["export_id"])
        if export is None or request.query_params.get("X-Amz-Signature") != _SIGNATURE:
            return Response(status_code=403)
        if self._expired(export):
            return Response(status_code=404)
        if room.cut < room.options.cut_downloads:
            room.cut += 1
            half = export.content[: len(export.content) // 2]
            return Response(half, headers={"content-length": str(len(export.content))})
        return Response(export.content, media_type="text/csv")

    async def set_options(self, request: Request) -> Response:
        """How exports behave from now on."""
        room = self._exports
        if request.method == "PUT":
            try:
                room.options = ExportOptions.model_validate_json(await request.body())
            except ValidationError as error:
                return Response(explain(error), status_code=400)
            room.null_filenames = room.failed = room.cut = 0
        return Response(room.options.model_dump_json(), media_type="application/json")

    async def set_segment(self, request: Request) -> Response:
        """Make the body what the segment exports; or the local file that `file` names."""
        segment_id = request.path_params["segment_id"]
        self._exports.segments[segment_id] = SegmentSeen(
            segment_id,
            request.query_params.get("name", "My Segment"),
            await request.body(),
            request.query_params.get("file"),
            request.query_params.get("type", "Dynamic"),
        )
        return Response(status_code=204)

    async def seen(self, _: Request) -> Response:
        """Every export that was asked for."""
        return _json(
            [{"id": seen.id, "segment": seen.segment.id} for seen in self._exports.exports.values()]
        )

    def _check(self, request: Request) -> Response | None:
        options = self._exports.options
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            pair = tuple(base64.b64decode(encoded).decode().split(":", 1))
        except (binascii.Error, UnicodeDecodeError):
            pair = ()
        known = options.credentials is None or pair == options.credentials
        if scheme.lower() != "basic" or len(pair) != 2 or not known:  # noqa: PLR2004 - a pair
            return _error(401, "unauthorized")
        return _error(403, "forbidden") if options.forbidden else None

    def _expired(self, export: ExportSeen) -> bool:
        options = self._exports.options
        done = export.started_ms + options.takes_ms
        return self._state.now_ms() > done + options.kept_ms

    def _location(self, request: Request, export: ExportSeen) -> str:
        target = self._exports.options.s3
        if target is not None:
            return f"s3://{target.bucket}/path/to/{export.id}.csv"
        base = f"{request.url.scheme}://{request.url.netloc}"
        return f"{base}/upload-bucket/path/to/{export.id}.csv?X-Amz-Signature={_SIGNATURE}"

    async def _store(self, export: ExportSeen) -> None:
        target = self._exports.options.s3
        if target is None or export.stored:
            return
        export.stored = True
        from relay.sandbox.s3 import put  # noqa: PLC0415 - needs an extra

        await put(
            target.endpoint,
            target.region,
            target.bucket,
            f"path/to/{export.id}.csv",
            export.content,
        )

    def _segment(self, seen: SegmentSeen) -> dict[str, Any]:
        return {
            "segmentId": seen.id,
            "name": seen.name,
            "description": None,
            "category": None,
            "projectId": self._exports.project_id,
            "type": seen.type,
            "lastRun": None if seen.type == "Static" else _time(self._state.now_ms()),
        }

    def _status(
        self, request: Request, export: ExportSeen, status: str, filename: str | None
    ) -> dict[str, Any]:
        del request
        options = self._exports.options
        done = status != "PENDING"
        document = {
            "exportId": export.id,
            "segment": self._segment(export.segment),
            "status": status,
            "startTime": _time(export.started_ms),
            "endTime": _time(export.started_ms + options.takes_ms) if done else None,
            "filename": filename,
        }
        if options.top_level_project_id:
            document["projectId"] = self._exports.project_id
        return document


def _content(segment: SegmentSeen) -> bytes:
    if segment.file is None:
        return segment.content
    with open(segment.file, "rb") as file:  # noqa: PTH123 - a stand-in on the tester's machine
        return file.read()


def _time(ms: int) -> str:
    whole = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def _error(status: int, text: str) -> Response:
    return _json({"error": text}, status)


def _json(document: object, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status_code=status, media_type="application/json")
