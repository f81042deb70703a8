"""A file of text → its lines or its CSV rows, one at a time, with errors that say where.

Knows UTF-8 with and without a byte-order mark and gzip; anything else is refused. Nothing that a
file holds is ever part of an error: it may be personal data.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from relay.errors import InputError

# Longer than any line that makes sense here: what exceeds it is not a file of lines.
LINE_BYTES_MAX = 1 << 20
_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"


def lines(path: Path, called: Path | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines of the file with their numbers, line ends included, the mark left out.

    Errors name the file as it is `called`, where that is not where it lies.
    """
    name = called or path
    try:
        with _opened(path) as file:
            number = 0
            while line := file.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise InputError(
                        f"{name}:{number}: the line is longer than {LINE_BYTES_MAX} bytes"
                    )
                if number == 1:
                    if line.startswith(_OTHER_MARKS):
                        raise InputError(f"{name}: is UTF-16", hint="save it as UTF-8")
                    line = line.removeprefix(_MARK)
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{name}: the compressed file is cut off or damaged") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None


def rows(path: Path, called: Path | None = None) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV, each with the line on which it starts; all as wide as the first."""
    name = called or path
    csv.field_size_limit(LINE_BYTES_MAX)
    reader = csv.reader(_text(path, name), strict=True)
    width = 0
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{name}:{max(start, reader.line_num)}: is not valid CSV: {error}"
            ) from None
        if not cells:
            continue  # an empty line
        width = width or len(cells)
        if len(cells) != width:
            raise InputError(
                f"{name}:{start}: has {len(cells)} columns where the first line has {width}"
            )
        yield start, cells


def _text(path: Path, name: Path) -> Iterator[str]:
    for number, line in lines(path, name):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name}:{number}: byte {error.start + 1} of the line is not UTF-8",
                hint="save the file as UTF-8",
            ) from None


def _opened(path: Path) -> BinaryIO:
    file = path.open("rb")
    if file.read(len(_GZIP)) == _GZIP:
        file.close()
        return cast("BinaryIO", gzip.open(path, "rb"))
    file.seek(0)
    return file
