"""Transforms that read numbers and true or false, and those that calculate.

Each makes a function of one value, which raises Unfit where the value is nothing that it reads; the
text says what would be, and never the value. What is absent is not given to it.
"""

import math
import re
from collections.abc import Callable
from typing import Any

from relay.sources.mapping.faults import Unfit, wants

Function = Callable[[Any], Any]

# What the requests can carry: JSON writers take integers of 64 bits.
INT_MIN = -(2**63)
INT_MAX = 2**64 - 1
# Beyond it, a float stands for several whole numbers.
EXACT_MAX = 2**53
_INT = re.compile(r"[+-]?[0-9]{1,20}\Z").match
_ROUND_MAX = 15  # decimals: a float has no more digits


def to_int() -> Function:
    """A whole number, from a number without decimals or from digits."""

    def function(value: Any) -> Any:
        kind = type(value)
        if kind is str:
            if _INT(value) is None:
                raise Unfit("must be digits")
            value = int(value)
        elif kind is float:
            if not value.is_integer() or abs(value) > EXACT_MAX:
                raise Unfit("must be a whole number")
            value = int(value)
        elif kind is not int:
            raise wants("a whole number or digits", value)
        if not INT_MIN <= value <= INT_MAX:
            raise Unfit("is a number of more than 64 bits")
        return value

    return function


def to_number(decimal: str = ".", group: str = "") -> Function:
    """A number, from a number or from text; `decimal` and `group` are the signs it is written with.

    Without a decimal sign in the text it is a whole number.
    """
    between = re.escape(group)
    whole = rf"[0-9]{{1,3}}(?:{between}[0-9]{{3}}){{0,6}}|[0-9]{{1,20}}" if group else "[0-9]{1,20}"
    shape = re.compile(
        rf"[+-]?(?:{whole})(?P<rest>{re.escape(decimal)}[0-9]{{1,40}})?"
        r"(?P<exponent>[eE][+-]?[0-9]{1,3})?\Z"
    ).match

    def function(value: Any) -> Any:
        kind = type(value)
        if kind is int:
            if not INT_MIN <= value <= INT_MAX:
                raise Unfit("is a number of more than 64 bits")
            return value
        if kind is float:
            return _finite(value)
        if kind is not str:
            raise wants("a number, or text that is one", value)
        found = shape(value.strip())
        if found is None:
            raise Unfit(f"must be a number with the decimal sign {decimal}")
        text = value.strip().replace(group, "") if group else value.strip()
        # Without a decimal sign it is a whole number, and keeps all its digits as long as it has 64
        # bits; a longer one is no identifier, and becomes a float.
        if found["rest"] is None and found["exponent"] is None:
            number = int(text)
            return number if INT_MIN <= number <= INT_MAX else float(number)
        return _finite(float(text.replace(decimal, ".")))

    return function


def to_flag(yes: str | int | None = None, no: str | int | None = None) -> Function:
    """True for `yes`, false for `no`; without words for true/false, yes/no and 1/0, too."""
    truths: dict[Any, bool] = {"true": True, "false": False, "yes": True, "no": False}
    truths |= {"1": True, "0": False, 1: True, 0: False}
    lower = yes is None or no is None
    if not lower:
        truths = {yes: True, no: False}

    def function(value: Any) -> Any:
        kind = type(value)
        if kind is bool:
            return value
        if kind is not str and kind is not int:
            raise wants("text, 0, 1, true or false", value)
        truth = truths.get(value.lower() if lower and kind is str else value)
        if truth is None:
            raise Unfit("is none of the values that flag knows")
        return truth

    return function


def invert() -> Function:
    """False for true, and true for false."""

    def function(value: Any) -> Any:
        if type(value) is not bool:
            raise wants("true or false", value)
        return not value

    return function


def divide(divisor: float) -> Function:
    """The number divided."""

    def function(value: Any) -> Any:
        number = _number(value)
        if type(number) is int and type(divisor) is int and number % divisor == 0:
            return number // divisor
        return _finite(number / divisor)

    return function


def multiply(factor: float) -> Function:
    """The number multiplied."""

    def function(value: Any) -> Any:
        result = _number(value) * factor
        if type(result) is int:
            if not INT_MIN <= result <= INT_MAX:
                raise Unfit("gives a number of more than 64 bits")
            return result
        return _finite(result)

    return function


def to_rounded(digits: int = 0) -> Function:
    """The number rounded to so many decimals, half to even; a whole number without any."""
    digits = min(max(digits, 0), _ROUND_MAX)

    def function(value: Any) -> Any:
        number = _number(value)
        return round(number, digits) if digits else round(number)

    return function


def _number(value: Any) -> Any:
    kind = type(value)
    if kind is int and INT_MIN <= value <= INT_MAX:
        return value
    if kind is float:
        return _finite(value)
    if kind is int:
        raise Unfit("is a number of more than 64 bits")
    raise wants("a number (number makes one of text)", value)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise Unfit("is a number that is out of range")
    return number
