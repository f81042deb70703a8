"""An HTTP server that answers well and badly, by a seed, and knows what each request may be told.

Each request names its number in the path. Every body holds that number with a checksum, so an
answer that belongs to another request, or to none, can be told from a damaged one.
"""

import asyncio
import gzip
import random
import re
import select
import zlib
from dataclasses import dataclass, field
from typing import cast

from relay.model import Answer

NOBODY = 10**9
HEAD_END = b"\r\n\r\n"


def mark(number: int) -> bytes:
    return b"<%d:%08x>" % (number, zlib.crc32(b"%d" % number))


def numbers(body: bytes) -> set[int]:
    """The numbers of the requests that a body belongs to, as far as it is undamaged."""
    found = re.findall(rb"<(\d+):([0-9a-f]{8})>", body)
    return {int(number) for number, check in found if b"%08x" % zlib.crc32(number) == check}


@dataclass
class Reply:
    """What goes over the wire for a request, and what its answer is.

    `exact`: the answer is `status` and `body`, nothing else. Otherwise there may be none, but if
    there is one it is not another request's. `then`: keep the connection, close it, or reset it.
    """

    kind: str
    raw: bytes
    status: int
    body: bytes
    exact: bool
    then: str = "keep"
    pieces: int = 1
    late: bytes = b""

    def fits(self, answer: Answer, number: int) -> bool:
        """Whether a request with this number may be answered so."""
        if numbers(answer.body) - {number}:
            return False
        if self.exact:
            return (answer.status, answer.body) == (self.status, self.body)
        return (answer.status == 0) == (answer.no_answer is not None)


class Replies:
    """Makes the reply to each request out of the seed and its number."""

    def __init__(self, seed: int, *, late: bool = True) -> None:
        """`late`: now and then, bytes that nobody asked for come between two requests."""
        self._seed = seed
        self._late = late

    def to(self, number: int) -> Reply:
        rng = random.Random(self._seed * 1_000_003 + number)
        make = rng.choices(
            [self._good, self._spoiled, self._framed_wrongly, self._silent], [60, 25, 12, 0.1]
        )[0]
        return make(rng, number)

    # -- well formed --------------------------------------------------------------------------

    def _good(self, rng: random.Random, number: int) -> Reply:
        status = rng.choice([200, 200, 200, 201, 400, 404, 429, 500, 503, 302])
        body = mark(number) * rng.randint(1, 40) + b"x" * rng.choice([0, 1, 500, 5000])
        lines = [b"X-%d: %d" % (i, rng.getrandbits(30)) for i in range(rng.choice([0, 3, 120]))]
        interim = b"".join(
            b"HTTP/1.1 %d Wait\r\nX-Interim: 1\r\n\r\n" % rng.choice([100, 102, 103])
            for _ in range(rng.choice([0, 0, 0, 1, 3]))
        )
        kind = rng.choice(["length", "length", "chunked", "eof", "packed", "empty", "old"])
        version, then, sent = b"1.1", "keep", body
        match kind:
            case "length":
                lines.append(b"Content-Length: %d" % len(body))
            case "chunked":
                lines.append(b"transfer-encoding: Chunked")
                sent = chunked(rng, body)
            case "eof":
                then = "close"
            case "packed":
                coding = rng.choice([b"gzip", b"deflate"])
                sent = (
                    gzip.compress(body, 1, mtime=0) if coding == b"gzip" else zlib.compress(body, 1)
                )
                lines += [b"Content-Encoding: " + coding, b"Content-Length: %d" % len(sent)]
            case "empty":
                status, body, sent = rng.choice([204, 304]), b"", b""
            case _:
                version = b"1.0"
                lines.append(b"Content-Length: %d" % len(body))
                if rng.random() < 0.5:
                    lines.append(b"Connection: keep-alive")
                else:
                    then = "close"
        if then == "keep" and rng.random() < 0.1:
            lines.append(b"Connection: close")
            then = "close"
        rng.shuffle(lines)
        head = b"HTTP/%b %d Reason\r\n" % (version, status) + b"".join(
            line + b"\r\n" for line in lines
        )
        pieces = rng.choices([1, 2, 5, 100], [70, 15, 13, 2])[0]
        raw = interim + head + b"\r\n" + sent
        return Reply(kind, raw, status, body, True, then, pieces)

    # -- not well formed ----------------------------------------------------------------------

    def _spoiled(self, rng: random.Random, number: int) -> Reply:
        good = self._good(rng, number)
        good.exact = False
        good.kind = kind = rng.choice(["cut", "flipped", "inserted", "garbage", "nothing"])
        at = rng.randrange(len(good.raw))
        match kind:
            case "cut":
                good.raw = good.raw[:at]
            case "flipped":
                changed = bytearray(good.raw)
                for _ in range(rng.choice([1, 3])):
                    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
                good.raw = bytes(changed)
            case "inserted":
                odd = rng.choice([b"\r\n", b"\n", b"\0", b" ", b"\r\n\r\n", rng.randbytes(5)])
                good.raw = good.raw[:at] + odd + good.raw[at:]
            case "garbage":
                good.raw = rng.randbytes(rng.randint(1, 3000))
            case _:
                good.raw = b""
        good.then = rng.choice(["close", "reset"])
        return good

    def _framed_wrongly(self, rng: random.Random, number: int) -> Reply:
        body = mark(number) * 3
        plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        nobody = mark(NOBODY)
        other = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(nobody), nobody)
        kinds = ["pipelined", "both", "twice", "short", "odd", "large", "heads"]
        kind = rng.choice([*kinds, "late"] if self._late else kinds)
        reply = Reply(kind, plain, 200, body, False, rng.choice(["keep", "close"]))
        match kind:
            case "pipelined":
                reply.raw, reply.exact = plain + other, True
                reply.pieces = rng.choice([1, 1, 3])
                reply.exact = reply.pieces == 1
            case "late":
                reply.late, reply.exact = other, True
            case "both":
                lengths = [b"Content-Length: %d\r\n" % len(body), b"Transfer-Encoding: chunked\r\n"]
                rng.shuffle(lengths)
                reply.raw = b"HTTP/1.1 200 OK\r\n" + b"".join(lengths) + b"\r\n"
                reply.raw += b"%x\r\n%b\r\n0\r\n\r\n%b" % (len(body), body, other)
            case "twice":
                reply.raw = (
                    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: %d\r\n\r\n%b"
                    % (
                        len(body),
                        body,
                    )
                )
            case "short":
                reply.raw = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%b%b" % (body, other)
            case "odd":
                value = rng.choice([b"-1", b"+5", b"1e2", b"0x5", b"9" * 30, b"", b"5,5", b"5 5"])
                reply.raw = b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n%b" % (value, body)
                reply.then = "close"
            case "large":
                reply.raw = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99999
            case _:
                reply.raw = b"HTTP/1.1 200 OK\r\n" + b"X-More: 123456789\r\n" * 6000
        return reply

    def _silent(self, rng: random.Random, number: int) -> Reply:
        good = self._good(rng, number)
        good.kind = "silent"
        good.exact = False
        good.then = "keep"
        good.raw = good.raw[: rng.choice([0, rng.randrange(len(good.raw))])]
        return good


def chunked(rng: random.Random, body: bytes) -> bytes:
    """The body in chunks of chance, with extensions and trailers now and then."""
    out = []
    while body:
        size = rng.choice([1, 7, 1000])
        extension = rng.choice([b"", b"", b";name=value", b';q="a b"'])
        out.append(b"%x%b\r\n%b\r\n" % (len(body[:size]), extension, body[:size]))
        body = body[size:]
    trailers = rng.choice([b"", b"", b"X-Trailer: 1\r\n"])
    return b"".join(out) + b"0\r\n" + trailers + b"\r\n"


@dataclass
class Seen:
    """What the connections of a server have in common."""

    replies: Replies
    disorder: list[bytes] = field(default_factory=list)
    open: set[asyncio.Transport] = field(default_factory=set)
    connections: int = 0
    _none_open: asyncio.Event = field(default_factory=asyncio.Event)

    def closed(self, transport: asyncio.Transport) -> None:
        self.open.discard(transport)
        if not self.open:
            self._none_open.set()

    async def end(self) -> None:
        for transport in self.open:
            transport.abort()
        self._none_open.clear()
        if self.open:
            await self._none_open.wait()


class OddServer(asyncio.Protocol):
    """One connection. Requests come one at a time; one that does not is `disorder`."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._replies = seen.replies
        self._disorder = seen.disorder
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._busy = False
        self._requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class
        self._seen.open.add(self._transport)
        self._seen.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._seen.closed(self._transport)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(HEAD_END)
        if not found:
            return
        match = re.match(rb"POST /([0-9]+) HTTP/1\.1\r\n", head)
        length = re.search(rb"content-length: ([0-9]+)$", head)
        if self._busy or not match or not length or len(body) > int(length[1]):
            self._disorder.append(self._buffer)
            return
        if len(body) == int(length[1]):
            self._buffer = b""
            self._busy = True
            self._requests += 1
            number = int(match[1])
            reply = self._replies.to(number)
            size = max(1, -(-len(reply.raw) // reply.pieces))
            pieces = [reply.raw[i : i + size] for i in range(0, len(reply.raw), size)]
            self._write(reply, pieces)

    def _write(self, reply: Reply, pieces: list[bytes]) -> None:
        transport = self._transport
        if transport is None:
            return
        loop = asyncio.get_running_loop()
        if pieces:
            if len(pieces) == 1:
                self._finish(reply)  # before the last bytes: the next request may come with them
            transport.write(pieces[0])
            if len(pieces) > 1:
                loop.call_soon(self._write, reply, pieces[1:])
                return
        else:
            self._finish(reply)
        if reply.late:
            loop.call_later(0.001, self._late, reply, self._requests)
        elif reply.then == "close":
            transport.close()
        elif reply.then == "reset":
            loop.call_soon(transport.abort)

    def _finish(self, reply: Reply) -> None:
        self._busy = reply.kind == "silent"

    def _late(self, reply: Reply, requests: int) -> None:
        """Bytes that nobody asked for, if no request is on its way."""
        if self._transport is not None and self._requests == requests:
            poll = select.poll()
            poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
            if not poll.poll(0):
                self._transport.write(reply.late)
                self._transport.close()
