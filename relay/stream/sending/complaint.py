"""What the API said about a record that it does not take → words for the reason. Pure.

An error of the API may quote what it was sent. So whatever of the words also stands among the
values of the request is masked, whether it looks like personal data or not; names of fields are
not values, and stay.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import orjson

from relay.model import Answer, Request

CHARS_MAX = 200  # a reason is a line of a log, and a header of a dead letter
_MASK = "***"
_NAMES = ("error", "message", "error_description", "detail", "title", "errors")
_DEPTH_MAX = 8  # an error stands near the top of its answer
# A single character stands in every sentence, and says nothing of anybody.
_TELLING = 2


def complaint(answer: Answer, sent: Request, redact: Callable[[str], str]) -> str:
    """The error of a JSON answer in its words, at most `CHARS_MAX`; empty when there is none."""
    try:
        text = _words(orjson.loads(answer.body), _DEPTH_MAX)
    except orjson.JSONDecodeError:
        return ""
    return masked(text, sent, redact) if text else ""


def masked(text: str, sent: Request, redact: Callable[[str], str]) -> str:
    """Words of a stranger in one line, without what they quote of the request."""
    try:
        values = set(_values(orjson.loads(sent.body)))
    except orjson.JSONDecodeError:
        return ""
    values.update(re.findall(r"[^/?&=]+", unquote(sent.path)))
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = _without(redact(text), values)
    return text if len(text) <= CHARS_MAX else text[: CHARS_MAX - 1] + "…"


def _words(document: Any, depth: int) -> str:
    match document:
        case str():
            return document
        case dict() if depth:
            found = (_words(document[name], depth - 1) for name in _NAMES if name in document)
            return next((words for words in found if words), "")
        case list() if depth:
            return next((words for one in document if (words := _words(one, depth - 1))), "")
        case _:
            return ""


def _values(document: Any) -> Iterator[str]:
    match document:
        case dict():
            for value in document.values():
                yield from _values(value)
        case list():
            for value in document:
                yield from _values(value)
        case None | bool():
            return
        case _:
            text = str(document)
            yield " ".join(text.split())
            # Parts of it may be quoted, too: a word of a name, the domain of an address.
            yield from re.findall(r"\w+", text)


def _without(text: str, values: set[str]) -> str:
    # Longest first: a value that is part of another must not leave the rest of that behind.
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _TELLING and value.lower() in text.lower():
            text = re.sub(rf"(?i)(?<![\w$]){re.escape(value)}(?!\w)", _MASK, text)
    return text
