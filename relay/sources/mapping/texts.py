"""Transforms of text.

Each makes a function of one value, which raises Unfit where the value is nothing that it reads; the
text says what would be, and never the value. What is absent is not given to it.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import jiter

from relay.sources.mapping.faults import Unfit, kind_of, wants
from relay.sources.mapping.numbers import EXACT_MAX

Function = Callable[[Any], Any]


def as_text(value: Any) -> str:
    """Text as it is; a whole number as its digits, all of them; true and false by name.

    A float is told exactly or not at all: from 2^53 on it has lost digits that an identifier needs.

    Raises Unfit for what is neither text nor a number, and for what cannot be told exactly.
    """
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is int:
        if value.bit_length() > 64:  # noqa: PLR2004 - as many as a number may have
            raise Unfit("is a number of more than 64 bits")
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        if not abs(value) < EXACT_MAX:
            raise Unfit("is a number beyond 2^53 with decimals, which has lost digits")
        return str(int(value)) if value.is_integer() else repr(value)
    raise Unfit(f"must be text or a number, and is {kind_of(value)}")


def to_text() -> Function:
    """Text; numbers with all their digits."""
    return as_text


def of_text(change: Callable[[str], Any]) -> Function:
    """A function of text alone."""

    def function(value: Any) -> Any:
        if type(value) is not str:
            raise wants("text", value)
        return change(value)

    return function


def strip_zeros() -> Function:
    """Text or a whole number without leading zeros; of nothing but zeros one stays."""

    def function(value: Any) -> Any:
        text = as_text(value)
        return text.lstrip("0") or text[:1]

    return function


def strip_prefix(prefix: str) -> Function:
    """The text without what it begins with."""
    return of_text(lambda text: text.removeprefix(prefix))


def truncate(length: int) -> Function:
    """The first so many characters."""
    return of_text(lambda text: text[: max(length, 0)])


def split(*separators: str) -> Function:
    """The parts between separators, trimmed, without empty ones."""
    cut = re.compile("|".join(re.escape(separator) for separator in separators)).split
    return of_text(lambda text: [part for piece in cut(text) if (part := piece.strip())])


def join(separator: str) -> Function:
    """The entries of a list as one text."""

    def function(value: Any) -> Any:
        if type(value) is not list:
            raise wants("a list", value)
        return separator.join([as_text(part) for part in value if part is not None])

    return function


def from_json() -> Function:
    """What a text that holds JSON says."""

    def change(text: str) -> Any:
        try:
            return jiter.from_json(text.encode(), allow_inf_nan=False, cache_mode="keys")
        except ValueError:  # a lone surrogate is one, too
            raise Unfit("must be text that holds JSON") from None

    return of_text(change)


def from_base64() -> Function:
    """The text that base64 (of either alphabet, padded or not) stands for."""

    def change(text: str) -> str:
        try:
            padded = text.translate(_URL_SAFE) + "=" * (-len(text) % 4)
            return base64.b64decode(padded, validate=True).decode()
        except (binascii.Error, ValueError):
            raise Unfit("must be base64 of UTF-8 text") from None

    return of_text(change)


_URL_SAFE = str.maketrans("-_", "+/")


def to_sha256(salt: str = "") -> Function:
    """The SHA-256 of salt and text in UTF-8, as 64 hexadecimal digits."""
    start = salt.encode()

    def change(text: str) -> str:
        try:
            return hashlib.sha256(start + text.encode()).hexdigest()
        except UnicodeEncodeError:
            raise Unfit("must be text that UTF-8 can write") from None

    return of_text(change)


def url_path() -> Function:
    """The path of an address; `/` where it has none."""

    def change(text: str) -> str:
        try:
            return urlsplit(text).path or "/"
        except ValueError:
            raise Unfit("must be an address (URL)") from None

    return of_text(change)
