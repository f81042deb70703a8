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

UpdateStrategy = Literal[
    "PARTIAL_UPDATE",
    "PARTIAL_DELETE",
    "FORCE_REPLACE",
    "legacy_replace",
    "legacy_merge",
    "legacy_merge_objects",
    "platform",
]
Selector = Literal["account", "email", "device", "user_point", "user_point_bare"]
# Not `.` or `..`: alone in a path, those would lead elsewhere.
UserPointId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:~-]{0,127}$")]
SelectedBy = Annotated[
    Selector | None,
    Field(
        description="What selects the user on that route. Without it `user_point_id`, else the "
        "first account, email or device there is."
    ),
]
SelectedPoint = Annotated[
    UserPointId | None,
    Field(description="The platform's own id of the user, for that route."),
]


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
    route: Literal["activity", "user_profiles"] | None = Field(
        default=None,
        description="How it travels. Without it `user_profiles` where `update_strategy`, "
        "`selector` or `user_point_id` is given, else the route of the settings.",
    )
    update_strategy: UpdateStrategy | None = Field(
        default=None,
        description="How the properties meet the stored ones, on the route `user_profiles`. "
        "Without it, the strategy of the settings.",
    )
    selector: SelectedBy = None
    user_point_id: SelectedPoint = None
    account: Account | None = Field(
        default=None,
        description="The account that the profile belongs to. Without it, the first of the user.",
    )
    properties: Properties = Field(description="The properties to set.", min_length=1)


class Choice(_Event):
    """What the user decided about a processing of personal data."""

    type: Literal["choice"]
    route: Literal["activity", "user_choices"] | None = Field(
        default=None,
        description="How it travels. Without it `user_choices` where `selector` or "
        "`user_point_id` is given, else the route of the settings.",
    )
    selector: SelectedBy = None
    user_point_id: SelectedPoint = None
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
