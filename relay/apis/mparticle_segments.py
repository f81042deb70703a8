"""mParticle Analytics, User Segments Export API: list, request an export, see it through.

The vendor's page contradicts itself in places: a PENDING export has a null `filename` although the
field is not nullable, and `projectId` stands only inside `segment`. Both are read as they come.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from relay.apis.caller import Caller, parse, unusable_is_lost
from relay.apis.errors import ExportExpired, NotThere

BASE_URL = "https://query.indicative-prod.mparticle.com"
_ROOT = "/service/v1/segments"

HINTS = {
    401: "check segments.mparticle.api_key and access_token",
    403: "the project has no access to the Export API; mParticle can grant it",
    404: "relay segments list shows the segments of the project",
    429: "fewer calls at a time; the vendor names no limit",
    500: "the vendor opens a ticket by itself; try later",
}


class ExportStatus(StrEnum):
    """What an export is doing."""

    PENDING = "PENDING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"


class SegmentType(StrEnum):
    """Whether a segment is refreshed. The vendor's interface says One-time and Daily."""

    STATIC = "Static"
    DYNAMIC = "Dynamic"


@dataclass(frozen=True, slots=True)
class Segment:
    """A user segment of a project."""

    segment_id: str
    name: str
    description: str | None
    category: str | None
    project_id: str
    type: SegmentType
    last_run: datetime | None


@dataclass(frozen=True, slots=True)
class Export:
    """An export as its status tells."""

    export_id: str
    segment: Segment
    status: ExportStatus
    project_id: str
    start_time: datetime
    end_time: datetime | None
    # A location may be signed: whoever reads it can read the file.
    filename: str | None = field(repr=False)


class MparticleSegments:
    """The calls for one project."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def segments(self) -> list[Segment]:
        """Every user segment of the project."""
        found: list[_SegmentWire] = await self._call("GET", f"{_ROOT}/list", _SEGMENTS)
        return [item.value() for item in found]

    async def request_export(self, segment_id: str) -> Export:
        """Ask for a new export. AnswerLost: one may be under way that nobody can find again."""
        body = {"segmentId": segment_id, "outputFormat": "csv"}
        asked: _ExportWire = await self._call(
            "POST", f"{_ROOT}/export/", _EXPORT, repeatable=False, json=body
        )
        return asked.value()

    async def export(self, export_id: str) -> Export:
        """How an export stands."""
        path = f"{_ROOT}/export/{quote(export_id, safe='')}"
        try:
            found: _ExportWire = await self._call("GET", path, _EXPORT)
        except NotThere:
            raise ExportExpired(
                f"mParticle: the export {export_id} is not known any more",
                hint="files are kept for 48 hours at most; ask for a new export",
            ) from None
        return found.value()

    async def _call(
        self,
        method: str,
        path: str,
        adapter: TypeAdapter[Any],
        *,
        repeatable: bool = True,
        **options: Any,
    ) -> Any:
        answer = await self._caller.send(method, path, repeatable=repeatable, **options)
        with unusable_is_lost(unless=repeatable):
            return parse(f"{self._caller.vendor}: {method} {path}", adapter, answer.content)


class _Wire(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True, hide_input_in_errors=True)


class _SegmentWire(_Wire):
    segment_id: str = Field(alias="segmentId")
    name: str
    description: str | None = None
    category: str | None = None
    project_id: str = Field(alias="projectId")
    type: SegmentType
    last_run: datetime | None = Field(default=None, alias="lastRun")

    def value(self) -> Segment:
        return Segment(
            self.segment_id,
            self.name,
            self.description,
            self.category,
            self.project_id,
            self.type,
            self.last_run,
        )


class _ExportWire(_Wire):
    export_id: str = Field(alias="exportId")
    segment: _SegmentWire
    status: ExportStatus
    project_id: str | None = Field(default=None, alias="projectId")
    start_time: datetime = Field(alias="startTime")
    end_time: datetime | None = Field(default=None, alias="endTime")
    filename: str | None = None

    def value(self) -> Export:
        return Export(
            self.export_id,
            self.segment.value(),
            self.status,
            self.project_id or self.segment.project_id,
            self.start_time,
            self.end_time,
            self.filename or None,
        )


_SEGMENTS = TypeAdapter(list[_SegmentWire])
_EXPORT = TypeAdapter(_ExportWire)
