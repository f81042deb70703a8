"""What Digital Audience says of its segments, audiences and accounts: JSON in, frozen values out.

Keys are matched in lower case, because the vendor writes them in more than one way. The page says
which fields may be null; we let any be null or missing but for an id. An account's `accessToken`,
which another page names, is a secret: it is not a field here, so it goes nowhere.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    ConfigDict,
    TypeAdapter,
    model_validator,
)
from pydantic_core import PydanticCustomError


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


UtcTime = Annotated[datetime, AfterValidator(_utc)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        alias_generator=AliasGenerator(validation_alias=lambda name: name.replace("_", "")),
        coerce_numbers_to_str=True,  # ids are text, digit by digit
        hide_input_in_errors=True,
    )


class Segment(_Model):
    """A segment of an audience on a platform."""

    id: str | None = None
    segment_id: str | None = None
    segment_ref_id: str | None = None
    category_id: str | None = None
    name: str | None = None
    description: str | None = None
    extend: bool | None = None
    active: bool | None = None
    account_id: str | None = None
    audience_id: str | None = None
    platform_id: str | None = None
    is_recurring: bool | None = None
    is_system_generated: bool | None = None
    country: int | None = None
    start_date: UtcTime | None = None
    end_date: UtcTime | None = None
    status: str | None = None
    status_id: int | None = None
    user_name: str | None = None
    user_id: str | None = None
    total_log_count: int | None = None
    total_ready_count: int | None = None
    total_processing_count: int | None = None
    total_pending_count: int | None = None
    total_upload_count: int | None = None
    total_failed_count: int | None = None
    total_no_data_count: int | None = None
    total_segment_upload_count: int | None = None
    created: UtcTime | None = None
    updated: UtcTime | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_an_id(cls, given: Any) -> Any:
        if isinstance(given, dict) and not (given.get("segmentid") or given.get("id")):
            raise PydanticCustomError("missing", "neither segmentId nor id")
        return given

    @property
    def key(self) -> str:
        """What the paths take. Inferred: `segmentId`, and `id` where there is none."""
        return self.segment_id or self.id or ""


class Audience(_Model):
    """An audience of a campaign, as far as the answer to its creation tells."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    campaign_id: str | None = None
    campaign_name: str | None = None
    user_id: str | None = None
    created: UtcTime | None = None


class Account(_Model):
    """An account on a platform, in which segments can be activated."""

    id: str
    name: str | None = None
    platform_id: str | None = None
    platform_name: str | None = None
    platform_display_name: str | None = None
    agency_id: str | None = None
    account_type_id: str | None = None
    advertiser_id: str | None = None
    client_id: str | None = None
    agency_name: str | None = None
    account_type_name: str | None = None
    default_segment_pricing_category_id: str | None = None
    created: UtcTime | None = None
    updated: UtcTime | None = None


SEGMENT = TypeAdapter(Segment)
SEGMENTS = TypeAdapter(list[Segment])
AUDIENCE = TypeAdapter(Audience)
ACCOUNTS = TypeAdapter(list[Account])
