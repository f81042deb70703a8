"""Why a document gives no event: codes from a closed set, and sentences without any value."""

from enum import StrEnum
from typing import Any

from relay.sources.mapping.syntax import Path


class MappingCode(StrEnum):
    """Every reason of the language itself for which a document gives no event.

    Beside them stand the codes of the input format (an event was made, and lacks something) and
    those that the rules of a mapping name (`skip: code`).
    """

    NO_RULE = "no_rule"
    NO_EVENTS = "no_events"
    NO_USER = "no_user"
    TOO_MANY_EVENTS = "too_many_events"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    INVALID_TIMESTAMP = "invalid_timestamp"
    MAPPING_RAISED = "mapping_raised"


class Unfit(Exception):
    """A value that a transform or a path cannot take. Never leaves a compiled mapping.

    `text` says what is wanted and what kind of value came. On the way out through the mapping,
    `target` gains the keys that were about to be filled, innermost first, and `read` the paths
    that were read for it.
    """

    def __init__(self, text: str, code: MappingCode = MappingCode.INVALID_FIELD) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.target: list[str | int] = []
        self.read: tuple[Path, ...] = ()


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number with decimals",
}


def kind_of(value: Any) -> str:
    """What kind of JSON a value is, in words; its content is not told."""
    return _KINDS.get(type(value), "something that is not JSON")


def wants(what: str, value: Any) -> Unfit:
    """The fault of a value of a wrong kind."""
    return Unfit(f"must be {what}, and is {kind_of(value)}")
