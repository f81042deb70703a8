"""What we put on a user point, as models in the vendor's words: profile and choice.

Mapping builds both as plain dicts; these are the documents that they are held to. The fields are
those of the vendor's "Tracking API" page.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from relay.stream.decoding.schema import versioned
from relay.stream.mapping.rules import RESERVED_CHOICE_PROPERTIES, RESERVED_PROFILE_PROPERTIES
from relay.stream.mapping.user_activity import (
    CompartmentId,
    Text,
    UserEvent,
    UserIdentifier,
    WithoutNulls,
)


def _open(reserved: frozenset[str], own: set[str]) -> ConfigDict:
    """Open: what a deployment keeps of its users is its own, but for the platform's names."""
    names: list[Any] = sorted(reserved - own)
    return ConfigDict(
        extra="allow",
        alias_generator=lambda name: f"${name}",
        json_schema_extra={"propertyNames": {"not": {"enum": names}}},
    )


class UserProfile(BaseModel):
    """The body of `PUT …/user_profiles/…`. With PARTIAL_DELETE it names what goes, not the key."""

    model_config = _open(RESERVED_PROFILE_PROPERTIES, {"$compartment_id", "$user_account_id"})

    compartment_id: CompartmentId | None = None
    user_account_id: Text | None = None


class UserChoice(BaseModel):
    """The body of `PUT …/user_choices/processing_id=…`."""

    model_config = _open(RESERVED_CHOICE_PROPERTIES, {"$choice_ts", "$choice_acceptance_value"})

    choice_ts: Annotated[str, Field(pattern=r"^[0-9]+$")] = Field(
        description="Epoch milliseconds, as text: so it stands in the vendor's samples."
    )
    choice_acceptance_value: bool


def user_profile_schema() -> dict[str, Any]:
    """The document that stands in `schemas/user-profile.v1.json`."""
    return _schema("user-profile", "User profile", TypeAdapter(UserProfile))


def user_choice_schema() -> dict[str, Any]:
    """The document that stands in `schemas/user-choice.v1.json`."""
    return _schema("user-choice", "User choice", TypeAdapter(UserChoice))


def user_event_schema() -> dict[str, Any]:
    """The document that stands in `schemas/user-event.v1.json`."""
    return _schema("user-event", "User event", TypeAdapter(UserEvent))


def user_identifiers_schema() -> dict[str, Any]:
    """The document that stands in `schemas/user-identifiers.v1.json`."""
    return _schema(
        "user-identifiers",
        "User identifiers",
        TypeAdapter(Annotated[list[UserIdentifier], Field(min_length=1)]),
    )


def _schema(name: str, title: str, model: TypeAdapter[Any]) -> dict[str, Any]:
    return versioned(name, title, model.json_schema(schema_generator=WithoutNulls))
