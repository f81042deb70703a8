"""`relay send`: a file of events or records to the API, through the pipeline, without Kafka."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from relay.cli.options import ConfigOption, JsonOption, only_topic
from relay.errors import ExitStatus, InputError

if TYPE_CHECKING:  # imported where it is used: a command should answer at once
    from relay.settings import Settings


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(send)


def send(  # noqa: PLR0917 - options of a command are given by name
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="One record a line; - is standard input.")
    ],
    config: ConfigOption = None,
    topic: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Read the records as those of this topic: `sources` says in which format they "
            "are. Default: the one of kafka.topics.",
        ),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="The file is one record, as Avro or Protobuf must be."),
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="Records a second at most.", show_default=False),
    ] = None,
    rejected: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Write records that are not delivered here."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send the records of a file to the API, without Kafka.

    By the settings of relay run, and through the same code.

    Each user's events arrive in the order of the file, and every attempt of an event has the same
    unique key, so a file may be sent again. What is not delivered is told on standard error with
    its line and the reason. Exit status 10 when there was any, 130 when a signal ended it.

    Example: relay send events.ndjson --rejected rejected.ndjson
    """
    import time

    from relay.app.run import STREAM_SECTIONS
    from relay.process_exit import leave
    from relay.settings import load

    settings = load(config, needs=STREAM_SECTIONS)
    name = topic or only_topic(settings.kafka.topics, settings.kafka.topic_pattern)
    began = time.perf_counter()
    fates, complete = _sent(settings, file, name, rejected, whole=whole, per_second=rate)
    seconds = time.perf_counter() - began
    if as_json:
        typer.echo(json.dumps({**fates, "complete": complete, "seconds": round(seconds, 3)}))
    else:
        said = ", ".join(f"{count} {fate.replace('_', '-')}" for fate, count in fates.items())
        typer.echo(f"{said} in {seconds:.1f} s{'' if complete else '; stopped before the end'}")
    if not complete or fates["returned"]:
        leave(ExitStatus.INTERRUPTED)
    leave(ExitStatus.FINDINGS if fates["dead_lettered"] else ExitStatus.OK)


def _sent(
    settings: "Settings",
    file: Path,
    topic: str,
    rejected: Path | None,
    *,
    whole: bool,
    per_second: float | None,
) -> tuple[dict[str, int], bool]:
    """How many records met which fate, and whether that is all of them."""
    import asyncio

    import uvloop

    from relay.cli import sending

    with contextlib.ExitStack() as stack:
        kept = None if rejected is None else stack.enter_context(_created(rejected))
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        return runner.run(
            sending.send(settings, file, topic, whole=whole, per_second=per_second, rejected=kept)
        )


def _created(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="name a file to write to") from None
