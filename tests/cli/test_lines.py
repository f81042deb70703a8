"""Lines of a file, whatever the file holds."""

import errno
import gzip
import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cli.lines import numbered_lines, opened
from relay.errors import InputError


@given(st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b""))), st.booleans())
def test_every_line_that_is_not_blank_comes_with_its_number(lines, last_is_ended):
    text = b"\n".join(lines) + b"\n" * last_is_ended
    assert list(numbered_lines(io.BytesIO(text), 100)) == [
        (number, line.rstrip(b"\r")) for number, line in enumerate(lines, 1) if line.strip()
    ]


@given(st.integers(0, 40), st.integers(1, 8))
def test_a_line_that_is_too_long_is_cut_and_the_next_one_is_whole(length, bytes_max):
    file = io.BytesIO(b"x" * length + b"\nnext")
    found = dict(numbered_lines(file, bytes_max))
    assert found[2][: bytes_max + 1] == b"next"[: bytes_max + 1]
    assert len(found.get(1, b"")) == min(length, bytes_max + 2)
    assert (len(found.get(1, b"")) > bytes_max) == (length > bytes_max)


def test_a_packed_file_is_told_with_a_way_to_read_it(tmp_path):
    packed = tmp_path / "events.ndjson.gz"
    packed.write_bytes(gzip.compress(b"{}"))
    with pytest.raises(InputError, match=r"is compressed by gzip \(gzip -dc"), opened(packed):
        pass


class Failing(io.RawIOBase):
    """A file on a disk that fails behind its first two lines."""

    name = "events.ndjson"

    def __init__(self):
        self.given = False

    def readable(self):
        return True

    def readinto(self, buffer):
        if self.given:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.given = True
        buffer[:6] = b"{}\n{}\n"
        return 6


def test_a_disk_that_fails_in_the_middle_is_told_with_the_place():
    lines = numbered_lines(io.BufferedReader(Failing()), 100)
    assert [next(lines), next(lines)] == [(1, b"{}"), (2, b"{}")]
    with pytest.raises(InputError, match=r"^events.ndjson: cannot be read behind line 2: "):
        next(lines)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_file_that_can_be_opened_and_not_read_is_told():
    nothing_there = Path("/proc/self/mem")
    with pytest.raises(InputError, match=r"^/proc/self/mem: "), opened(nothing_there):
        pass
