"""What only the wire of our own promises: connections that are of no use are closed in time."""

import asyncio
import contextlib
import dataclasses
import itertools
import socket

from relay.model import NoAnswer, Request
from relay.stream.sending.connection import FAILURES_IN_A_ROW
from relay.stream.sending.wire import WireKind
from tests.support.raw_http import Exchange, raw_server, response
from tests.support.wires import POST, TOKEN, assert_no_answer, wire_to

FAST = WireKind.FAST


async def test_what_follows_an_answer_is_never_the_answer_to_the_next_request():
    async def script(exchange: Exchange) -> None:
        second = response(200, b"nobody's")
        number = len(exchange.server.requests)
        await exchange.send(response(200, b"%d" % number) + second)

    async with raw_server(script) as server, wire_to(server.url, FAST) as wire:
        bodies = [(await wire.send(POST)).body for _ in range(4)]
        assert bodies == [b"1", b"2", b"3", b"4"]
        assert server.connections == 4


async def test_bytes_that_nobody_asked_for_end_an_idle_connection():
    async def script(exchange: Exchange) -> None:
        await exchange.respond(200, b"mine")
        await exchange.send(response(408, b"nobody's"))

    async with raw_server(script) as server, wire_to(server.url, FAST) as wire:
        assert (await wire.send(POST)).body == b"mine"
        await server.until(lambda s: s.ended == 1)
        assert (await wire.send(POST)).body == b"mine"


async def test_a_connection_that_fails_several_times_in_a_row_is_closed():
    statuses = itertools.chain([502, 200] * 5, [502] * FAILURES_IN_A_ROW, itertools.repeat(200))

    async with (
        raw_server(lambda e: e.respond(next(statuses))) as server,
        wire_to(server.url, FAST) as wire,
    ):
        for _ in range(10 + FAILURES_IN_A_ROW):
            await wire.send(POST)
        assert server.connections == 1
        assert (await wire.send(POST)).status == 200
        assert server.connections == 2


async def test_where_every_fourth_connection_is_bad_nearly_all_requests_succeed():
    async def script(exchange: Exchange) -> None:
        bad = exchange.seen.connection % 4 == 0
        await exchange.respond(502 if bad else 200)

    async with raw_server(script) as server, wire_to(server.url, FAST) as wire:
        failed = 0
        for _ in range(50):
            async with asyncio.TaskGroup() as group:
                sent = [group.create_task(wire.send(POST)) for _ in range(16)]
            failed += sum(task.result().status == 502 for task in sent)
        assert 0 < failed <= 12 * FAILURES_IN_A_ROW  # of 800
        assert server.open_now <= 16


async def test_an_old_connection_is_replaced_and_ages_are_spread():
    async with (
        raw_server() as server,
        wire_to(server.url, FAST, connection_max_age_s=0.05) as wire,
    ):
        while server.connections < 4:
            assert (await wire.send(POST)).status == 200
        assert len({seen.connection for seen in server.requests}) >= 3


async def test_an_old_connection_is_closed_also_when_it_is_idle():
    async with (
        raw_server() as server,
        wire_to(server.url, FAST, connection_max_age_s=0.05, keepalive_s=0.1) as wire,
    ):
        await wire.send(POST)
        await server.until(lambda s: s.ended == 1)


async def test_what_is_idle_for_too_long_is_closed():
    async with raw_server() as server, wire_to(server.url, FAST, keepalive_s=0.05) as wire:
        await wire.send(POST)
        await server.until(lambda s: s.ended == 1)
        assert (await wire.send(POST)).status == 200


async def test_the_connection_that_was_used_last_is_used_first():
    async def script(exchange: Exchange) -> None:
        if len(exchange.server.requests) <= 8:
            await exchange.server.until(lambda s: len(s.requests) >= 8)
        await exchange.respond()

    async with raw_server(script) as server, wire_to(server.url, FAST) as wire:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(wire.send(POST))
        for _ in range(20):
            await wire.send(POST)
        assert len({seen.connection for seen in server.requests[8:]}) == 1


async def test_those_that_wait_may_be_cancelled_and_the_others_get_their_turn():
    release = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await release.wait()
        await exchange.respond()

    async with (
        raw_server(script) as server,
        wire_to(server.url, FAST, connections_max=1) as wire,
        asyncio.TaskGroup() as group,
    ):
        sent = [group.create_task(wire.send(POST)) for _ in range(10)]
        await server.until(lambda s: len(s.requests) == 1)
        for task in sent[1::2]:
            task.cancel()
        release.set()
        await asyncio.wait(sent)
        assert [task.cancelled() for task in sent] == [False, True] * 5
        assert all(task.result().status == 200 for task in sent[::2])
        assert server.open_most == 1


async def test_a_server_that_closes_an_idle_connection_costs_nothing():
    async def script(exchange: Exchange) -> None:
        await exchange.respond()
        exchange.hang_up()

    async with raw_server(script) as server, wire_to(server.url, FAST) as wire:
        for number in range(1, 6):
            assert (await wire.send(POST)).status == 200
            await server.until(lambda s, ended=number: s.ended == ended)
            await asyncio.sleep(0.0)  # the loop looks at its sockets
            await asyncio.sleep(0.0)
        assert len(server.requests) == 5


async def test_a_server_that_closes_instead_of_answering_a_second_request_is_broken_with_a_hint():
    async def script(exchange: Exchange) -> None:
        if len(exchange.server.requests) == 1:
            await exchange.respond()
        else:
            exchange.hang_up()

    async with raw_server(script) as server, wire_to(server.url, FAST) as wire:
        assert (await wire.send(POST)).status == 200
        answer = await wire.send(POST)
        assert_no_answer(answer, NoAnswer.BROKEN, "tracking.keepalive_s")
        assert len(server.requests) == 2  # it was not sent again on its own


async def test_an_early_answer_to_a_large_request_counts_and_ends_the_connection():
    ended = asyncio.Event()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(413, b"too large"))
        with contextlib.suppress(OSError):
            await reader.read()
        writer.transport.abort()
        ended.set()

    large = Request("POST", "/", b"x" * 32_000_000)
    async with await asyncio.start_server(early, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with wire_to(url, FAST) as wire:
            answer = await wire.send(large)
            assert (answer.status, answer.body) == (413, b"too large")
            await ended.wait()


async def test_closing_ends_what_is_still_connecting_at_once():
    async with (
        raw_server() as plain,  # takes the connection and shakes no hands
        wire_to(f"https://127.0.0.1:{plain.port}", FAST) as wire,
    ):
        async with asyncio.TaskGroup() as group:
            sent = group.create_task(wire.send(POST))
            await plain.until(lambda s: s.open_now == 1)
            await wire.close()
        assert_no_answer(sent.result(), NoAnswer.BROKEN, "the wire is closed")


async def test_a_change_of_protocol_is_refused():
    raw = b"HTTP/1.1 101 Switching\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\nxxx"
    async with raw_server(lambda e: e.send(raw)) as server, wire_to(server.url, FAST) as wire:
        assert_no_answer(await wire.send(POST), NoAnswer.BROKEN, "101")


async def test_the_next_address_is_tried_when_one_refuses(monkeypatch):
    loop = asyncio.get_running_loop()

    async def two(*_args, **_kwargs):
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*stream, ("127.0.0.9", 0)), (*stream, ("127.0.0.1", 0))]

    async with raw_server() as server:
        # Nobody listens at 127.0.0.9.
        monkeypatch.setattr(loop, "getaddrinfo", _only_for("two.invalid", two, loop.getaddrinfo))
        async with wire_to(f"http://two.invalid:{server.port}", FAST) as wire:
            assert (await wire.send(POST)).status == 200
            assert server.requests[0].headers["host"] == f"two.invalid:{server.port}"


async def test_a_name_that_moves_is_followed_when_connections_are_renewed(monkeypatch):
    loop = asyncio.get_running_loop()
    at = "127.0.0.1"

    async def where(*_args, **_kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, 0))]

    async with raw_server() as old:
        monkeypatch.setattr(
            loop, "getaddrinfo", _only_for("moves.invalid", where, loop.getaddrinfo)
        )
        monkeypatch.setattr("relay.stream.sending.dialing._FRESH_S", 0.0)
        moved = dataclasses.replace(old, requests=[], connections=0)
        async with await asyncio.start_server(moved.serve, "127.0.0.2", old.port):
            async with wire_to(
                f"http://moves.invalid:{old.port}", FAST, connection_max_age_s=0.02
            ) as wire:
                await wire.send(POST)
                at = "127.0.0.2"
                while not moved.requests:
                    assert (await wire.send(POST)).status == 200
                before = len(old.requests)
                assert (await wire.send(POST)).status == 200
                assert len(old.requests) == before
            await moved.until(lambda s: s.open_now == 0)


def _only_for(name, found, otherwise):
    def getaddrinfo(host, *args, **kwargs):
        return (found if host == name else otherwise)(host, *args, **kwargs)

    return getaddrinfo


async def test_a_defect_in_reading_is_an_answer_and_not_an_exception(monkeypatch):
    def defect(*_):
        raise KeyError(TOKEN)

    monkeypatch.setattr("relay.stream.sending.http1.ResponseReader.feed", defect)
    async with raw_server() as server, wire_to(server.url, FAST) as wire:
        assert_no_answer(await wire.send(POST), NoAnswer.BROKEN, "defect")


async def test_a_head_that_was_read_before_is_told_from_one_that_only_looks_like_it():
    """The same bytes up to the empty line, and then fewer, more, or other bytes of body."""
    bodies = itertools.cycle([b"0123456789", b"abcdefghij"])
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    raws = [head + next(bodies) for _ in range(3)]
    raws += [head + b"short", head + b"0123456789" + raws[0], head + b"9876543210"]

    async def script(exchange: Exchange) -> None:
        await exchange.send(raws[len(exchange.server.requests) - 1])
        if raws[len(exchange.server.requests) - 1].endswith(b"short"):
            exchange.hang_up()

    async with raw_server(script) as server, wire_to(server.url, FAST) as wire:
        answers = [await wire.send(POST) for _ in raws]
    assert [answer.body for answer in answers] == [
        b"0123456789", b"abcdefghij", b"0123456789", b"", b"0123456789", b"9876543210",
    ]  # fmt: skip
    assert answers[3].no_answer is NoAnswer.BROKEN
    assert server.connections == 3
