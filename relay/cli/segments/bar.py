"""The bar of a segment command, for people. Apart, since a log needs no rich (5 MB of memory)."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.progress import (
    Progress as RichProgress,
)
from rich.text import Text


class _Amount(ProgressColumn):
    """Bytes with their speed, or a count with its unit, or nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = DownloadColumn()
        self._speed = TransferSpeedColumn()

    def render(self, task: Task) -> Text:
        """The text of the column."""
        unit = task.fields["unit"]
        if unit == "bytes":
            return Text.assemble(self._bytes.render(task), "  ", self._speed.render(task))
        if not unit:
            return Text("")
        of = "" if task.total is None else f" of {int(task.total):,}"
        return Text(f"{int(task.completed):,}{of} {unit}")


class BarProgress:
    """A bar for what is being done; what was done before it leaves the screen."""

    def __init__(self, shown: RichProgress) -> None:
        self._shown = shown
        self._task = shown.add_task("starting", total=None, unit="")

    def begin(self, what: str, total: int | None = None, unit: str = "") -> None:
        """Begin a new bar."""
        self._shown.remove_task(self._task)
        self._task = self._shown.add_task(what, total=total, unit=unit)

    def at(self, done: int, total: int | None = None) -> None:
        """Move the bar."""
        if total is None:
            self._shown.update(self._task, completed=done)
        else:
            self._shown.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        """Say it above the bar."""
        self._shown.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def bar() -> Iterator[BarProgress]:
    """A bar on standard error."""
    with RichProgress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        _Amount(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as shown:
        yield BarProgress(shown)
