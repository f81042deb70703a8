"""Lines → files of at most so many bytes, each complete in itself, on the disk when it returns."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from relay.disk import disk_errors
from relay.errors import InputError

# The vendor asks for files of at most 100 MB; a little less leaves room for what wraps a body.
PART_BYTES_MAX = 90_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A file that was written: where, how large, of how many lines."""

    path: Path
    size_bytes: int
    lines: int


class _OpenPart:
    def __init__(self, path: Path, header: bytes) -> None:
        self.path = path
        self.file: BinaryIO = path.open("wb")
        self.size = 0
        self.lines = 0
        self.write(header)

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.size += len(data)

    def finish(self) -> Part:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        return Part(self.path, self.size, self.lines)


def write_parts(
    lines: Iterable[bytes],
    directory: Path,
    suffix: str,
    *,
    header: bytes = b"",
    bytes_max: int = PART_BYTES_MAX,
    after: int = 0,
    lines_of: Iterator[int] | None = None,
) -> Iterator[Part]:
    """Write `part-0001.…`, `part-0002.…`; yield each once it is whole. No lines, no file.

    Numbers go on `after` one. `lines_of` says how many lines each part has, where that is settled.
    """
    part: _OpenPart | None = None
    number = after
    lines_max = next(lines_of) if lines_of is not None else None
    with disk_errors(directory):
        try:
            for line in lines:
                if part is not None and (
                    part.size + len(line) > bytes_max or part.lines == lines_max
                ):
                    yield part.finish()
                    part = None
                    lines_max = next(lines_of) if lines_of is not None else None
                if part is None:
                    number += 1
                    if len(header) + len(line) > bytes_max:
                        raise InputError(f"a line alone is larger than a part of {bytes_max} bytes")
                    part = _OpenPart(directory / f"part-{number:04d}.{suffix}", header)
                part.write(line)
                part.lines += 1
            if part is not None:
                yield part.finish()
        finally:
            if part is not None and not part.file.closed:
                part.file.close()
