"""The input format, version 1: what producers put on the topic, as frozen values.

`decode` builds an AppEvent from record bytes, `relay.stream.mapping` makes a user activity of it,
and `schemas/app-event.v1.json` is generated from these models: changing them is a new version.
Names here are ours, without the platform's `$`.
"""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from relay.stream.decoding.fields import Identifier, Properties, Timestamp
from relay.stream.decoding.user import Account, InputModel, Listed, User
from relay.stream.decoding.visit import SessionStatus, Visit


class _Event(InputModel):
    """What all kinds have in common."""

    id: Identifier = Field(
        description="Unique for this event at its producer: the same id is the same event."
    )
    ts: Timestamp = Field(
        description="When it happened: RFC 3339 with an offset, or epoch milliseconds."
    )
    user: User = Field(description="Whom it is about.")
    app_id: Identifier | None = Field(default=None, description="The app channel.")
    site_id: Identifier | None = Field(default=None, description="The site channel.")
    session_status: SessionStatus | None = Field(
        default=None, description="Without it, the session status of the settings."
    )
    activity: Visit | None = Field(
        default=None, description="More about the activity that the event belongs to."
    )
    consents: dict[Identifier, bool] = Field(
        default_factory=dict,
        description="Processing id → whether the user accepted it. What is not named is unknown.",
        json_schema_extra={"additionalProperties": False, "propertyNames": {"maxLength": 512}},
    )


class Track(_Event):
    """Something that the user did."""

    type: Literal["track"]
    event: Identifier = Field(
        max_length=256, description="Name of the event: the platform's ($app_open) or your own."
    )
    properties: Properties = Field(
        default_factory=dict, description="What is known about it; any JSON."
    )


class Profile(_Event):
    """Properties of the user as such."""

    type: Literal["profile"]
    account: Account | None = Field(
        default=None,
        description="The account that the profile belongs to. Without it, the first of the user.",
    )
    properties: Properties = Field(description="The properties to set.", min_length=1)


class Choice(_Event):
    """What the user decided about a processing of personal data."""

    type: Literal["choice"]
    processing_id: Identifier = Field(description="The processing that the choice is about.")
    accepted: bool = Field(description="Whether the user accepts it.")
    properties: Properties = Field(default_factory=dict, description="Custom fields of the choice.")


class Segment(_Event):
    """The user enters or leaves audience segments."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["segment_ids"], "properties": {"segment_ids": {"minItems": 1}}},
                {
                    "required": ["segment_technical_names"],
                    "properties": {"segment_technical_names": {"minItems": 1}},
                },
            ]
        }
    )

    type: Literal["segment"]
    action: Literal["add", "remove"] = Field(description="Whether the user enters or leaves.")
    segment_ids: Annotated[tuple[Identifier, ...], Listed] = Field(
        default=(), description="Segments by id."
    )
    segment_technical_names: Annotated[tuple[Identifier, ...], Listed] = Field(
        default=(), description="Segments by technical name."
    )
    expires_at: Timestamp | None = Field(
        default=None, description="When the membership ends. Without it, never."
    )
    properties: Properties = Field(
        default_factory=dict, description="Data that stays with the membership."
    )

    @model_validator(mode="after")
    def _names_a_segment(self) -> Self:
        if not self.segment_ids and not self.segment_technical_names:
            raise PydanticCustomError("missing", "needs segment_ids or segment_technical_names")
        return self


AppEvent = Annotated[Track | Profile | Choice | Segment, Field(discriminator="type")]

KINDS = ("track", "profile", "choice", "segment")
