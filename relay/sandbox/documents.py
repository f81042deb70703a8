"""The bodies that the tracking API takes and answers with, as models.

A body that comes is held against its model (`relay.sandbox.validation`), and the document at
`/openapi.json` is made of the same models. Written from the vendor's documentation alone. Lenient
where the vendor is: ids and times may be strings or numbers, and any other field may be there.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.json_schema import SkipJsonSchema

from relay.sandbox.validation import WHOLE_MAX, WHOLE_TEXT, id_text, is_id, whole, wrong

MAX_RESULTS = 20
PAGE_MAX = 999_999_999
SET_PROFILE = "$set_user_profile_properties"
SET_CHOICE = "$set_user_choice"
# Without anchors, as the OpenAPI document puts its own around them.
UUID_VERSION_1 = (
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-1[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)
_UUID_VERSION_1 = re.compile(UUID_VERSION_1)


def _must_be(expected: str, fits: Callable[[Any], bool]) -> PlainValidator:
    def check(value: Any) -> Any:
        if not fits(value):
            raise wrong(f"must be {expected}")
        return value

    return PlainValidator(check)


def _is_whole(value: Any) -> bool:
    return whole(value) is not None


def _unique_key(value: Any, info: ValidationInfo) -> Any:
    """Whether it must be of version 1 is an option of the sandbox, and so in the context."""
    if not isinstance(value, str) or not value:
        raise wrong("must be a string")
    if (info.context or {}).get("unique_key_version_1") and not _UUID_VERSION_1.fullmatch(value):
        raise wrong("must be a UUID of version 1")
    return value


def _of_path(value: Any, info: ValidationInfo) -> Any:
    """Inferred: a key in the body that is not the one of the path is a mistake."""
    of_path = (info.context or {}).get(info.field_name)
    if value is not None and (not is_id(value) or id_text(value) != of_path):
        raise wrong("must be the one of the path")
    return value


_WHOLE = {"type": "integer", "minimum": 0, "maximum": WHOLE_MAX}
_WHOLE_SCHEMA = WithJsonSchema(
    {"anyOf": [_WHOLE, {"type": "string", "pattern": f"^{WHOLE_TEXT}$"}]}
)
_ID_SCHEMA = WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, _WHOLE]})

Milliseconds = Annotated[Any, _must_be("epoch milliseconds", _is_whole), _WHOLE_SCHEMA]
Minutes = Annotated[Any, _must_be("minutes", _is_whole), _WHOLE_SCHEMA]
Id = Annotated[Any, _must_be("an id", is_id), _ID_SCHEMA]
UniqueKey = Annotated[
    Any,
    PlainValidator(_unique_key),
    WithJsonSchema({"type": "string", "pattern": f"^{UUID_VERSION_1}$"}),
]
# In the model to be checked. Not in its schema, which cannot say what the path holds.
OfPath = SkipJsonSchema[Annotated[Any, PlainValidator(_of_path)]]
DatamartId = Annotated[int, Field(ge=1, le=999_999_999)]
Text = Annotated[str, Field(min_length=1)]
Whole = Annotated[int, Field(ge=0, le=WHOLE_MAX)]


class Document(BaseModel):
    """A body whose own fields begin with a dollar sign; any others may be there."""

    model_config = ConfigDict(alias_generator="${}".format, frozen=True, strict=True)


class AcceptedOrNot(Document):
    """What a choice says."""

    choice_acceptance_value: bool


class EmailHash(Document):
    """The legacy form of an identifier by e-mail address."""

    hash: Id


class UserAccount(Document):
    """Known by an account; without a compartment it is in the default one."""

    type: Literal["USER_ACCOUNT"]
    user_account_id: Id
    compartment_id: Id | None = None


class UserEmail(Document):
    """Known by the hash of an e-mail address."""

    type: Literal["USER_EMAIL"]
    hash: Id
    email: str | None = None


class UserAgent(Document):
    """Known by a device or browser."""

    type: Literal["USER_AGENT"]
    user_agent_id: Id


Identifier = Annotated[UserAccount | UserEmail | UserAgent, Field(discriminator="type")]


class ProfileProperties(Document):
    """Of the event that changes a profile. Inferred: refused without an account."""

    user_account_id: Id
    compartment_id: Id | None = None


class ChoiceProperties(AcceptedOrNot):
    """Of the event that stores a choice. Inferred: refused without what it is about."""

    processing_id: Id


class PlainEvent(Document):
    """Something that the user did."""

    event_name: Text = Field(json_schema_extra={"not": {"enum": [SET_PROFILE, SET_CHOICE]}})
    properties: dict[str, Any] | None = None
    ts: Milliseconds | None = None


class ProfileEvent(Document):
    """Changes a profile."""

    event_name: Literal["$set_user_profile_properties"]
    properties: ProfileProperties
    ts: Milliseconds | None = None


class ChoiceEvent(Document):
    """Stores what the user chose."""

    event_name: Literal["$set_user_choice"]
    properties: ChoiceProperties
    ts: Milliseconds | None = None


def _kind_of_event(event: Any) -> str:
    name = event.get("$event_name") if isinstance(event, dict) else None
    return {SET_PROFILE: "profile", SET_CHOICE: "choice"}.get(str(name), "plain")


Event = Annotated[
    Annotated[PlainEvent, Tag("plain")]
    | Annotated[ProfileEvent, Tag("profile")]
    | Annotated[ChoiceEvent, Tag("choice")],
    Discriminator(_kind_of_event),
]

_LEGACY_IDENTIFIERS = ("user_agent_id", "user_account_id", "email_hash")
_SOURCED = ("EMAIL", "RECOMMENDER")


def _given(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": [field], "properties": {field: schema}}


# What the validators of `UserActivity` check across its fields, for the OpenAPI document.
_ACROSS_FIELDS: dict[str, Any] = {
    "allOf": [
        {
            "anyOf": [
                _given("$user_identifiers", {"type": "array", "minItems": 1}),
                *(_given(f"${name}", {"not": {"type": "null"}}) for name in _LEGACY_IDENTIFIERS),
            ]
        },
        {
            "anyOf": [
                _given("$session_status", {"type": "string"}),
                {
                    "required": ["$type", "$source"],
                    "properties": {
                        "$type": {"enum": list(_SOURCED)},
                        "$source": _ID_SCHEMA.json_schema,
                    },
                },
            ]
        },
    ]
}


class UserActivity(Document):
    """What a user did in one go."""

    model_config = ConfigDict(json_schema_extra=_ACROSS_FIELDS)

    type: Literal[
        "SITE_VISIT",
        "APP_VISIT",
        "DISPLAY_AD",
        "EMAIL",
        "TOUCH",
        "USER_SCENARIO_START",
        "USER_SCENARIO_STOP",
        "USER_SCENARIO_NODE_ENTER",
        "USER_SCENARIO_NODE_EXIT",
        "RECOMMENDER",
        "USER_PLATFORM",
        "STOPWATCH",
        "STAGING_AREA",
    ]
    source: Any = None
    session_status: (
        Literal["NO_SESSION", "IN_SESSION", "CLOSED_SESSION", "SESSION_SNAPSHOT"] | None
    ) = Field(default=None, validate_default=True)
    ts: Milliseconds | None = None
    ttl: Minutes | None = None
    unique_key: UniqueKey | None = None
    site_id: Id | None = None
    app_id: Id | None = None
    compartment_id: Id | None = None
    user_agent_id: Id | None = None
    user_account_id: Id | None = None
    email_hash: EmailHash | None = None
    origin: dict[str, Any] | None = None
    location: dict[str, Any] | None = None
    topics: dict[str, Any] | None = None
    session_duration: float | None = None
    # Documented by the vendor's own tests: an empty list is accepted.
    events: list[Event]
    user_identifiers: list[Identifier] | None = Field(default=None, validate_default=True)

    @field_validator("session_status")
    @classmethod
    def _status_unless_sourced(cls, value: Any, info: ValidationInfo) -> Any:
        """Made by the platform's email router or recommender, it knows no session."""
        sourced = info.data.get("type") in _SOURCED and is_id(info.data.get("source"))
        if value is None and not sourced:
            raise wrong("is required")
        return value

    @field_validator("user_identifiers")
    @classmethod
    def _of_somebody(cls, value: Any, info: ValidationInfo) -> Any:
        """Inferred: an activity of nobody is of no use to the platform."""
        if not value and all(info.data.get(name) is None for name in _LEGACY_IDENTIFIERS):
            raise wrong("at least one identifier is required")
        return value


class UserProfileUpdate(Document):
    """Properties. `$compartment_id` and `$user_account_id` may be given, as in the path."""

    compartment_id: OfPath = None
    user_account_id: OfPath = None


class UserProfile(Document):
    """A profile, with the properties that it was given."""

    compartment_id: Text
    user_account_id: Text | SkipJsonSchema[None] = None
    creation_ts: Whole
    last_modified_ts: Whole


class UserChoiceUpdate(AcceptedOrNot):
    """A choice, with any fields of one's own. `$processing_id` may be given, as in the path."""

    choice_ts: Milliseconds
    processing_id: OfPath = None


class UserChoice(AcceptedOrNot):
    """A choice that is stored."""

    user_point_id: Text
    processing_id: Text
    choice_ts: Whole
    creation_ts: Whole


class UserIdentifier(BaseModel):
    """What the user is known by."""

    type: Text


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    reason: str


class Error(BaseModel):
    """A refusal."""

    status: Literal["error"]
    error: str
    error_id: str
    error_code: str
    errors: list[FieldError] = []


Data = TypeVar("Data")


class Done(BaseModel, Generic[Data]):
    """A single result."""

    status: Literal["ok"]
    data: Data


class Page(BaseModel, Generic[Data]):
    """A part of a list."""

    status: Literal["ok"]
    count: Whole
    total: Whole
    first_result: Whole
    max_results: Whole
    data: list[Data]


class Paging(BaseModel):
    """Which part of a list is asked for."""

    first_result: int = Field(default=0, ge=0, le=PAGE_MAX)
    max_results: int = Field(default=MAX_RESULTS, ge=0, le=PAGE_MAX)


class Timeline(Paging):
    """Which part of a user's timeline is asked for."""

    live: bool = Field(default=False, description="Show open sessions too.")


class HowToUpdate(BaseModel):
    """What becomes of the properties that a profile has."""

    update_strategy: (
        Literal["PARTIAL_UPDATE", "PARTIAL_DELETE", "FORCE_REPLACE"] | SkipJsonSchema[None]
    ) = Field(default=None, description="Wins over the legacy two.")
    force_replace: bool = Field(default=False, description="Legacy: replace the whole profile.")
    merge_objects: bool = Field(default=False, description="Legacy: merge objects in depth.")
