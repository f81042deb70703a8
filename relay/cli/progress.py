"""How far a command has come through its input, drawn on standard error for people only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class LineProgress:
    """Lines so far, and the share of the file where its size is known."""

    def __init__(self, progress: Progress | None, task: TaskID | None) -> None:
        self._progress = progress
        self._task = task

    def advance(self, number: int, line_bytes: int) -> None:
        """Line `number` is dealt with."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=line_bytes + 1, lines=number)

    def say(self, text: str) -> None:
        """A line on standard error, above the bar where there is one."""
        if self._progress is None:
            typer.echo(text, err=True)
        else:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def line_progress(source: Path) -> Iterator[LineProgress]:
    """A bar while a file of lines is read, where somebody watches; else nothing."""
    if not sys.stderr.isatty():
        yield LineProgress(None, None)
        return
    size = source.stat().st_size if source.is_file() else None
    with Progress(
        TextColumn("{task.fields[lines]} lines"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        yield LineProgress(progress, progress.add_task("", total=size, lines=0))
