"""The road of `relay users`: options or a file in, calls made, results shown."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import typer

from relay.cli.feeding import fed
from relay.cli.lines import STDIN, numbered_lines, opened
from relay.cli.progress import line_progress
from relay.cli.users.calls import NEEDS, document, refused, show_choices, show_one
from relay.cli.users.files import FileRun, Progress, Tally
from relay.cli.users.lines import Kind, Reader, reader
from relay.cli.users.options import UsersFile, Whom
from relay.clock import SystemClock
from relay.disk import disk_errors
from relay.errors import ExitStatus, InputError
from relay.model import Unmappable
from relay.settings import Settings, load
from relay.stream.mapping.policy import UpdateStrategy
from relay.stream.mapping.user_point import selector_of
from relay.vendors import open_user_points
from relay.wording import counted


def put_one(
    kind: Kind,
    strategy: UpdateStrategy | None,
    whom: Whom,
    fields: dict[str, Any],
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """Put one profile or choice, and show what it is then."""
    line = document(**whom.fields(), **fields)
    settings, lines = _reader(kind, strategy, config)
    update = lines.update(line, 1, SystemClock().now_ms())
    if isinstance(update, Unmappable):
        raise refused(update)

    async def put() -> dict[str, Any]:
        async with open_user_points(settings) as api:
            return await api.put(update)

    show_one(asyncio.run(put()), as_json=as_json)


def read_choices(
    path: Callable[[str, str], str], whom: Whom, config: Path | None, *, as_json: bool
) -> None:
    """Read choices of one user, and show them."""
    line = document(**whom.fields(), processing_id="0", accepted=True)
    settings, lines = _reader("choice", None, config)
    event = lines.event(line, 1, SystemClock().now_ms())
    selector = event if isinstance(event, Unmappable) else selector_of(event, lines.mapping)
    if isinstance(selector, Unmappable):
        raise refused(selector)

    async def read() -> list[dict[str, Any]]:
        async with open_user_points(settings) as api:
            return await api.choices(path(settings.tracking.datamart_id, selector))

    show_choices(asyncio.run(read()), as_json=as_json)


def run_file(
    kind: Kind,
    strategy: UpdateStrategy | None,
    many: UsersFile,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """Put every line of a file, say which failed, and end with the counts."""
    source = many.file
    assert source is not None  # noqa: S101 - the caller asked for it
    if source == STDIN and many.progress is not None:
        raise InputError("standard input cannot be read again", hint="give --file a file")
    settings, lines = _reader(kind, strategy, config)
    clock = SystemClock()
    with ExitStack() as stack:
        file = stack.enter_context(opened(source))
        bar = stack.enter_context(line_progress(source))
        kept = Progress(many.progress, source.stat().st_size if source != STDIN else 0)
        fail = stack.enter_context(_failures(many.report, bar.say, anew=kept.first == 1))

        async def run() -> FileRun:
            async with open_user_points(settings) as api:
                made = FileRun(
                    api.put,
                    lambda line, number: lines.update(line, number, clock.now_ms()),
                    kept,
                    fail,
                    bar.advance,
                )
                await made.through(fed(numbered_lines(file, settings.decoding.record_bytes_max)))
                return made

        try:
            tally = asyncio.run(run()).tally
        except BaseException:
            if many.progress is not None:
                bar.say(f"stopped at line {kept.next_line}; the same command goes on there")
            raise
    _show(tally, kept.first, as_json=as_json)
    if tally.failed_lines:
        raise typer.Exit(ExitStatus.INPUT)


@contextmanager
def _failures(
    report: Path | None, say: Callable[[str], None], *, anew: bool
) -> Iterator[Callable[[int, str, str], None]]:
    """Where it is told which lines failed: the report, or else a line for each.

    A run that goes on adds to what the earlier one reported.
    """
    if report is None:
        yield lambda number, code, reason: say(f"line {number}: {code}: {reason}")
        return
    with disk_errors(report):
        file = report.open("w" if anew else "a", encoding="utf-8")
    with file:

        def write(number: int, code: str, reason: str) -> None:
            file.write(json.dumps({"line": number, "code": code, "reason": reason}) + "\n")

        yield write


def _show(tally: Tally, from_line: int, *, as_json: bool) -> None:
    if as_json:
        summary = {
            "lines": tally.lines,
            "done": tally.done,
            "failed": tally.failed_lines,
            "failed_by_code": tally.failed,
            "from_line": from_line,
        }
        typer.echo(json.dumps(summary))
    else:
        typer.echo(
            f"{tally.done} of {counted(tally.lines, 'line')} done; {tally.failed_lines} failed"
        )


def _reader(
    kind: Kind, strategy: UpdateStrategy | None, config: Path | None
) -> tuple[Settings, Reader]:
    settings = load(config, needs=NEEDS)
    mapping = settings.mapping.complete(settings.identity, settings.tracking.datamart_id)
    return settings, reader(kind, settings.decoding, mapping, strategy)
