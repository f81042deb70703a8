"""Lines → files of at most so many bytes, each complete in itself, on the disk when it returns."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from relay.disk import disk_errors
from relay.errors import InputError
from relay.segments.members import Places

# The vendor asks for files of at most 100 MB; a little less leaves room for what wraps a body.
PART_BYTES_MAX = 90_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A file that was written: its name, how large, of how many lines."""

    number: int
    file: str
    size_bytes: int
    lines: int
    first_place: int | None = None
    last_place: int | None = None

    @property
    def users(self) -> Places | None:
        """Whom it is about; None for a file of commands, whose users are not known one by one."""
        if self.first_place is None or self.last_place is None:
            return None
        return Places(self.first_place, self.last_place)


def write_part(
    directory: Path, number: int, suffix: str, header: bytes, lines: Iterable[bytes]
) -> Part:
    """Write `part-0001.…`."""
    path = directory / f"part-{number:04d}.{suffix}"
    count = 0
    with disk_errors(path), path.open("wb") as file:
        file.write(header)
        for count, line in enumerate(lines, start=1):  # noqa: B007 - what it ends with
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
        return Part(number, path.name, file.tell(), count)


def write_parts(
    lines: Iterable[bytes],
    directory: Path,
    suffix: str,
    *,
    header: bytes = b"",
    bytes_max: int = PART_BYTES_MAX,
    after: int = 0,
) -> Iterator[Part]:
    """Write as many as it takes, behind number `after`; yield each once it is whole.

    No lines, no file.
    """
    number, size = after, bytes_max

    def part_of(line: bytes) -> int:
        nonlocal number, size
        size += len(line)
        if size > bytes_max:
            number, size = number + 1, len(header) + len(line)
            if size > bytes_max:
                raise InputError(f"a line alone is larger than a part of {bytes_max} bytes")
        return number

    for at, its_lines in groupby(lines, part_of):
        yield write_part(directory, at, suffix, header, its_lines)
