"""Lines of a file → the API, by the pipeline of `relay run` and without Kafka."""

import sys
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

from relay.app.edges import KafkaEdges
from relay.cli.feeding import fed
from relay.cli.given import carried
from relay.cli.lines import numbered_lines, opened
from relay.cli.progress import LineProgress, line_progress
from relay.clock import SystemClock
from relay.model import DeadLetter, Partition, Record
from relay.road.consuming.given import EPOCH, GivenRecords
from relay.settings import Settings
from relay.telemetry.facts import Emit, Level, Stage


class Refused:
    """A `DeadLetterSink` that says what cannot be delivered, and keeps it in a file if asked."""

    def __init__(self, say: Callable[[str], None], file: BinaryIO | None) -> None:
        self._say = say
        self._file = file

    async def start(self) -> None:
        """Nothing to connect to."""

    async def write(self, letters: Collection[DeadLetter]) -> None:
        """A line for each; a record that holds several events once, and whole."""
        for letter in letters:
            number = letter.record.offset
            self._say(f"line {number}: {letter.cls}, {letter.code}: {letter.reason}")
            if self._file is not None:
                self._file.write((letter.record.value or b"") + b"\n")
        if self._file is not None:
            self._file.flush()

    async def stop(self) -> None:
        """Nothing to close: the file is its owner's."""


async def send(
    settings: Settings,
    file: Path,
    topic: str,
    *,
    whole: bool,
    per_second: float | None,
    rejected: BinaryIO | None,
) -> tuple[dict[str, int], bool]:
    """Send every line, or the file as one record; the fates, and whether all was read."""
    # The lines of what is refused say it better than those of the log.
    levels = {Stage.SETTLING: Level.ERROR}
    quiet = settings.log.model_copy(update={"level": Level.WARNING, "levels": levels})
    settings = settings.model_copy(update={"log": quiet})
    partition = Partition(topic, 0)
    with opened(file) as stream, line_progress(file) as bar:
        records = _records(stream, partition, bar, settings.decoding.record_bytes_max, whole=whole)
        source = GivenRecords([partition], records, per_second)

        def edges(_settings: Settings, _emit: Emit) -> KafkaEdges:
            return KafkaEdges(source, Refused(bar.say, rejected))

        fates = await carried(settings, source, edges, sys.stderr.buffer)
    return fates, source.exhausted


async def _records(
    stream: BinaryIO, partition: Partition, bar: LineProgress, bytes_max: int, *, whole: bool
) -> AsyncGenerator[Record]:
    """One a line, its offset the number of the line; the time is now, for want of another."""
    clock = SystemClock()
    lines = iter([(1, stream.read())]) if whole else numbered_lines(stream, bytes_max)
    async with aclosing(fed(lines)) as numbered:
        async for number, value in numbered:
            bar.advance(number, len(value))
            yield Record(*partition, number, clock.now_ms(), None, value, (), EPOCH)
