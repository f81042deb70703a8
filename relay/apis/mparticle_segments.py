"""mParticle Analytics, User Segments Export API: list, request an export, see it through.

The vendor's page contradicts itself in places: a PENDING export has a null `filename` although the
field is not nullable, and `projectId` stands only inside `segment`. Both are read as they come.
"""

from datetime import datetime
from typing import Literal
from urllib.parse import quote

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from relay.apis.caller import Caller
from relay.apis.errors import ExportExpired, NotThere

_ROOT = "/service/v1/segments"

HINTS = {
    401: "check segments.mparticle.api_key and access_token",
    403: "the project has no access to the Export API; mParticle can grant it",
    404: "relay segments list shows the segments of the project",
    429: "fewer calls at a time; the vendor names no limit",
    500: "the vendor opens a ticket by itself; try later",
}


class _Object(BaseModel):
    """An object of the vendor's, by its names there: `segmentId` is `segment_id`."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


class MParticleSegment(_Object):
    """A user segment of a project."""

    segment_id: str
    name: str
    description: str | None = None
    category: str | None = None
    project_id: str
    type: str
    """`Static` or `Dynamic`; the vendor's interface says One-time and Daily."""
    last_run: datetime | None = None


class Export(_Object):
    """An export as its status tells."""

    export_id: str
    segment: MParticleSegment
    status: Literal["PENDING", "COMPLETE", "FAILED"]
    # Never null by the vendor's table, and missing in its samples.
    project_id: str = Field(
        validation_alias=AliasChoices("projectId", AliasPath("segment", "projectId"))
    )
    start_time: datetime
    end_time: datetime | None = None
    # A location may be signed: whoever reads it can read the file.
    filename: str | None = Field(default=None, repr=False)


class MparticleSegments:
    """The calls for one project."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def segments(self) -> list[MParticleSegment]:
        """Every user segment of the project."""
        return await self._caller.value("GET", f"{_ROOT}/list", list[MParticleSegment])

    async def request_export(self, segment_id: str) -> Export:
        """Ask for a new export. AnswerLost: one may be under way that nobody can find again."""
        body = {"segmentId": segment_id, "outputFormat": "csv"}
        path = f"{_ROOT}/export/"
        return await self._caller.value("POST", path, Export, repeatable=False, json=body)

    async def export(self, export_id: str) -> Export:
        """How an export stands."""
        path = f"{_ROOT}/export/{quote(export_id, safe='')}"
        try:
            return await self._caller.value("GET", path, Export)
        except NotThere:
            raise ExportExpired(
                f"mParticle: the export {export_id} is not known any more",
                hint="files are kept for 48 hours at most; ask for a new export",
            ) from None
