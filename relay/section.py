"""What every group of limits has in common: it is written once, where it is used.

A policy is a section that stands in the room of its algorithm. `relay.settings` puts sections
together to what can be set. A field carries its documentation with it (`Field(description=…)`):
docs/SETTINGS.md, the example files and the error messages are all made from it. A number that
nobody needs to set is a class variable of the policy: no field, so no setting.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, field_validator

TEXT_BYTES_MAX = 32_000
"""Kafka's protocol gives the length of a text in 15 bits; Relay and brokers add to some names."""


class Section(BaseModel):
    """A frozen group of settings that refuses what it does not know and never shows its input."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",  # a misspelt key that is silently ignored costs somebody a night
        hide_input_in_errors=True,  # a secret in the wrong place must not end up in a log
        coerce_numbers_to_str=True,  # `datamart_id: 1234` is an identifier, quotes or not
        validate_default=True,
        allow_inf_nan=False,
        str_strip_whitespace=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _text_that_can_be_used(cls, value: Any) -> Any:
        """Refuse text that no protocol, path or library takes, whatever the setting is."""
        if isinstance(value, str):
            try:
                size = len(value.encode())
            except UnicodeEncodeError:  # bytes of the environment (PEP 383)
                raise ValueError("is not UTF-8 text") from None
            if size > TEXT_BYTES_MAX:
                raise ValueError(f"is longer than {TEXT_BYTES_MAX} bytes")
            if "\0" in value:
                raise ValueError("holds a NUL character")
        return value


S = TypeVar("S", bound=Section)


def bound(section: S) -> S:
    """The values of a section in a plain frozen object: what is asked for each event goes by it.

    A pydantic model takes three times as long to hand out an attribute (64 ns and 23 ns on one
    machine), since Python has to expect its `__getattr__`. What is computed of the fields
    (`cached_property`) is computed here, once; methods of the section are not there.
    """
    names = [*type(section).model_fields, *_computed(type(section))]
    values = {name: getattr(section, name) for name in names}
    plain = {name: bound(v) if isinstance(v, Section) else v for name, v in values.items()}
    return cast("S", _Plain(plain))


class _Plain:
    def __init__(self, values: Mapping[str, Any]) -> None:
        vars(self).update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name}: a section's values do not change")


def _computed(cls: type[Section]) -> set[str]:
    return {
        name
        for each in cls.__mro__
        for name, value in vars(each).items()
        if isinstance(value, cached_property)
    }
