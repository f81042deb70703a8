"""The closed set of transforms: names, what arguments each takes, and how its function is made.

A function takes one value that is there, and gives one, or None for absent, or raises Unfit. It
ends in time linear in the value. docs/MAPPING.md shows each of them; a test runs what it shows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from relay.sources.mapping import lists, numbers, texts, times

Function = Callable[[Any], Any]


class BadArguments(Exception):
    """What is wrong with the arguments of a transform."""


@dataclass(frozen=True, slots=True)
class Spec:
    """How a transform is made: kinds of its arguments, in order; `more` for as many as one likes.

    Kinds are `text`, `number`, `int`, `scalar`, `table` and `keys` (texts, or a setting that is a
    list of them).
    """

    make: Callable[..., Function]
    kinds: tuple[str, ...] = ()
    needed: int = 0
    more: bool = False


TRANSFORMS: Mapping[str, Spec] = {
    # text
    "text": Spec(texts.to_text),
    "lower": Spec(partial(texts.of_text, str.lower)),
    "upper": Spec(partial(texts.of_text, str.upper)),
    "trim": Spec(partial(texts.of_text, str.strip)),
    "strip_zeros": Spec(texts.strip_zeros),
    "strip_prefix": Spec(texts.strip_prefix, ("text",), 1),
    "truncate": Spec(texts.truncate, ("int",), 1),
    "split": Spec(texts.split, ("text",), 1, more=True),
    "join": Spec(texts.join, ("text",), 1),
    "json": Spec(texts.from_json),
    "base64": Spec(texts.from_base64),
    "sha256": Spec(texts.to_sha256, ("text",)),
    "url_path": Spec(texts.url_path),
    # numbers, true and false
    "number": Spec(numbers.to_number, ("text", "text")),
    "int": Spec(numbers.to_int),
    "flag": Spec(numbers.to_flag, ("scalar", "scalar")),
    "invert": Spec(numbers.invert),
    "divide": Spec(numbers.divide, ("number",), 1),
    "multiply": Spec(numbers.multiply, ("number",), 1),
    "round": Spec(numbers.to_rounded, ("int",)),
    # times
    "rfc3339": Spec(times.rfc3339),
    "seconds": Spec(partial(times.epoch, "seconds", 1)),
    "millis": Spec(partial(times.epoch, "milliseconds", 10**3)),
    "micros": Spec(partial(times.epoch, "microseconds", 10**6)),
    "date": Spec(times.date, ("text", "text"), 1),
    # choices
    "lookup": Spec(lists.lookup, ("table",), 1),
    "unless": Spec(lists.unless, ("scalar",), 1, more=True),
    # lists and objects
    "first": Spec(lists.first),
    "last": Spec(lists.last),
    "find": Spec(lists.find, ("text", "scalar"), 2),
    "entries": Spec(lists.entries),
    "pick": Spec(lists.pick, ("keys",), 1, more=True),
    "without": Spec(lists.without, ("keys",), 1, more=True),
    "with_prefix": Spec(lists.with_prefix, ("text",), 1),
    "gather": Spec(lists.gather, ("text",), 1),
    "drop_empty": Spec(lists.drop_empty),
    "numbered": Spec(lists.numbered, ("text", "int"), 2),
}

_MAKES_SENSE: Mapping[str, tuple[Callable[[list[Any]], bool], str]] = {
    "divide": (lambda args: args[0] != 0, "cannot divide by 0"),
    "split": (all, "needs separators that are not empty"),
    "number": (
        lambda args: len(set(args)) == len(args)
        and all(len(a) == 1 and a not in "0123456789+-eE" for a in args),
        "takes two different signs, no digits: the decimal sign and the one between thousands",
    ),
    "flag": (
        lambda args: len(args) in (0, 2) and len(set(args)) == len(args),
        "takes what means yes and what means no, or nothing",
    ),
    "numbered": (lambda args: 1 <= args[1] <= 100, "takes a count from 1 to 100"),  # noqa: PLR2004
}  # fmt: skip


def make(name: str, arguments: Sequence[Any]) -> Function:
    """The function of a transform, with its arguments judged. Raises BadArguments."""
    spec = TRANSFORMS[name]
    many = len(spec.kinds) if not spec.more else None
    if len(arguments) < spec.needed or (many is not None and len(arguments) > many):
        raise BadArguments(f"{name} takes {_how_many(spec)}")
    flat: list[Any] = []
    for position, argument in enumerate(arguments):
        kind = spec.kinds[min(position, len(spec.kinds) - 1)]
        if kind == "keys" and isinstance(argument, list):
            flat.extend(argument)
        elif not _is(kind, argument):
            raise BadArguments(f"{name} takes {_KINDS[kind]} as argument {position + 1}")
        else:
            flat.append(argument)
    if not all(_is(spec.kinds[-1], extra) for extra in flat[len(arguments) :]):
        raise BadArguments(f"{name} takes {_KINDS[spec.kinds[-1]]}")
    judge = _MAKES_SENSE.get(name)
    if judge is not None and not judge[0](flat):
        raise BadArguments(f"{name} {judge[1]}")
    try:
        return spec.make(*flat)
    except ValueError as error:
        raise BadArguments(f"{name} {error}") from None


_KINDS = {
    "text": "a text in double quotes",
    "number": "a number",
    "int": "a whole number",
    "scalar": "a text in double quotes, a number, true or false",
    "table": "the name of a table",
    "keys": "texts in double quotes, or a setting that is a list of them",
}


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "text" | "keys":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "table":
            return isinstance(value, dict)
        case _:
            return isinstance(value, str | int | float | bool)


def _how_many(spec: Spec) -> str:
    least, most = spec.needed, len(spec.kinds)
    if spec.more:
        return f"at least {least} argument{'s' * (least != 1)}"
    if least == most:
        return "no arguments" if most == 0 else f"{most} argument{'s' * (most != 1)}"
    return f"{least} to {most} arguments"
