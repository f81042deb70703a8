"""What an event may say about the activity that it belongs to: type, start, origin, location."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from relay.stream.decoding.fields import (
    TEXT_MAX,
    VISIBLE,
    Identifier,
    Properties,
    Timestamp,
    all_finite,
)
from relay.stream.decoding.user import InputModel


def _custom_keys(properties: dict[str, Any]) -> dict[str, Any]:
    if any(name.startswith("$") for name in properties):
        raise PydanticCustomError("reserved", "must not hold a key that starts with $")
    return all_finite(properties)


# Keys of the producer's own beside the platform's, which all begin with `$`.
CustomKeys = Annotated[
    dict[str, Any],
    AfterValidator(_custom_keys),
    Field(json_schema_extra={"propertyNames": {"pattern": r"^(?!\$)"}}),
]

# USER_SCENARIO_… and the like exist too, but only the platform itself makes those.
ActivityType = Literal["SITE_VISIT", "APP_VISIT", "DISPLAY_AD", "EMAIL", "RECOMMENDER", "TOUCH"]

# SESSION_SNAPSHOT exists too, but only the platform itself makes those.
SessionStatus = Literal["NO_SESSION", "IN_SESSION", "CLOSED_SESSION"]


_ID_MAX = 2**63 - 1  # a long of the platform's, which is in Java


def _origin_id(value: Any) -> str | int:
    """An id of the platform's: digits or a name as text, or the number that its own SDK sends."""
    if type(value) is int and 0 <= value <= _ID_MAX:
        return value
    if isinstance(value, str) and len(value) <= TEXT_MAX and _IDENTIFIER_MATCH(value):
        return value
    raise PydanticCustomError("id", "must be text, or a whole number of at most 63 bits")


_IDENTIFIER_MATCH = re.compile(VISIBLE[:-1] + r"\Z").match
OriginId = Annotated[
    str | int,
    PlainValidator(_origin_id),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "integer", "minimum": 0, "maximum": _ID_MAX},
                {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": TEXT_MAX,
                    "pattern": VISIBLE,
                },
            ]
        }
    ),
]


class Origin(InputModel):
    """Where the traffic came from."""

    ts: Timestamp | None = None
    source: Identifier | None = None
    channel: Identifier | None = None
    campaign_id: OriginId | None = None
    campaign_name: Identifier | None = None
    campaign_technical_name: Identifier | None = None
    sub_campaign_id: OriginId | None = None
    sub_campaign_technical_name: Identifier | None = None
    message_id: OriginId | None = None
    message_technical_name: Identifier | None = None
    keywords: Identifier | None = None
    creative_id: OriginId | None = None
    creative_name: Identifier | None = None
    creative_technical_name: Identifier | None = None
    engagement_content_id: Identifier | None = None
    social_network: Identifier | None = None
    referral_path: Identifier | None = None
    log_id: Identifier | None = None
    gclid: Identifier | None = None
    properties: CustomKeys = Field(default_factory=dict, description="Keys of your own.")


Degrees = Annotated[float, Field(allow_inf_nan=False)]


class Location(InputModel):
    """Where the user was."""

    source: Literal["GPS", "IP", "OTHER"] | None = None
    country: Identifier | None = Field(default=None, description="ISO 3166-1 alpha-2.")
    region: Identifier | None = Field(default=None, description="GeoNames admin1 code.")
    iso_region: Identifier | None = Field(default=None, description="ISO 3166-2.")
    city: Identifier | None = Field(default=None, description="GeoNames id.")
    iso_city: Identifier | None = Field(default=None, description="UN/LOCODE.")
    zip_code: Identifier | None = None
    latlon: Annotated[
        tuple[Annotated[Degrees, Field(ge=-90, le=90)], Annotated[Degrees, Field(ge=-180, le=180)]]
        | None,
        Field(strict=False),
    ] = Field(default=None, description="Latitude and longitude in degrees.")
    properties: CustomKeys = Field(default_factory=dict, description="Keys of your own.")


class Visit(InputModel):
    """The activity around the event, as far as it differs from what the relay would say."""

    type: ActivityType | None = Field(
        default=None,
        description="Without it: APP_VISIT with an app_id, SITE_VISIT with a site_id, else TOUCH.",
    )
    ts: Timestamp | None = Field(
        default=None, description="Start of the session, when it is not the time of the event."
    )
    ttl_minutes: int | None = Field(
        default=None, ge=0, description="How long the platform keeps the activity; 0 for ever."
    )
    session_duration_s: int | None = Field(
        default=None, ge=0, description="Length of a finished session."
    )
    source: Identifier | None = Field(
        default=None,
        description="Who made the activity, as `API` for the platform's email router. With it an "
        "EMAIL or RECOMMENDER has no session status unless the event names one.",
    )
    topics: Properties | None = Field(default=None, description="Topic → label → weight.")
    origin: Origin | None = Field(default=None, description="Where the traffic came from.")
    location: Location | None = Field(default=None, description="Where the user was.")
    properties: CustomKeys = Field(
        default_factory=dict, description="Keys of your own on the activity itself."
    )
