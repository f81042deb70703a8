"""What Relay says about itself: one frozen class for each fact, declared with `@fact(…)`.

A fact becomes one log line, and moves one counter where it declares one, so that the two cannot
disagree (`relay.telemetry.telemetry`). Loops and edges make facts and hand them to `emit`; they
know nothing of loggers or metrics. No fact holds personal data: positions, counts, codes from
closed sets, and reasons that were written here.

Facts stand beside the road that says them, in a file whose name ends in `facts.py`; here are those
that telemetry itself makes or keeps. docs/LOGS.md is generated from all of them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform, get_type_hints

from relay.model import DeadLetterClass, Position


class Level(StrEnum):
    """Severity of a fact: `error` means that somebody has to act."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Stage(StrEnum):
    """Which part of Relay logs it."""

    PROCESS = "process"
    CONSUMING = "consuming"
    DECODING = "decoding"
    MAPPING = "mapping"
    SENDING = "sending"
    SETTLING = "settling"


@dataclass(frozen=True, slots=True)
class Counter:
    """The Prometheus counter that a fact moves by one.

    Records are not counted here: the stream's ledger does that, once (docs/METRICS.md).
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alike:
    """Which facts of a class are alike, where there may be one for every record.

    Only the first few of them are a line of their own (`relay.telemetry.repeats`).
    """

    by: tuple[str, ...]
    """Fields with values of a closed set."""
    example: str
    """The field that tells where one of them stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened. Its name in the logs is the class name in snake case."""

    level: ClassVar[Level]
    stage: ClassVar[Stage]
    counter: ClassVar[Counter | None]
    alike: ClassVar[Alike | None]
    closes_interval: ClassVar[bool]
    """Facts that were only counted since the last one of these are told before it."""

    @classmethod
    def name(cls) -> str:
        """How the fact is called in a log line."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def described(cls) -> Iterator[tuple[str, str]]:
        """The fields of the log line, each with its description."""
        hints = get_type_hints(cls, include_extras=True)
        for known in fields(cls):
            yield _SAID_AS.get(known.name, known.name), hints[known.name].__metadata__[0]

    def log_fields(self) -> Iterator[tuple[str, Any]]:
        """The fields of the log line."""
        for known in fields(self):
            value = getattr(self, known.name)
            if value or known.name != "trace_id":  # of what nobody traces there is none
                yield _SAID_AS.get(known.name, known.name), value


Declared = TypeVar("Declared", bound=Fact)

# Field names that a log line spells as Python cannot.
_SAID_AS = {"cls": "class"}

Emit = Callable[[Fact], None]

_declared: list[type[Fact]] = []


@dataclass_transform(frozen_default=True, kw_only_default=True)
def fact(
    *,
    level: Level = Level.INFO,
    stage: Stage = Stage.PROCESS,
    counter: Counter | None = None,
    alike: Alike | None = None,
    closes_interval: bool = False,
) -> Callable[[type[Declared]], type[Declared]]:
    """Declare a fact: a frozen dataclass with fields by name, known to `all_facts`."""

    def declare(cls: type[Declared]) -> type[Declared]:
        made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
        made.level, made.stage, made.counter = level, stage, counter
        made.alike, made.closes_interval = alike, closes_interval
        _declared.append(made)
        return made

    return declare


def all_facts() -> list[type[Fact]]:
    """Every fact that was imported, by the place where it is declared.

    Those of a road that is off are not there.
    """
    return sorted(_declared, key=lambda declared: declared.__module__)


@fact(
    level=Level.WARNING, stage=Stage.SETTLING, alike=Alike(by=("cls", "code"), example="position")
)
class RecordDeadLettered(Fact):
    """A record could not be delivered and now lies, unchanged, in the dead-letter topic."""

    position: Annotated[Position, "Where the record stands, as topic-partition-offset."]
    cls: Annotated[DeadLetterClass, "The stage that found the problem."]
    code: Annotated[str, "Why, from a closed set."]
    reason: Annotated[str, "Why, in words; names the field, never its value."]
    status: Annotated[int, "HTTP status of the last attempt, 0 without one."]
    attempts: Annotated[int, "How often it was sent."]
    trace_id: Annotated[str, "Of the producer's trace, where the record has `traceparent`."] = ""


@fact(level=Level.WARNING)
class FactRepeated(Fact):
    """There were more facts alike than are written whole: ten, between two lines of progress."""

    of: Annotated[str, "Name of the facts."]
    kind: Annotated[str, "What they have in common; of dead letters class and code."]
    count: Annotated[int, "How many more there were than were written."]
    example: Annotated[str, "Where the first of these stands, as topic-partition-offset."]


@fact(level=Level.WARNING)
class LogLinesLost(Fact):
    """Lines of this log were lost: nobody read it for a while, or it could not be written.

    Nothing else waited for it. `relay_log_lines_lost_total` counts them at once.
    """

    lines: Annotated[int, "How many, since the last line of this kind."]


@fact(level=Level.WARNING)
class LibraryLogged(Fact):
    """A library logged something; its text is shortened, without what may be personal."""

    logger: Annotated[str, "Name of the library's logger."]
    text: Annotated[str, "Its message."]
    repeated: Annotated[int, "How many similar messages have no line of their own."] = 0
