"""Answers byte by byte: the same whole or cut anywhere, and what is no answer says so.

The cases are of the kinds that the test vectors of llhttp and h11 try.
"""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import SettingsError
from relay.model import NoAnswer, Request
from relay.stream.sending.http1 import (
    Heard,
    RequestHeads,
    ResponseReader,
    Unsendable,
    unpacked,
)

CEILING = 1000


def heard(*pieces: bytes, eof: bool = False, head_only: bool = False) -> Heard | None:
    reader = ResponseReader(CEILING)
    reader.begin(head_only=head_only)
    for piece in pieces:
        found = reader.feed(piece)
        if found is not None:
            return found
    return reader.eof() if eof else None


GOOD = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
    "empty reason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
    "nothing": (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500, b"", True),
    "white space": (b"HTTP/1.1 200 OK\r\nContent-Length:\t2 \r\n\r\nok", 200, b"ok", True),
    "no body": (b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", 204, b"", True),
    "not modified": (b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", 304, b"", True),
    "chunks": (
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2;a=b\r\nok\r\nA\r\n0123456789\r\n000\r\nX: 1\r\n\r\n"
        ),
        200,
        b"ok0123456789",
        True,
    ),
    "interim": (
        (
            b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
            b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\nok"
        ),
        201,
        b"ok",
        True,
    ),
    "close": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        False,
    ),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
    "old, kept": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_an_answer_is_the_same_whole_and_in_any_pieces(name):
    raw, status, body, reusable = GOOD[name]
    whole = heard(raw)
    assert whole is not None
    assert (whole.answer.status, whole.answer.body, whole.reusable) == (status, body, reusable)
    for at in range(1, len(raw)):
        found = heard(raw[:at], raw[at:])
        assert found is not None
        assert (found.answer, found.reusable) == (whole.answer, whole.reusable)
    dripped = heard(*(raw[i : i + 1] for i in range(len(raw))))
    assert dripped is not None
    assert (dripped.answer, dripped.reusable) == (whole.answer, whole.reusable)
    assert all(heard(raw[:at]) is None for at in range(len(raw)))


@pytest.mark.parametrize("name", GOOD)
def test_the_same_reader_reads_the_next_answer(name):
    raw, status, body, reusable = GOOD[name]
    reader = ResponseReader(CEILING)
    for _ in range(3 if reusable else 1):
        reader.begin(head_only=False)
        found = reader.feed(raw)
        assert found is not None
        assert (found.answer.status, found.answer.body) == (status, body)


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\n\r\nok", b"HTTP/1.0 200 OK\r\n\r\nok"])
def test_without_a_length_the_body_ends_with_the_connection(raw):
    assert heard(raw) is None
    found = heard(raw, eof=True)
    assert found is not None
    assert (found.answer.status, found.answer.body, found.reusable) == (200, b"ok", False)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("extra", [OK, b"H", b"x", b"\0"])
def test_bytes_after_an_answer_leave_it_as_it_is_and_end_the_connection(extra):
    found = heard(OK + extra)
    assert found is not None
    assert (found.answer.status, found.answer.body, found.reusable) == (200, b"ok", False)


def test_an_answer_to_head_ends_with_its_head():
    found = heard(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", head_only=True)
    assert found is not None
    assert (found.answer.status, found.answer.body, found.reusable) == (200, b"", False)


BAD = [
    b"\x16\x03\x01\x02",
    b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \xffchunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n folded\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + OK,
]


@pytest.mark.parametrize("raw", BAD)
def test_what_is_not_http_is_no_answer_and_says_why(raw):
    for found in (heard(raw), heard(*(raw[i : i + 1] for i in range(len(raw))))):
        assert found is not None
        assert (found.answer.status, found.answer.no_answer) == (0, NoAnswer.BROKEN)
        assert found.answer.detail
        assert not found.reusable


@pytest.mark.parametrize(
    ("raw", "says"),
    [(b"", "in the head"), (b"HTTP/1.1 200", "in the head"), (OK[:-1], "in the body")],
)
def test_an_end_before_the_answer_is_whole_says_where(raw, says):
    found = heard(raw, eof=True)
    assert found is not None
    assert found.answer.no_answer is NoAnswer.BROKEN
    assert says in found.answer.detail


def test_headers_and_trailers_have_a_ceiling_of_their_own():
    line = b"X-More: " + b"x" * 1000 + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    for start in (head, head + chunked):
        found = heard(start, *[line] * 100)
        assert found is not None
        assert found.answer.no_answer is NoAnswer.TOO_LARGE
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    found = heard(*[interim] * 5000)
    assert found is not None
    assert found.answer.no_answer is NoAnswer.TOO_LARGE


def test_a_body_in_the_smallest_chunks_is_no_ceiling():
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * CEILING
    found = heard(raw, b"0\r\n\r\n")
    assert found is not None
    assert (found.answer.status, found.answer.body) == (200, b"x" * CEILING)


@given(st.lists(st.binary(max_size=60), max_size=20), st.booleans())
def test_no_bytes_whatever_they_are_are_an_exception(pieces, eof):
    found = heard(*pieces, eof=eof)
    assert found is None or found.answer.status or found.answer.detail


@given(st.sampled_from([*GOOD.values()]), st.data())
def test_a_damaged_answer_is_never_an_exception(good, data):
    raw = bytearray(good[0])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    found = heard(bytes(raw[:cut]), bytes(raw[cut:]), eof=True)
    assert found is not None
    assert found.answer.status or found.answer.detail


# --- content encodings ---


@given(st.binary(max_size=3000), st.integers(0, 9))
def test_what_was_packed_is_unpacked(body, level):
    assert unpacked(gzip.compress(body, level, mtime=0), "gzip", 10_000) == body
    assert (
        unpacked(gzip.compress(body, mtime=0) + gzip.compress(b"more", mtime=0), "gzip", 10_000)
        == body + b"more"
    )
    assert unpacked(zlib.compress(body), "deflate", 10_000) == body
    packer = zlib.compressobj(wbits=-15)
    assert unpacked(packer.compress(body) + packer.flush(), "deflate", 10_000) == body


def test_unpacking_stops_at_the_ceiling():
    assert unpacked(gzip.compress(b"0" * 10**7, mtime=0), "gzip", 100) == b"0" * 100
    assert unpacked(gzip.compress(b"0" * 60, mtime=0) * 10**4, "gzip", 100) == b"0" * 100


@pytest.mark.parametrize(
    "body", [gzip.compress(b"x" * 100, mtime=0)[:-9], b"plain", gzip.compress(b"", mtime=0)[:4]]
)
def test_a_packed_body_that_is_damaged_is_no_answer(body):
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    found = heard(head + body)
    assert found is not None
    assert found.answer.no_answer is NoAnswer.BROKEN
    assert "gzip" in found.answer.detail


def test_an_encoding_that_nobody_asked_for_leaves_status_and_bytes():
    found = heard(
        b"HTTP/1.1 400 No\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\n\x01\x02\x03"
    )
    assert found is not None
    assert (found.answer.status, found.answer.body) == (400, b"\x01\x02\x03")


# --- requests ---


def test_a_head_is_made_once_for_each_path_and_again_for_a_new_token():
    heads = RequestHeads("https://[::1]:8443/base", "agent/1")
    request = Request("POST", "/x", b"")
    first = heads.of(request, "one")
    assert first.startswith(b"POST /base/x HTTP/1.1\r\nhost: [::1]:8443\r\n")
    assert first.endswith(b"authorization: one\r\ncontent-length: ")
    assert heads.of(request, "one") is first
    assert b"authorization: two\r\n" in heads.of(request, "two")
    assert "two" not in repr(heads) + repr(vars(heads).get("_fields"))


def test_the_heads_that_are_kept_have_a_bound():
    heads = RequestHeads("https://api", "agent/1")
    token = "token"
    for number in range(1000):
        assert b"/%d " % number in heads.of(Request("PUT", f"/{number}", b""), token)
    assert len(heads._kept) < 100


@given(st.text(max_size=20), st.sampled_from(["method", "path", "token"]))
def test_no_text_brings_in_a_line_of_its_own(text, where):
    heads = RequestHeads("https://api", "agent/1")
    plain = heads.of(Request("POST", "/x", b""), "token")
    parts = {"method": "POST", "path": "/x", "token": "token"}
    parts[where] = ("/" if where == "path" else "") + text
    try:
        head = heads.of(Request(parts["method"], parts["path"], b""), parts["token"])
    except Unsendable:
        return
    assert head.count(b"\r\n") == plain.count(b"\r\n")
    assert head.count(b"\n") == head.count(b"\r") == plain.count(b"\n")
    assert head.split(b"\r\n")[0].count(b" ") == 2


@pytest.mark.parametrize("url", ["https:///x", "https://api/a b", "https://ap\u00e9\u0000"])
def test_an_address_that_cannot_be_requested_is_a_clear_error(url):
    with pytest.raises(SettingsError, match="cannot be requested"):
        RequestHeads(url, "agent/1")
