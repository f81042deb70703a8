"""HTTP/1.1 in bytes: a request → what is written, what is read → an answer. No I/O, no clock.

Reading is llhttp's (httptools) in its strict mode. What is decided here, by case:

    1xx                          read past; 101 is refused, nobody asked to change the protocol
    HEAD                         ends with its head; the connection is given up
    204, 304                     no body, whatever their headers say
    Content-Length               so many bytes
    Transfer-Encoding: chunked   chunks; trailers are read and dropped
    any other Transfer-Encoding  refused, and so are both lengths together, or one of them twice
    neither                      the body ends with the connection
    bytes after the answer       the answer stands, the connection is given up
    body above the ceiling       cut there, the connection is given up
    everything else above        refused: see `_OVERHEAD_BYTES_MAX`
"""

import re
import zlib
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from relay.errors import SettingsError
from relay.model import Answer, NoAnswer, Request
from relay.stream.sending.details import detail

_OVERHEAD_BYTES_MAX = 64 * 1024
"""Most bytes of an answer that are not body: heads, trailers, the lines between chunks.

A chunked body may add `_OVERHEAD_PER_BODY_BYTE` for each of its bytes: the smallest chunks do.
"""
_OVERHEAD_PER_BODY_BYTE = 8  # a chunk of one byte takes five more, and may have an extension

_TARGET = re.compile(r'/[!"$-~]*')
_HOST = re.compile(r"[!-~]+")
_METHOD = re.compile(r"[A-Z]+")
_VALUE = re.compile(r"[ -~]*")
_NO_BODY = frozenset((204, 304))
_HEADS_MAX = 64  # paths of user points name the user: of these few come twice

_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15


class Unsendable(ValueError):
    """A request that HTTP/1.1 cannot carry: a line break or a space where none may be."""


class RequestHeads:
    """Makes the head of a request up to the number that is its body's length.

    Heads are kept: nearly all requests go to one path.
    """

    def __init__(self, base_url: str, user_agent: str) -> None:
        """Raises `SettingsError` when the address cannot stand in a request."""
        parts = urlsplit(base_url)
        host = _host(parts)
        usable = _HOST.fullmatch(host) and _VALUE.fullmatch(user_agent)
        if not usable or not _is_target(parts.path + "/"):
            raise SettingsError(
                f"{base_url} cannot be requested",
                hint="tracking.base_url must be an address such as https://api.mediarithmics.com",
            )
        self._path = parts.path.rstrip("/")
        self._fields = (
            b"host: %b\r\naccept: application/json\r\naccept-encoding: gzip\r\n"
            b"content-type: application/json\r\nuser-agent: %b\r\n"
            % (host.encode(), user_agent.encode())
        )
        self._token = ""
        self._kept: dict[tuple[str, str], bytes] = {}

    def __repr__(self) -> str:
        return "RequestHeads()"

    def of(self, request: Request, token: str) -> bytes:
        """The bytes to write before the length. Raises `Unsendable`."""
        if token is not self._token:
            self._kept.clear()
            self._token = token
        route = request.method, request.path
        head = self._kept.get(route)
        if head is None:
            head = self._made(request.method, self._path + request.path, token)
            if len(self._kept) >= _HEADS_MAX:
                self._kept.clear()
            self._kept[route] = head
        return head

    def _made(self, method: str, target: str, token: str) -> bytes:
        if not _METHOD.fullmatch(method):
            raise Unsendable("the method holds a character that no method may hold")
        if not _is_target(target):
            raise Unsendable("the path holds a character that no path may hold")
        if not _VALUE.fullmatch(token):
            raise Unsendable("the token holds a character that no header may hold")
        return b"%b %b HTTP/1.1\r\n%bauthorization: %b\r\ncontent-length: " % (
            method.encode(),
            target.encode(),
            self._fields,
            token.encode(),
        )


def _host(parts: SplitResult) -> str:
    """Name and port as they stand in a request; nothing when the name cannot."""
    if parts.netloc.isascii():
        return parts.netloc
    try:
        name = (parts.hostname or "").encode("idna").decode("ascii")
    except UnicodeError:
        return ""
    return name if parts.port is None else f"{name}:{parts.port}"


def _is_target(text: str) -> bool:
    return _TARGET.fullmatch(text) is not None


class Heard(NamedTuple):
    """A whole answer, or why there will be none.

    `reusable`: another request may be written to the connection. `length` is what Content-Length
    said when it is all that framed the answer, else -1.
    """

    answer: Answer
    reusable: bool = False
    length: int = -1


class ResponseReader:
    """Reads the answers of one connection, one after another: `begin`, then `feed` until heard."""

    # The methods whose names begin with `on_` are what httptools calls.

    def __init__(self, body_bytes_max: int) -> None:
        self._ceiling = body_bytes_max
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self.begin(head_only=False)

    def begin(self, *, head_only: bool) -> None:
        """Be ready for the next answer; `head_only`: to a HEAD request."""
        self._head_only = head_only
        self._headers: dict[str, str] = {}
        self._encodings = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._overhead = 0
        self._status = 0
        self._in_body = False
        self._interim = False
        self._complete = False
        self._keep = False
        self._extra = False
        self._refused = ""

    def end(self) -> None:
        """Let go of the parser, which refers back to this object."""
        self._parser = None

    # What a piece leads to, the first case that holds:
    #
    #     it is not HTTP/1.1, or refused     broken, with the reason
    #     the answer is whole                the answer
    #     the body is above the ceiling      its status and the beginning of its body
    #     too much that is not body          too large: heads and trailers have no other limit
    #     else                               None: the rest is to come
    def feed(self, data: bytes) -> Heard | None:
        """What came. Returns the answer as soon as it is whole or cannot become so."""
        size = self._size
        wrong = self._parsed(data)
        if wrong:
            return _broken(wrong)
        if self._complete:
            return self._heard()
        if self._size > self._ceiling:
            return self._cut()
        self._overhead += len(data) - (self._size - size)
        if self._overhead > _OVERHEAD_BYTES_MAX + _OVERHEAD_PER_BODY_BYTE * self._size:
            said = f"more than {_OVERHEAD_BYTES_MAX} bytes of headers"
            return Heard(Answer(0, no_answer=NoAnswer.TOO_LARGE, detail=said))
        return None

    def _parsed(self, data: bytes) -> str:
        """Let the parser call what stands below; what is wrong with the answer, or nothing."""
        if self._parser is None:
            return "the connection has ended"
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            return "HTTP 101: the protocol was to change, which nobody asked for"
        except HttpParserError as error:
            if not self._complete:
                return self._refused or f"not HTTP/1.1: {detail(str(error))}"
            self._extra = True  # it is about what comes after the answer
        return ""

    def eof(self) -> Heard:
        """The other side will send nothing more."""
        if self._ends_with_connection:
            return self._heard()
        if self._in_body:
            return _broken(f"the connection ended in the body of an answer (HTTP {self._status})")
        return _broken("the connection ended in the head of an answer")

    # -- called by httptools --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Another answer begins: after an interim one, or where none may be."""
        self._extra = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if self._in_body or self._complete:
            return
        key = name.decode("latin-1").lower()
        if key == "transfer-encoding":
            self._encodings += 1
        if value.isascii():
            text = value.decode("ascii").strip(" \t")
            headers = self._headers
            headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """The head is whole."""
        parser = self._parser
        if self._complete or parser is None:
            return
        self._status = parser.get_status_code()
        if self._status < _STATUS_MIN:
            self._refuse(f"{self._status} is no HTTP status")
        if not parser.get_http_version().startswith("1."):
            self._refuse(f"the answer is in HTTP/{parser.get_http_version()}")
        # Where two parsers read a coding in two ways they see the end of the body at two places,
        # and the rest is taken for the next answer (RFC 9112, 6.3). A length beside a coding, and a
        # length that comes twice, are refused by llhttp.
        if self._encodings and (
            self._encodings > 1 or self._headers.get("transfer-encoding", "").lower() != "chunked"
        ):
            self._refuse("an answer whose Transfer-Encoding is not chunked")
        self._in_body = True
        if self._head_only and self._status >= _FINAL_MIN:
            self._complete = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._complete:
            self._extra = True
            return
        # One byte above the ceiling tells that there is more.
        if self._size <= self._ceiling:
            self._pieces.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        parser = self._parser
        if self._complete or parser is None:
            return
        if self._status < _FINAL_MIN:
            self._headers = {}
            self._encodings = 0
            self._in_body = False
            self._interim = True
            return
        self._complete = True
        # Here and not later: llhttp forgets the flags of a message when it has ended.
        self._keep = parser.should_keep_alive()

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _ends_with_connection(self) -> bool:
        return (
            self._in_body
            and not self._encodings
            and "content-length" not in self._headers
            and self._status not in _NO_BODY
        )

    def _refuse(self, why: str) -> None:
        self._refused = why
        raise Unsendable(why)  # httptools stops and reports it as a callback's error

    def _heard(self) -> Heard:
        raw = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if len(raw) > self._ceiling:
            return self._cut()
        encoding = self._headers.get("content-encoding", "").lower()
        try:
            body = unpacked(raw, encoding, self._ceiling + 1)
        except zlib.error:
            return _broken(f"a body that is not {encoding}, as its header says")
        if len(body) > self._ceiling:
            return self._cut(body)
        # Whether the connection can be used again, and whether the head may be remembered:
        #
        #     `reusable`   the server keeps it open, and nothing came after the answer
        #     `length`     besides: no encoding, nothing before it, not to HEAD, and Content-Length
        #                  said exactly what came; then the same head means the same again
        reusable = self._keep and not self._extra
        plain = reusable and not encoding and not self._interim and not self._head_only
        said = self._headers.get("content-length") if plain else None
        length = len(raw) if said == str(len(raw)) else -1
        return Heard(Answer(self._status, self._headers, body), reusable, length)

    def _cut(self, body: bytes | None = None) -> Heard:
        if body is None:
            raw = b"".join(self._pieces)
            encoding = self._headers.get("content-encoding", "").lower()
            try:
                body = unpacked(raw, encoding, self._ceiling, whole=False)
            except zlib.error:
                body = raw
        return Heard(cut_answer(self._status, self._headers, body, self._ceiling))


_STATUS_MIN = 100
_FINAL_MIN = 200


def cut_answer(status: int, headers: dict[str, str], body: bytes, ceiling: int) -> Answer:
    """An answer whose body is longer than is read."""
    said = f"the body is above {ceiling} bytes (tracking.response_bytes_max)"
    return Answer(status, headers, body[:ceiling], detail=said, cut=True)


def _broken(why: str) -> Heard:
    return Heard(Answer(0, no_answer=NoAnswer.BROKEN, detail=why))


def unpacked(body: bytes, encoding: str, most: int, *, whole: bool = True) -> bytes:
    """The body without its content encoding, at most `most` bytes of it.

    An encoding that we do not know leaves the body as it is: its status still counts.

    Raises:
        zlib.error: The body is not what its header says; or it ends early, and is meant to be
            `whole`.
    """
    match encoding:
        case "gzip" | "x-gzip":
            window = _GZIP
        case "deflate":
            # RFC 9110, 8.4.1.2: meant is zlib, and some send the stream without zlib's frame.
            window = _ZLIB if _is_zlib(body) else _RAW_DEFLATE
        case _:
            return body
    found = b""
    rest = body
    while rest and len(found) < most:  # gzip may have several members
        unpacker = zlib.decompressobj(window)
        found += unpacker.decompress(rest, most - len(found))
        if whole and not unpacker.eof and len(found) < most:
            raise zlib.error("ends early")
        rest = unpacker.unused_data
    return found


def _is_zlib(body: bytes) -> bool:
    head = int.from_bytes(body[:2])
    return head >> 8 & 0x0F == zlib.DEFLATED and head % 31 == 0
