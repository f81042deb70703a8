"""A file of text → its lines or its CSV rows, one at a time, with errors that say where.

Knows UTF-8 with and without a byte-order mark and gzip; anything else is refused. Nothing that a
file holds is ever part of an error: it may be personal data.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, cast

from relay.errors import InputError

# Longer than any line that makes sense here: what exceeds it is not a file of lines.
LINE_BYTES_MAX = 1 << 20
_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"
_PAGE = re.compile(r"\s*<(!doctype|html|head|body|\?xml|error|!--)", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


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


def rows(path: Path, called: Path | None = None) -> Iterator[tuple[int, list[str], int]]:
    """The rows of a CSV, each with the line on which it starts; all as wide as the first.

    Third comes 0, or the number of a last line without a line end, with its row or earlier: it may
    be cut off.
    """
    name = called or path
    csv.field_size_limit(LINE_BYTES_MAX)
    open_ends = [0]
    text = _text(path, name, open_ends)
    first = list(islice(text, _LOOKED_AT))
    _refuse_other_kinds(name, first)
    reader = csv.reader(chain(first, text), strict=True)
    width, start = 0, 1
    try:
        for cells in reader:
            width = width or len(cells)
            if cells and len(cells) != width:
                raise InputError(
                    f"{name}:{start}: has {len(cells)} columns where the first line has {width}"
                )
            if cells:  # no empty line
                yield start, cells, open_ends[-1]
            start = reader.line_num + 1
    except csv.Error as error:
        number = max(start, reader.line_num)
        raise InputError(f"{name}:{number}: is not valid CSV: {error}") from None


_LOOKED_AT = 100
_WHOLE = (b"\n", b"\r", b'"')
"""What a whole line ends with: after a closing quote the cell is whole."""


def cut_off(name: Path, number: int, unless: str = "") -> InputError:
    """The file may end in the middle of a cell, in line `number`."""
    return InputError(
        f"{name}:{number}: the last line has no line end: it may be cut off",
        hint=f"if it is whole, add a line end{unless}",
    )


def _refuse_other_kinds(name: Path, first: list[str]) -> None:
    """Raise InputError if the first lines show that this is no CSV with commas."""
    start = first[0] if first else ""
    if _PAGE.match(start):
        raise InputError(f"{name}: is a page (HTML or XML), not a CSV", hint="look into the file")
    if start.lstrip().startswith(("{", "[")):
        raise InputError(f"{name}: is JSON, not a CSV", hint="look into the file")
    if start.lower().startswith("sep="):
        raise InputError(
            f"{name}:1: tells a spreadsheet its separator", hint="take the first line out"
        )
    for number, line in enumerate(first, start=1):
        bare = _QUOTED.sub("", line)
        if "," in bare:
            return
        found = next((word for sign, word in _SEPARATORS.items() if sign in bare), None)
        if found is not None:
            raise InputError(
                f"{name}:{number}: has one column by commas, and {found} in it",
                hint="save it with commas; where it is part of an id, put the id in quotes",
            )


def _text(path: Path, name: Path, open_ends: list[int]) -> Iterator[str]:
    for number, line in lines(path, name):
        if not line.endswith(_WHOLE):
            open_ends.append(number)
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
