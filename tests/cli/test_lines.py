"""Lines of a file, whatever the file holds."""

import gzip
import io

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
