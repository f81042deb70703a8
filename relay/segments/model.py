"""One line of a `USER_SEGMENT` import: who enters or leaves which segment. Read and written.

The fields, their names and which of them are mandatory are the vendor's (mediarithmics, "Segments
import"). What its page leaves open is decided strictly here and marked *inferred*.
"""

from enum import StrEnum
from typing import Annotated, Any, Self, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

User: TypeAlias = tuple[str, str, str]
"""The kind of identifier, the compartment or nothing, the identifier."""
Named: TypeAlias = tuple[str, str]
"""How a segment is named: "id" or "technical_name", and the name."""
Text = Annotated[str, Field(min_length=1)]

IDENTIFIERS = ("user_account_id", "email_hash", "user_agent_id")
SEGMENT_FORMS = (
    "segment_id",
    "segment_ids",
    "segment_technical_name",
    "segment_technical_names",
)


class Operation(StrEnum):
    """What happens to the user's membership. One file may mix both."""

    UPDATE = "UPDATE"
    DELETE = "DELETE"


class SegmentCommand(BaseModel):
    """A user segment command. Its `repr` shows the operation only: the rest is personal data."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "allOf": [
                {"oneOf": [{"required": [name]} for name in IDENTIFIERS]},
                {"oneOf": [{"required": [name]} for name in SEGMENT_FORMS]},
            ],
            "dependentRequired": {"compartment_id": ["user_account_id"]},
        },
    )

    operation: Operation = Field(description="UPDATE puts the user in, DELETE takes the user out.")
    compartment_id: Text | None = Field(
        default=None,
        repr=False,
        description="Compartment of user_account_id; without it, the datamart's default.",
    )
    user_account_id: Text | None = Field(
        default=None, repr=False, description="The user, by account."
    )
    email_hash: Text | None = Field(
        default=None, repr=False, description="The user, by the hash of an email address."
    )
    user_agent_id: Text | None = Field(
        default=None, repr=False, description="The user, by device: vec:…, udp:…, mob:…, net:…"
    )
    segment_id: Text | None = Field(default=None, description="The segment, by id.")
    segment_ids: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)] | None = Field(
        default=None, description="Several segments, by id."
    )
    segment_technical_name: Text | None = Field(
        default=None, description="The segment, by technical name."
    )
    segment_technical_names: (
        Annotated[tuple[Text, ...], Field(min_length=1, strict=False)] | None
    ) = Field(default=None, description="Several segments, by technical name.")
    expiration_duration: int = Field(
        ge=0, description="Minutes until the user leaves by itself; 0 is never. Mandatory."
    )
    expiration_ts: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="When the user leaves by itself; 0 is never. Epoch milliseconds (inferred).",
    )
    data_bag: Text | None = Field(
        default=None,
        repr=False,
        description="Data about the membership: JSON, written as a string.",
    )

    @model_validator(mode="after")
    def _one_user_and_one_form(self) -> Self:
        # Documented for all bulk files: one identifier a line.
        _exactly_one(self, IDENTIFIERS, "identifier")
        # Inferred: the page shows one form at a time and does not say how several would combine.
        _exactly_one(self, SEGMENT_FORMS, "way to name the segment")
        if self.compartment_id is not None and self.user_account_id is None:
            raise PydanticCustomError(
                "compartment", "compartment_id stands only beside user_account_id"
            )
        if self.data_bag is not None:
            try:
                orjson.loads(self.data_bag)
            except orjson.JSONDecodeError:
                raise PydanticCustomError(
                    "data_bag", "data_bag must be JSON, written as a string"
                ) from None
        return self

    @classmethod
    def of(
        cls, user: User, segment: Named, minutes: int | None, *, expires_ms: int | None = None,
        data_bag: str | None = None,
    ) -> Self:  # fmt: skip
        """The command for one user and one segment; without `minutes` the user leaves it."""
        (kind, compartment, identifier), (form, name) = user, segment
        enters = minutes is not None
        fields: dict[str, Any] = {
            "operation": Operation.UPDATE if enters else Operation.DELETE,
            "compartment_id": compartment or None,
            kind: identifier,
            f"segment_{form}": name,
            # Mandatory by the vendor's table, of a DELETE too.
            "expiration_duration": minutes or 0,
            "expiration_ts": expires_ms if enters else None,
            "data_bag": data_bag if enters else None,
        }
        return cls.model_validate(fields)

    @property
    def user(self) -> User:
        """Whom it is about."""
        kind = next(name for name in IDENTIFIERS if getattr(self, name) is not None)
        return kind, self.compartment_id or "", getattr(self, kind)

    @property
    def segments(self) -> tuple[Named, ...]:
        """Every segment it names."""
        form = next(name for name in SEGMENT_FORMS if getattr(self, name) is not None)
        given: str | tuple[str, ...] = getattr(self, form)
        values = (given,) if isinstance(given, str) else given
        kind = form.removeprefix("segment_").removesuffix("s")
        return tuple((kind, value) for value in values)


def segment_command_schema() -> dict[str, Any]:
    """The document that stands in `schemas/segment-command.v1.json`."""
    # A sync needs no schema.
    from relay.stream.decoding.schema import versioned  # noqa: PLC0415
    from relay.stream.mapping.user_activity import WithoutNulls  # noqa: PLC0415

    body = SegmentCommand.model_json_schema(schema_generator=WithoutNulls)
    text = "One line of a USER_SEGMENT import file in NDJSON."
    return versioned("segment-command", "Segment command", {**body, "description": text})


def _exactly_one(command: SegmentCommand, names: tuple[str, ...], what: str) -> None:
    given = [name for name in names if getattr(command, name) is not None]
    if len(given) != 1:
        raise PydanticCustomError(
            "exactly_one",
            "needs exactly one {what} ({names}), has {count}",
            {"what": what, "names": ", ".join(names), "count": len(given)},
        )
