"""`relay emit`: a file or standard input of events, validated line by line, to a topic."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.options import ConfigOption, JsonOption, only_topic
from relay.errors import ExitStatus
from relay.wording import counted

if TYPE_CHECKING:
    from relay.cli.emitting import Emitted


def register(app: typer.Typer) -> None:
    """Make the command known."""
    app.command()(emit)


def emit(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Events, one JSON object a line; - is standard input."),
    ],
    config: ConfigOption = None,
    topic: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default=False, help="Topic to write to; else kafka.topics."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write events to the topic that relay reads, keyed by user.

    Each line is validated first. A line that is no event is told on standard error with its number
    and the reason, and the others are written all the same. Exit status 8 when there was any, or
    when the topic has a source: what stands there is not in Relay's own format.

    Example: relay emit examples/app-events.ndjson --topic app-events
    """
    import asyncio
    import time

    from relay.cli import emitting
    from relay.cli.feeding import fed
    from relay.cli.lines import numbered_lines, opened
    from relay.cli.progress import line_progress
    from relay.settings import load
    from relay.telemetry.log import silence

    silence()
    settings = load(config, needs=["kafka", "decoding", "identity", "mapping", "sources"])
    target = topic or only_topic(settings.kafka.topics, settings.kafka.topic_pattern)
    began = time.perf_counter()
    with opened(source) as file, line_progress(source) as bar:
        lines = fed(numbered_lines(file, settings.decoding.record_bytes_max))
        result = asyncio.run(
            emitting.emit(lines, settings, target, say=bar.say, progress=bar.advance)
        )
    seconds = time.perf_counter() - began
    _show(result, seconds, as_json=as_json)
    if result.invalid_lines:
        raise typer.Exit(ExitStatus.INPUT)


def _show(result: "Emitted", seconds: float, *, as_json: bool) -> None:
    if as_json:
        summary = {
            "topic": result.topic,
            "lines": result.lines,
            "emitted": result.emitted,
            "invalid": result.invalid_lines,
            "invalid_by_code": result.invalid,
            "bytes": result.value_bytes,
            "seconds": round(seconds, 3),
        }
        typer.echo(json.dumps(summary))
    else:
        typer.echo(
            f"{counted(result.emitted, 'event')} written to {result.topic} in {seconds:.1f} s; "
            f"{counted(result.invalid_lines, 'invalid line')}"
        )
