"""What an error file seems to say: it may be anything, and nothing is concluded from it."""

import pytest

from relay.segments.formats import FileFormat, encoder
from relay.segments.hints import Hints, hints
from relay.segments.model import SegmentCommand

USERS = ("alice", "bob", "crm-1", "vec:12")


def read(tmp_path, content, form=FileFormat.NDJSON):
    codec = encoder(form)
    users = [("user_account_id", "", user) for user in USERS]
    lines = [codec.line(SegmentCommand.of(user, ("id", "7"), 0)) for user in users]
    (tmp_path / "part").write_bytes(codec.header + b"".join(lines))
    (tmp_path / "errors").write_bytes(content)
    return hints(tmp_path / "part", form, tmp_path / "errors")


@pytest.mark.parametrize("form", list(FileFormat))
@pytest.mark.parametrize(
    "content",
    [
        b'{"line_number": 2, "document": {"user_account_id": "bob"}, "error": "unknown"}\n',
        b'{"line":"{\\"user_account_id\\":\\"bob\\"}"}\n',
        b"OPERATION,USER_ACCOUNT_ID\nUPDATE,bob\n",
        b"bob;user unknown\r\n",
        b"bob",
    ],
)
def test_a_user_that_stands_in_it_as_a_word_names_a_line(tmp_path, content, form):
    assert read(tmp_path, content, form).named == {1: "bob"}


@pytest.mark.parametrize(
    "content", [b"", b"\0\xff\x1f\x8b", b"bobby,crm-12\n", b"3 lines were rejected\n", b'{"a": nul']
)
def test_what_is_not_understood_names_nobody(tmp_path, content):
    assert read(tmp_path, content) == Hints()


def test_an_identifier_with_a_colon_is_a_word_too(tmp_path):
    assert read(tmp_path, b'{"user_agent_id":"vec:12"}').named == {3: "vec:12"}


def test_a_reason_loses_what_may_identify_somebody(tmp_path):
    said = b'{"error": "no user \'alice\' with 1234567 in 7"}'
    assert read(tmp_path, said).reason == "no user *** with *** in 7"


def test_nobody_is_in_the_repr(tmp_path):
    assert "bob" not in repr(read(tmp_path, b"bob"))
