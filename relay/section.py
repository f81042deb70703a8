"""What every group of limits has in common: it is written once, where it is used.

A policy is a section that stands in the room of its algorithm. `relay.settings` puts sections
together to what can be set. A field carries its documentation with it (`Field(description=…)`):
docs/SETTINGS.md, the example files and the error messages are all made from it. A number that
nobody needs to set is a class variable of the policy: no field, so no setting.
"""

from pydantic import BaseModel, ConfigDict


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
