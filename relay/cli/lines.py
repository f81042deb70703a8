"""A file or standard input of events → its lines, numbered, each bounded in memory."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from relay.errors import InputError

STDIN = Path("-")


_GZIP = b"\x1f\x8b"


@contextmanager
def opened(source: Path) -> Iterator[BinaryIO]:
    """The file, or standard input for `-`.

    Raises:
        InputError: The file cannot be read, or is compressed.
    """
    if source == STDIN:
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(source.open("rb"))
            begins = file.peek(len(_GZIP))
        except OSError as error:
            raise InputError(
                f"{source}: {error.strerror}", hint="give a file, or - for stdin"
            ) from None
        if begins.startswith(_GZIP):
            raise InputError(
                f"{source}: is compressed by gzip", hint=f"gzip -dc {source} | relay … -"
            )
        yield file


def numbered_lines(file: BinaryIO, bytes_max: int) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank, with its number and without its end.

    Of a line with more than `bytes_max` bytes only so much is kept as shows that it is too long.

    Raises:
        InputError: A disk or a network failed in the middle.
    """
    number = 0
    try:
        while line := file.readline(bytes_max + 2):
            number += 1
            part = line
            while not part.endswith(b"\n") and (part := file.readline(bytes_max + 2)):
                pass
            line = line.rstrip(b"\r\n")
            if line.strip():
                yield number, line
    except OSError as error:
        raise InputError(
            f"{file.name}: cannot be read behind line {number}: {error.strerror}"
        ) from None
