"""Who an event is about: accounts, emails and devices, in the words of producers."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from relay.stream.decoding.fields import LIST_MAX, Digits, EmailHash, Identifier


class InputModel(BaseModel):
    """Strict, closed and frozen; its `repr` and its errors never show what producers sent."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __str__(self) -> str:
        return repr(self)


# JSON arrays come as lists, which strict mode would not take for tuples.
Listed = Field(strict=False, max_length=LIST_MAX)


class Account(InputModel):
    """An account of the user in one of the datamart's compartments."""

    id: Identifier = Field(description="The account id; text, even when it looks like a number.")
    compartment: Identifier | None = Field(
        default=None,
        description="Compartment id, or a name that the settings give to one. "
        "Without it, the default compartment of the settings.",
    )


class Email(InputModel):
    """An email address: in clear (the relay hashes it), already hashed, or both."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["address"], "properties": {"address": {"type": "string"}}},
                {"required": ["hash"], "properties": {"hash": {"type": "string"}}},
            ]
        }
    )

    address: Identifier | None = Field(default=None, description="The address in clear.")
    hash: EmailHash | None = Field(
        default=None, description="The hash as the datamart knows it; preferred to `address`."
    )

    @model_validator(mode="after")
    def _one_is_there(self) -> Self:
        if self.address is None and self.hash is None:
            raise PydanticCustomError("missing", "needs address, hash or both")
        return self


class DeviceById(InputModel):
    """A device by the id that the platform knows (`vec:…`, `udp:…`, `mob:…`, `net:…`)."""

    id: Identifier = Field(description="The platform's user agent id; sent as it is.")


class MobileDevice(InputModel):
    """A phone or tablet by its advertising id."""

    os: Literal["ios", "android"] = Field(description="Whose advertising id it is.")
    advertising_id: Identifier = Field(description="IDFA or AAID, raw.")


class NetworkDevice(InputModel):
    """A device by its id in a network registry."""

    registry: Digits = Field(description="The registry's number.")
    network_id: Identifier = Field(description="The device's id in that registry.")


class VectorDevice(InputModel):
    """A browser by the platform's vector id."""

    vector_id: Digits = Field(description="The digits of the vector id.")


class DevicePoint(InputModel):
    """A device by the platform's user device point id."""

    device_point_id: Digits = Field(description="The digits of the user device point id.")


# The key that only this form has, and the tag of the form. Tags show up in the locations of
# errors, where `reasons` takes them out again.
_FORMS = (
    ("id", "=id"),
    ("advertising_id", "=mobile"),
    ("network_id", "=network"),
    ("vector_id", "=vector"),
    ("device_point_id", "=point"),
)
DEVICE_TAGS = frozenset(tag for _, tag in _FORMS)


def _form(device: Any) -> str:
    if isinstance(device, dict):
        for key, tag in _FORMS:
            if key in device:
                return tag
    return "=id"


Device = Annotated[
    Annotated[DeviceById, Tag("=id")]
    | Annotated[MobileDevice, Tag("=mobile")]
    | Annotated[NetworkDevice, Tag("=network")]
    | Annotated[VectorDevice, Tag("=vector")]
    | Annotated[DevicePoint, Tag("=point")],
    Discriminator(_form),
]


class User(InputModel):
    """Every identifier that is known to belong to the one person whom the event is about."""

    accounts: Annotated[tuple[Account, ...], Listed] = Field(
        default=(), description="Accounts, the most important first."
    )
    emails: Annotated[tuple[Email, ...], Listed] = Field(
        default=(), description="Email addresses or their hashes."
    )
    devices: Annotated[tuple[Device, ...], Listed] = Field(
        default=(), description="Devices and browsers."
    )
