"""What a segment command is doing, on standard error: a bar for people, plain lines for logs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from relay.segments.progress import Progress


class PlainProgress:
    """A line for each thing that begins, and for each note."""

    def begin(self, what: str, total: int | None = None, unit: str = "") -> None:
        """Say what begins, and how large it is."""
        size = "" if total is None else f" ({total:,} {unit})"
        typer.echo(f"{what}{size}", err=True)

    def at(self, done: int, total: int | None = None) -> None:
        """Nothing: a log is no place for bars."""

    def note(self, text: str) -> None:
        """Say it."""
        typer.echo(text, err=True)


@contextmanager
def segment_progress() -> Iterator[Progress]:
    """A bar where somebody watches, else plain lines."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from relay.cli.segments.bar import bar

    with bar() as shown:
        yield shown
