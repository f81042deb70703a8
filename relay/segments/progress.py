"""What a sync tells while it works: commands draw bars from it, tests and cron jobs need not."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

_STEP = 10_000
_T = TypeVar("_T")


class Progress(Protocol):
    """Hears what is being done, how far it is, and what is worth a line of its own."""

    def begin(self, what: str, total: int | None = None, unit: str = "") -> None:
        """Something begins; `total` is None where nobody knows how long it is."""
        ...

    def at(self, done: int, total: int | None = None) -> None:
        """How far it is."""
        ...

    def note(self, text: str) -> None:
        """Something that should be read afterwards."""
        ...


def told(progress: Progress, items: Iterable[_T]) -> Iterator[_T]:
    """The items, while their number is told."""
    for count, item in enumerate(items, start=1):
        yield item
        if count % _STEP == 0:
            progress.at(count)
