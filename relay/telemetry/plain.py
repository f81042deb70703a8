"""Values of facts and of the state → what every encoder of JSON can write. Pure."""

from collections.abc import Mapping
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Text, numbers, and lists and mappings of them.

    Enums become their value, named tuples are written as they write themselves, floats lose their
    noise.
    """
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        value = str(value)
    match value:
        case float():
            return round(value, 3)
        case Enum():
            return value.value
        case str():
            return writable(value)
        case tuple() | list():
            return [plain(item) for item in value]
        case Mapping():
            return {plain(key): plain(item) for key, item in value.items()}
        case _:
            return value


def writable(text: str) -> str:
    """The text with an escape for each lone surrogate, which UTF-8 cannot write.

    Python makes them of bytes that are no UTF-8: in the name of a file, or of a variable.
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
