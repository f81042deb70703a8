"""One connection to the API: one request at a time, its answer, and why there is none.

Everything happens in the event loop's own thread, in callbacks. An answer whose head was read
before, byte for byte, on any connection is not parsed again: see `HeadMemo`.
"""

import asyncio
import os
import select
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

from relay.model import Answer, NoAnswer
from relay.stream.sending.details import detail
from relay.stream.sending.http1 import Heard, ResponseReader

FAILURES_IN_A_ROW = 3
"""After so many 5xx, one after another, a connection is closed: what is behind it may be broken
while others are not."""

_BULKY_BYTES = 64 * 1024  # a larger request may be answered when a part of it was written
_SERVER_ERROR = 500


class Limits(NamedTuple):
    """What a connection keeps to: seconds, and bytes."""

    write_s: float
    read_s: float
    total_s: float
    keepalive_s: float
    body_bytes: int


class HeadMemo:
    """The heads of answers that were parsed, with what they say.

    A head from its first byte to the empty line, the same as one before which a strict parser
    found framed by Content-Length alone, can say nothing else. Servers change a head once a
    second, for its `Date`; where each is different, the memo is of no use and does no harm.
    """

    _ENTRIES_MAX = 64  # a server has a head for each kind of answer, new ones once a second
    _HEAD_BYTES_MAX = 2048  # 64 of these at most, for each destination

    def __init__(self) -> None:
        self.known: dict[bytes, tuple[int, int, dict[str, str]]] = {}

    def keep(self, data: bytes, heard: Heard) -> None:
        """Remember the head of `data`, if that is one whole answer and no more."""
        end = data.find(b"\r\n\r\n") + 4
        if end > self._HEAD_BYTES_MAX or len(data) != end + heard.length:
            return
        if len(self.known) >= self._ENTRIES_MAX:
            self.known.clear()
        answer = heard.answer
        self.known[data[:end]] = answer.status, heard.length, dict(answer.headers)


class Owner(Protocol):
    """Who keeps connections, and learns what becomes of them."""

    def released(self, connection: "Connection") -> None:
        """It has had its answer and may carry another request."""
        ...

    def ended(self, connection: "Connection") -> None:
        """It is closed."""
        ...


class Connection(asyncio.Protocol):
    """Made by the owner for each connection that is opened."""

    __slots__ = (
        "_bulky",
        "_carried",
        "_ending",
        "_failures",
        "_head_only",
        "_heard_at",
        "_known",
        "_limits",
        "_loop",
        "_memo",
        "_owner",
        "_reader",
        "_reading",
        "_retire_at",
        "_started_at",
        "_transport",
        "_unread",
        "_unsent",
        "_waiting",
    )

    def __init__(self, owner: Owner, limits: Limits, memo: HeadMemo, retire_at: float) -> None:
        self._owner = owner
        self._limits = limits
        self._memo = memo
        self._known = memo.known
        self._retire_at = retire_at
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unread: Callable[[float], list[tuple[int, int]]] = _nothing
        self._reader: ResponseReader | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._reading = False
        self._ending = False
        self._head_only = False
        self._bulky = False
        self._carried = 0
        self._failures = 0
        self._unsent = 0
        self._started_at = self._heard_at = self._loop.time()

    # -- a request ------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it was opened and nobody has begun to close it."""
        return self._transport is not None and not self._ending

    def ready(self) -> bool:
        """Whether another request can be written, and what comes then can only be its answer.

        The kernel is asked for what the event loop has not read yet: the end of the connection, or
        bytes that nobody asked for. They would be taken for the answer to the next request.
        """
        return self._transport is not None and not self._ending and not self._unread(0)

    def send(
        self, data: bytes, began: float, now: float, *, head_only: bool
    ) -> "asyncio.Future[Answer]":
        """Write a request that was given to the wire at `began`."""
        self._waiting = waiting = self._loop.create_future()
        self._started_at = began
        self._heard_at = now
        self._head_only = head_only
        self._unsent = 0
        self._carried += 1
        self._bulky = len(data) > _BULKY_BYTES
        cast("asyncio.Transport", self._transport).write(data)
        return waiting

    def abandon(self, waiting: "asyncio.Future[Answer]") -> None:
        """Nobody waits for this answer any more: nothing else may come on this connection."""
        if self._waiting is waiting:
            self._waiting = None
            self.abort()

    # What has taken too long, the first case that holds; `heard_at` is when anything moved last:
    #
    #     nothing is under way          closed when idle for `keepalive_s`, or too old
    #     the whole request, `total_s`  given up, whatever moves
    #     bytes leave                   not too long: `heard_at` is now
    #     bytes are stuck, `write_s`    given up: the server does not read
    #     all was written, `read_s`     given up, unless something unread lies there
    def look(self, now: float) -> None:
        """Close what has been idle for too long or is too old; give up what takes too long."""
        transport, limits = self._transport, self._limits
        if transport is None or self._ending:
            return
        if self._waiting is None:
            if now - self._heard_at >= limits.keepalive_s or now >= self._retire_at:
                self.close()
            return
        if now - self._started_at >= limits.total_s:
            self._fail(NoAnswer.TIMEOUT, _took(limits.total_s, "in all", "total_timeout_s"))
            return
        unsent = transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent = unsent
            self._heard_at = now
        elif unsent and now - self._heard_at >= limits.write_s:
            said = _took(limits.write_s, "for the request to be taken", "write_timeout_s")
            self._fail(NoAnswer.TIMEOUT, said)
        elif not unsent and now - self._heard_at >= limits.read_s and not self._unread(0):
            # With something unread it is the event loop that was late.
            what = "for the rest of the answer" if self._reading else "for any answer"
            self._fail(NoAnswer.TIMEOUT, _took(limits.read_s, what, "read_timeout_s"))

    def close(self) -> None:
        """Close in order. What is under way gets no answer."""
        if self._transport is not None and not self._ending:
            self._ending = True
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._ending = True
            self._transport.abort()

    def give_up(self, answer: Answer) -> None:
        """Close at once; a request under way gets this answer."""
        waiting, self._waiting = self._waiting, None
        self._reading = False
        self.abort()
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    # -- called by the event loop ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open, TLS included."""
        self._transport = cast("asyncio.Transport", transport)
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._unread = poll.poll

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        waiting = self._waiting
        if waiting is None:  # an answer to nothing: whatever follows cannot be trusted
            self.abort()
            return
        if not self._reading:
            # Known: the whole answer came in one piece and its head was read before. The `-1 + 4`
            # of a head that is not whole finds nothing, since no key of the memo is three bytes
            # long.
            end = data.find(b"\r\n\r\n") + 4
            known = self._known.get(data[:end])
            if known is not None and len(data) == end + known[1] and not self._early():
                status, _, headers = known
                self._answered(Answer(status, headers, data[end:]), waiting)
                return
        try:
            self._read(data)
        except Exception as error:  # noqa: BLE001 - a defect in reading never costs a record
            self._fail(NoAnswer.BROKEN, f"a defect in reading the answer: {type(error).__name__}")

    # The other side has ended, and a request is under way:
    #
    #     in the middle of an answer     whole, if its body ends with the connection: the reader
    #                                    says
    #     before any byte of an answer   broken; with a hint about `keepalive_s` where this
    #                                    connection has carried requests before
    #
    # Returning None lets the transport close itself; `connection_lost` follows.
    def eof_received(self) -> None:
        """The other side will send nothing more."""
        if self._waiting is not None:
            if self._reading and self._reader is not None:
                self._settle(self._reader.eof())
            else:
                self._fail(NoAnswer.BROKEN, self._silent_end())
        self._ending = True

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed, by either side."""
        self._transport = None
        self._ending = True
        if self._waiting is not None:
            said = self._silent_end() if not self._reading else "the connection broke in the answer"
            self._fail(NoAnswer.BROKEN, detail(said, why(error)))
        if self._reader is not None:
            self._reader.end()
            self._reader = None
        self._owner.ended(self)

    # -- inside ---------------------------------------------------------------------------------

    def _early(self) -> bool:
        """Whether an answer came before its request can have arrived: it belongs to nobody.

        Seen for a request of one piece only: to a large one the server may answer halfway.
        """
        transport = self._transport
        return not self._bulky and transport is not None and self._is_writing(transport)

    @staticmethod
    def _is_writing(transport: asyncio.Transport) -> bool:
        return transport.get_write_buffer_size() > 0

    def _read(self, data: bytes) -> None:
        first = not self._reading
        if first and self._early():
            self._fail(NoAnswer.BROKEN, "the server sent something before it got the request")
            return
        reader = self._reader
        if reader is None:
            reader = self._reader = ResponseReader(self._limits.body_bytes)
        if first:
            reader.begin(head_only=self._head_only)
            self._reading = True
        heard = reader.feed(data)
        if heard is None:
            self._heard_at = self._loop.time()
            return
        if first and heard.length >= 0:
            self._memo.keep(data, heard)
        self._settle(heard)

    def _settle(self, heard: Heard) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        # The connection carries another request only if the answer leaves nothing behind:
        #
        #     `reusable`     it was framed, and nothing came after it
        #     not `unsent`   the request was written whole
        # An answer to a request that is still being written: the rest of it is in the way.
        unsent = self._bulky and self._transport is not None and self._is_writing(self._transport)
        if heard.reusable and not unsent:
            self._answered(heard.answer, waiting)
        else:
            self.give_up(heard.answer)

    def _answered(self, answer: Answer, waiting: "asyncio.Future[Answer]") -> None:
        self._waiting = None
        self._reading = False
        self._heard_at = now = self._loop.time()
        # Closed after an answer when it failed several times in a row (what is behind it may be
        # broken while others are not), is too old, or the other side has ended meanwhile.
        if answer.status >= _SERVER_ERROR:
            self._failures += 1
        else:
            self._failures = 0
        if self._failures >= FAILURES_IN_A_ROW or now >= self._retire_at or self._ending:
            self.close()
        else:
            self._owner.released(self)
        if not waiting.done():  # else cancelled, and its task not told yet
            waiting.set_result(answer)

    def _fail(self, kind: NoAnswer, said: str) -> None:
        self.give_up(Answer(0, no_answer=kind, detail=said))

    def _silent_end(self) -> str:
        if self._carried > 1:
            return (
                "the server closed the connection instead of answering: it may have been idle for "
                "longer than the server allows (tracking.keepalive_s)"
            )
        return "the server closed the connection instead of answering"


def why(error: BaseException | None) -> str:
    """What an error of the network or of TLS says, without addresses of its own."""
    if error is None:
        return ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _nothing(_timeout_ms: float) -> list[tuple[int, int]]:
    return []


def _took(seconds: float, what: str, setting: str) -> str:
    return f"timeout: {seconds:g} s {what} (tracking.{setting})"
