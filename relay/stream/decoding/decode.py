"""Record bytes → AppEvent, or the reason why not. Called by the pipeline for each record."""

from enum import StrEnum

import jiter
from pydantic import Field, TypeAdapter, ValidationError

from relay.model import Undecodable, Unwanted
from relay.section import Section
from relay.stream.decoding.app_event import AppEvent
from relay.stream.decoding.reasons import UndecodableCode, why_not_an_event, why_not_json

APP_EVENT: TypeAdapter[AppEvent] = TypeAdapter(AppEvent)
_validate = APP_EVENT.validator.validate_python


class NullValue(StrEnum):
    """What becomes of a record that has no value."""

    SKIP = "skip"
    DEAD_LETTER = "dead_letter"


class DecodingPolicy(Section):
    """How large a record may be, and what a null value means."""

    record_bytes_max: int = Field(
        1_048_576,
        ge=1,
        description="Records with a larger value are dead-lettered without being read.",
    )
    null_value: NullValue = Field(
        NullValue.SKIP,
        description="A record without a value (on compacted topics: a deletion) is counted and "
        "passed over with `skip`, or dead-lettered with `dead_letter`.",
    )


def decode(value: bytes | None, policy: DecodingPolicy) -> AppEvent | Undecodable | Unwanted:
    """The event in a record's value. Never raises, whatever the bytes are."""
    if value is None:
        return no_value(policy)
    if len(value) > policy.record_bytes_max:
        return too_large(policy)
    try:
        # NaN and Infinity are not JSON. Of two equal keys no parser knows which is meant.
        # Caching keys only: caching values would keep personal data in memory.
        document = jiter.from_json(
            value, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys"
        )
    except ValueError as error:
        return why_not_json(value, error)
    if type(document) is not dict:
        return Undecodable(UndecodableCode.NOT_AN_OBJECT, "the value must be a JSON object")
    try:
        event: AppEvent = _validate(document)
    except ValidationError as error:
        return why_not_an_event(error)
    return event


def no_value(policy: DecodingPolicy) -> Undecodable | Unwanted:
    """What becomes of a record without a value."""
    kind = Unwanted if policy.null_value is NullValue.SKIP else Undecodable
    return kind(UndecodableCode.NULL_VALUE, "the record has no value (a tombstone)")


def too_large(policy: DecodingPolicy) -> Undecodable:
    """What becomes of a record with a larger value than the settings allow."""
    return Undecodable(
        UndecodableCode.TOO_LARGE,
        f"the value has more than {policy.record_bytes_max} bytes (decoding.record_bytes_max)",
    )
