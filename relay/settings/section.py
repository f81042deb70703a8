"""What every section of the settings has in common. A section is one file of this package.

A field carries its documentation with it (`Field(description=…)`): docs/SETTINGS.md, the example
files and the error messages are all made from it.
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
