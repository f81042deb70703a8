"""Record bytes → AppEvent, or the reason why not. Called by the pipeline for each record."""

from dataclasses import dataclass

import jiter
from pydantic import TypeAdapter, ValidationError

from relay.model import Undecodable, Unwanted
from relay.stream.decoding.app_event import AppEvent
from relay.stream.decoding.reasons import UndecodableCode, why_not_an_event, why_not_json

APP_EVENT: TypeAdapter[AppEvent] = TypeAdapter(AppEvent)
_validate = APP_EVENT.validator.validate_python


@dataclass(frozen=True, slots=True)
class DecodingPolicy:
    """What decoding may decide: how large a record may be, and what a null value means."""

    record_bytes_max: int = 1_048_576
    skip_null_value: bool = True


def decode(  # noqa: PLR0911 -- a return for each way a record can be wrong, in reading order
    value: bytes | None, policy: DecodingPolicy
) -> AppEvent | Undecodable | Unwanted:
    """The event in a record's value. Never raises, whatever the bytes are."""
    if value is None:
        if policy.skip_null_value:
            return Unwanted(UndecodableCode.NULL_VALUE, "the record has no value (a tombstone)")
        return Undecodable(UndecodableCode.NULL_VALUE, "the record has no value (a tombstone)")
    if len(value) > policy.record_bytes_max:
        return Undecodable(
            UndecodableCode.TOO_LARGE,
            f"the value has more than {policy.record_bytes_max} bytes (decoding.record_bytes_max)",
        )
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
