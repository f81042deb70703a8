"""The wire's contract, over real sockets, the same for both implementations."""

import asyncio
import gzip
import socket
import zlib

import pytest

from relay.model import NoAnswer, Request
from relay.stream.sending.pacing import asked_pause_s
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import WireKind
from tests.support.raw_http import OK_BODY, Exchange, raw_server, response
from tests.support.wires import POST, TOKEN, assert_no_answer, wire_to


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


HEAD_OF_TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


# --- what is sent and what comes back ---


async def test_a_request_arrives_as_it_was_given(kind):
    async with raw_server() as server, wire_to(server.url + "/base/", kind) as wire:
        answer = await wire.send(Request("PUT", "/v1/x?y=%2F", b"\x00body"))
        seen = server.requests[0]
        assert answer.status == 200
        assert (seen.method, seen.target, seen.body) == ("PUT", "/base/v1/x?y=%2F", b"\x00body")
        assert seen.headers["authorization"] == TOKEN
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["content-length"] == "5"
        assert seen.headers["accept-encoding"] == "gzip"
        assert seen.headers["user-agent"].startswith("mics-relay/")
        assert "cookie" not in seen.headers


async def test_an_answer_carries_status_lower_case_headers_and_body(kind):
    async def script(exchange: Exchange) -> None:
        headers = (
            ("Retry-After", "7"),
            ("X-RateLimit-Remaining", "0"),
            ("Vary", "a"),
            ("vary", "b"),
        )
        await exchange.respond(429, b'{"status":"error"}', headers)

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        answer = await wire.send(POST)
        assert (answer.status, answer.body, answer.no_answer) == (429, b'{"status":"error"}', None)
        assert answer.headers["retry-after"] == "7"
        assert answer.headers["x-ratelimit-remaining"] == "0"
        assert answer.headers["vary"] == "a, b"
        assert all(name == name.lower() for name in answer.headers)


async def test_a_header_outside_ascii_is_left_out_and_the_others_stay(kind):
    raw = b"HTTP/1.1 200 OK\r\nX-City: Orl\xe9ans\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nok"

    async with raw_server(lambda e: e.send(raw)) as server, wire_to(server.url, kind) as wire:
        answer = await wire.send(POST)
        assert (answer.status, answer.body) == (200, b"ok")
        assert answer.headers["retry-after"] == "3"
        assert "x-city" not in answer.headers


async def test_a_redirect_is_the_answer_and_is_not_followed(kind):
    async with raw_server() as elsewhere:

        async def script(exchange: Exchange) -> None:
            await exchange.respond(302, b"", (("Location", elsewhere.url + "/stolen"),))

        async with raw_server(script) as server, wire_to(server.url, kind) as wire:
            assert (await wire.send(POST)).status == 302
            assert len(server.requests) == 1
            assert elsewhere.connections == 0


@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_body_may_come_chunked_and_dripped(kind, pieces):
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(pieces):
            await exchange.send(b"2\r\n%02d\r\n" % number)
            await asyncio.sleep(0)
        await exchange.send(b"0\r\n\r\n")

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        for _ in range(2):
            answer = await wire.send(POST)
            assert answer.body == b"".join(b"%02d" % number for number in range(pieces))
        assert server.connections == 1


async def test_a_gzip_body_is_unpacked(kind):
    async def script(exchange: Exchange) -> None:
        await exchange.respond(
            200, gzip.compress(b"x" * 5000, mtime=0), (("Content-Encoding", "gzip"),)
        )

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        assert (await wire.send(POST)).body == b"x" * 5000


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_is_whole(kind, status):
    raw = b"HTTP/1.1 %d No Body\r\n\r\n" % status

    async with raw_server(lambda e: e.send(raw)) as server, wire_to(server.url, kind) as wire:
        assert [(await wire.send(POST)).status for _ in range(2)] == [status, status]
        assert server.connections == 1


# --- why there is no answer ---


async def test_a_refused_connection_is_connect(kind):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses, and nobody takes it
        async with wire_to(f"http://127.0.0.1:{taken.getsockname()[1]}", kind) as wire:
            assert_no_answer(await wire.send(POST), NoAnswer.CONNECT, "refused", "attempts failed")


async def test_an_unknown_name_is_connect(kind):
    async with wire_to("http://relay.invalid", kind) as wire:
        assert_no_answer(await wire.send(POST), NoAnswer.CONNECT, "name or service", "dns")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        HEAD_OF_TEN + b"xxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\nxxx",
    ],
    ids=["nothing", "in the head", "in the body", "in a chunk"],
)
@pytest.mark.parametrize("how", ["cut", "hang_up"])
async def test_a_connection_that_ends_before_the_answer_does_is_broken(kind, raw, how):
    async def script(exchange: Exchange) -> None:
        await exchange.send(raw)
        getattr(exchange, how)()

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        answer = await wire.send(POST)
        assert (answer.no_answer, answer.status) == (NoAnswer.BROKEN, 0)
        assert answer.detail
        assert POST.path not in answer.detail


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        response(200, b"not gzip", (("Content-Encoding", "gzip"),)),
    ],
    ids=["another protocol", "no status", "no chunk", "no gzip"],
)
async def test_garbage_is_broken(kind, raw):
    async with raw_server(lambda e: e.send(raw)) as server, wire_to(server.url, kind) as wire:
        answer = await wire.send(POST)
        assert (answer.no_answer, answer.status) == (NoAnswer.BROKEN, 0)
        assert answer.detail


@pytest.mark.parametrize("raw", [b"", HEAD_OF_TEN, HEAD_OF_TEN + b"x"])
async def test_silence_is_a_timeout_of_the_answer(kind, raw):
    async with (
        raw_server(lambda e: e.send(raw)) as server,
        wire_to(server.url, kind, read_timeout_s=0.05) as wire,
    ):
        answer = await wire.send(POST)
        assert_no_answer(answer, NoAnswer.TIMEOUT, "answer (tracking.read_timeout_s)")


async def test_a_body_that_drips_for_ever_ends_with_the_total(kind):
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            await exchange.send(b"x")
            await asyncio.sleep(0.01)

    async with (
        raw_server(script) as server,
        wire_to(server.url, kind, total_timeout_s=0.2, read_timeout_s=0.2) as wire,
    ):
        assert_no_answer(await wire.send(POST), NoAnswer.TIMEOUT, "tracking.total_timeout_s")
        await server.until(lambda s: s.ended == 1)


async def test_a_handshake_that_nobody_answers_is_a_timeout(kind):
    with socket.socket() as full, socket.socket() as first:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        first.connect(full.getsockname())  # fills the backlog: the next one gets no answer
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        async with wire_to(url, kind, connect_timeout_s=0.05) as wire:
            answers = [await wire.send(POST) for _ in range(2)]
            assert_no_answer(answers[-1], NoAnswer.TIMEOUT, "tracking.connect_timeout_s")


@pytest.mark.parametrize("head", [b"Content-Length: 5000", b"Transfer-Encoding: chunked"])
async def test_a_body_above_the_ceiling_is_cut_there_and_not_read_on(kind, head):
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n" + head + b"\r\n\r\n")
        if b"chunked" in head:
            await exchange.send(b"1388\r\n" + b"x" * 5000 + b"\r\n")
        else:
            await exchange.send(b"x" * 4999)

    async with (
        raw_server(script) as server,
        wire_to(server.url, kind, response_bytes_max=1024) as wire,
    ):
        answer = await wire.send(POST)
        assert (answer.status, answer.cut, answer.no_answer) == (503, True, None)
        assert "1024 bytes (tracking.response_bytes_max)" in answer.detail
        assert answer.body == b"x" * 1024
        assert answer.headers["retry-after"] == "3"
        await server.until(lambda s: s.ended == 1)


async def test_a_body_exactly_at_the_ceiling_is_an_answer(kind):
    async with (
        raw_server(lambda e: e.respond(200, b"x" * 1024)) as server,
        wire_to(server.url, kind, response_bytes_max=1024) as wire,
    ):
        assert (await wire.send(POST)).body == b"x" * 1024


# --- what may be odd about an answer ---


async def test_more_than_a_hundred_headers_are_an_answer(kind):
    many = tuple((f"X-Header-{number}", "x" * 50) for number in range(300))

    async with (
        raw_server(lambda e: e.respond(200, b"ok", many)) as server,
        wire_to(server.url, kind) as wire,
    ):
        for _ in range(2):
            answer = await wire.send(POST)
            assert (answer.status, answer.body) == (200, b"ok")
            assert answer.headers["x-header-299"] == "x" * 50
        assert server.connections == 1


async def test_headers_without_end_are_given_up(kind):
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await exchange.send(b"X-More: " + b"x" * 1000 + b"\r\n")

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        answer = await wire.send(POST)
        assert answer.no_answer in (NoAnswer.TOO_LARGE, NoAnswer.BROKEN)
        assert answer.detail
        await server.until(lambda s: s.ended == 1)


async def test_two_headers_that_ask_to_wait_both_reach_whoever_reads_them(kind):
    headers = (("Retry-After", "2"), ("Retry-After", "4"))

    async with (
        raw_server(lambda e: e.respond(429, b"", headers)) as server,
        wire_to(server.url, kind) as wire,
    ):
        answer = await wire.send(POST)
        assert answer.headers["retry-after"] == "2, 4"
        assert asked_pause_s(answer, 0) == 4.0


async def test_interim_answers_are_read_past(kind):
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await exchange.send(b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n")
        await exchange.respond(201, b"made")

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        for _ in range(2):
            answer = await wire.send(POST)
            assert (answer.status, answer.body) == (201, b"made")
            assert "retry-after" not in answer.headers
        assert server.connections == 1


async def test_trailers_are_no_headers(kind):
    raw = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2;name=value\r\nok\r\n0\r\nRetry-After: 9\r\n\r\n"
    )
    async with raw_server(lambda e: e.send(raw)) as server, wire_to(server.url, kind) as wire:
        for _ in range(2):
            answer = await wire.send(POST)
            assert (answer.status, answer.body) == (200, b"ok")
            assert "retry-after" not in answer.headers
        assert server.connections == 1


async def test_the_answer_to_head_has_no_body_whatever_its_length_says(kind):
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"

    async with raw_server(lambda e: e.send(raw)) as server, wire_to(server.url, kind) as wire:
        for _ in range(2):
            answer = await wire.send(Request("HEAD", "/", b""))
            assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("packed", [zlib.compress(b"x" * 5000), _raw_deflate(b"x" * 5000)])
async def test_a_deflate_body_is_unpacked(kind, packed):
    async with (
        raw_server(lambda e: e.respond(200, packed, (("Content-Encoding", "deflate"),))) as server,
        wire_to(server.url, kind) as wire,
    ):
        assert (await wire.send(POST)).body == b"x" * 5000


async def test_a_body_that_grows_without_end_when_unpacked_is_cut(kind):
    bomb = gzip.compress(b"0" * 20_000_000, mtime=0)

    async with (
        raw_server(lambda e: e.respond(200, bomb, (("Content-Encoding", "gzip"),))) as server,
        wire_to(server.url, kind, response_bytes_max=32 * 1024) as wire,
    ):
        answer = await wire.send(POST)
        assert (answer.status, answer.cut) == (200, True)
        assert answer.body == b"0" * 32 * 1024


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2",
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: +2",
        b"Content-Length: 2, 3",
        b"Content-Length: 0x2",
    ],
)
async def test_lengths_that_contradict_each_other_are_refused(kind, lengths):
    raw = b"HTTP/1.1 200 OK\r\n" + lengths + b"\r\n\r\n2\r\nok\r\n0\r\n\r\n"

    async def script(exchange: Exchange) -> None:
        await (exchange.send(raw) if len(exchange.server.requests) == 1 else exchange.respond())

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        first = await wire.send(POST)
        if kind is WireKind.FAST or b"Transfer" not in lengths:  # h11 takes chunked for both
            assert (first.no_answer, first.status) == (NoAnswer.BROKEN, 0)
        second = await wire.send(POST)
        assert second.body == OK_BODY


@pytest.mark.parametrize("odd", ["/a b", "/a\r\nX-Evil: 1", "/a\n", "/\u00e9", "/a\x00"])
async def test_a_path_cannot_bring_in_a_header_or_another_request(kind, odd):
    async with raw_server() as server, wire_to(server.url, kind) as wire:
        answer = await wire.send(Request("POST", odd, b"{}"))
        assert (answer.status, answer.no_answer) == (0, NoAnswer.BROKEN)
        assert "path" in answer.detail
        assert odd not in answer.detail
        assert server.requests == []


async def test_a_token_cannot_bring_in_a_header(kind):
    evil = StaticToken("token\r\nX-Evil: 1")
    async with raw_server() as server, wire_to(server.url, kind, authorization=evil) as wire:
        answer = await wire.send(POST)
        assert (answer.status, answer.no_answer) == (0, NoAnswer.BROKEN)
        assert answer.detail.endswith("the token holds a character that no header may hold")
        assert server.requests == []
