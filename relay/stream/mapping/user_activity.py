"""What we send to the user activities endpoint, as models in the vendor's words.

Mapping builds activities as plain dicts, because a model for each event would cost more than all
the rest; this is the document that they are held to (`schemas/user-activity.v1.json`). The fields
are those of the vendor's "Tracking API" page; what only its SDK or its samples show is marked
*inferred*.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from relay.stream.decoding.schema import WithoutTitles, versioned

Text = Annotated[str, Field(min_length=1)]
CompartmentId = Text | int
EpochMs = int
VendorId = Text | int
"""Of the platform's own; its SDK sends numbers."""
Natural = Annotated[int, Field(ge=0)]


class WithoutNulls(WithoutTitles):
    """What is not known is left out of an activity, never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """The schema of what is not null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """The schema without the default."""
        return self.generate_inner(schema["schema"])


class _Vendor(BaseModel):
    """Closed, and every field's name begins with `$`."""

    model_config = ConfigDict(extra="forbid", alias_generator=lambda name: f"${name}")


# Keys of the producer's own may stand beside the platform's.
_CUSTOM: dict[str, Any] = {"patternProperties": {r"^(?!\$)": {}}}


class UserAccount(_Vendor):
    """An account in a compartment; without one the platform takes the datamart's default."""

    type: Literal["USER_ACCOUNT"]
    user_account_id: Text
    compartment_id: CompartmentId | None = None


class UserAgent(_Vendor):
    """A device or browser."""

    type: Literal["USER_AGENT"]
    user_agent_id: Text


class UserEmail(_Vendor):
    """An email address by its hash, and in clear where the settings allow it."""

    type: Literal["USER_EMAIL"]
    hash: Text
    email: Text | None = None


UserIdentifier = Annotated[UserAccount | UserAgent | UserEmail, Field(discriminator="type")]


class EmailHash(_Vendor):
    """An email address at the root of an activity, the legacy form."""

    hash: Text
    email: Text | None = None


def _asks(event_name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """What an event of the platform's must say in its properties."""
    inner = {"required": list(properties), "properties": properties}
    return {
        "if": {"properties": {"$event_name": {"const": event_name}}},
        "then": {"properties": {"$properties": inner}},
    }


_PROFILE = _asks("$set_user_profile_properties", {"$compartment_id": {}, "$user_account_id": {}})
_CHOICE = _asks(
    "$set_user_choice",
    {"$processing_id": {}, "$choice_acceptance_value": {"type": "boolean"}},
)


class UserEvent(_Vendor):
    """One thing that happened."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_PROFILE, _CHOICE]})

    ts: EpochMs
    event_name: Text
    properties: dict[str, Any]


class Origin(_Vendor):
    """Where the traffic came from. Keys: inferred."""

    model_config = ConfigDict(json_schema_extra=_CUSTOM)

    ts: EpochMs | None = None
    source: Text | None = None
    channel: Text | None = None
    campaign_id: VendorId | None = None
    campaign_name: Text | None = None
    campaign_technical_name: Text | None = None
    sub_campaign_id: VendorId | None = None
    sub_campaign_technical_name: Text | None = None
    message_id: VendorId | None = None
    message_technical_name: Text | None = None
    keywords: Text | None = None
    creative_id: VendorId | None = None
    creative_name: Text | None = None
    creative_technical_name: Text | None = None
    engagement_content_id: Text | None = None
    social_network: Text | None = None
    referral_path: Text | None = None
    log_id: Text | None = None
    gclid: Text | None = None


class Location(_Vendor):
    """Where the user was. Keys, and latitude and longitude as an array of numbers: inferred."""

    model_config = ConfigDict(json_schema_extra=_CUSTOM)

    source: Literal["GPS", "IP", "OTHER"] | None = None
    country: Text | None = None
    region: Text | None = None
    iso_region: Text | None = None
    city: Text | None = None
    iso_city: Text | None = None
    zip_code: Text | None = None
    latlon: tuple[float, float] | None = None


# What the platform's own email router and recommender send has a source and no session status.
_SOURCED: dict[str, Any] = {
    "required": ["$source"],
    "properties": {"$type": {"enum": ["EMAIL", "RECOMMENDER"]}},
}


class UserActivity(_Vendor):
    """The body of `POST /v1/datamarts/{datamartId}/user_activities`."""

    model_config = ConfigDict(
        json_schema_extra={
            **_CUSTOM,
            "if": {"not": _SOURCED},
            "then": {"required": ["$session_status"]},
            "anyOf": [
                {"required": [name]}
                for name in (
                    "$user_identifiers",
                    "$user_account_id",
                    "$user_agent_id",
                    "$email_hash",
                )
            ],
        }
    )

    ts: EpochMs
    type: Literal["SITE_VISIT", "APP_VISIT", "DISPLAY_AD", "EMAIL", "RECOMMENDER", "TOUCH"]
    session_status: Literal["NO_SESSION", "IN_SESSION", "CLOSED_SESSION"] | None = Field(
        None, description="Absent only from an EMAIL or RECOMMENDER that names its $source."
    )
    source: Text | None = Field(None, description="Who made the activity. Inferred.")
    events: list[UserEvent] = Field(min_length=1)
    user_identifiers: Annotated[list[UserIdentifier], Field(min_length=1)] | None = None
    user_account_id: Text | None = Field(None, description="Legacy form.")
    compartment_id: CompartmentId | None = Field(None, description="Legacy form.")
    user_agent_id: Text | None = Field(None, description="Legacy form.")
    email_hash: EmailHash | None = Field(None, description="Legacy form.")
    app_id: Text | None = None
    site_id: Text | None = None
    unique_key: str | None = Field(
        None, pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
    )
    ttl: Natural | None = Field(None, description="Minutes; 0 for ever.")
    session_duration: Natural | None = Field(None, description="Seconds. Inferred.")
    topics: dict[str, Any] | None = Field(None, description="Inferred.")
    origin: Origin | None = None
    location: Location | None = None


def user_activity_schema() -> dict[str, Any]:
    """The document that stands in `schemas/user-activity.v1.json`."""
    body = UserActivity.model_json_schema(schema_generator=WithoutNulls)
    return versioned("user-activity", "User activity", body)
