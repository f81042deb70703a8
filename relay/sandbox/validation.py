"""Does a parsed body keep to its model? Document in, the list of what is wrong out: field, reason.

It names fields and never repeats a value: values are personal data. The models are those of
`relay.sandbox.documents`.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

Problem = tuple[str, str]

WHOLE_TEXT = "[0-9]{1,18}"
WHOLE_MAX = 2**63 - 1  # the vendor's type is Long

_WHOLE_TEXT = re.compile(WHOLE_TEXT)
_OWN = "reason"  # the type of the errors that our validators raise
_REASONS: Mapping[str, str] = {
    "missing": "is required",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "string_type": "must be a string",
    "string_too_short": "must be a string that is not empty",
}


def problems(model: type[BaseModel], document: object, **context: object) -> list[Problem]:
    """What is wrong with the document; empty when nothing is.

    `context` is what the validators of the model ask for.
    """
    try:
        model.model_validate(document, context=context)
    except ValidationError as error:
        return [_problem(found) for found in error.errors(include_url=False)]
    return []


def wrong(reason: str) -> PydanticCustomError:
    """What a validator raises. The reason holds no value, and no braces."""
    return PydanticCustomError(_OWN, reason)


def whole(value: Any) -> int | None:
    """A whole number of at least 0, given as a number or as a string of digits; else None."""
    if isinstance(value, str):
        return int(value) if _WHOLE_TEXT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # JSON knows one kind of number: 5.0 is as whole as 5.
    return int(value) if value % 1 == 0 and 0 <= value <= WHOLE_MAX else None


def is_id(value: Any) -> bool:
    """An id: a string that is not empty, or a whole number."""
    if isinstance(value, str):
        return value != ""
    return whole(value) is not None


def id_text(value: Any) -> str:
    """The text of a valid id."""
    return value if isinstance(value, str) else str(whole(value))


def _problem(found: ErrorDetails) -> Problem:
    kind, context = found["type"], found.get("ctx", {})
    where = _path(found["loc"])
    if kind.startswith("union_tag"):  # an object that is none of those there are
        return f"{where}.$type", f"must be one of {context.get('expected_tags', 'those known')}"
    if kind == _OWN:
        return where, found["msg"]
    if found["input"] is None:  # the vendor takes null as nothing
        return where, "is required"
    if kind == "literal_error":
        return where, f"must be one of {context['expected']}"
    return where, _REASONS.get(kind, "is not valid")


def _path(location: tuple[int | str, ...]) -> str:
    """`$events[0].$ts`: the fields, without the names of the members of unions between them.

    A default that is refused comes under the name of its field, which has no dollar sign.
    """
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not path:
            path = f"${part.removeprefix('$')}"
        elif part.startswith("$"):
            path += f".{part}"
    return path or "$"
