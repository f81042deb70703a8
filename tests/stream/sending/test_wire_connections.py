"""The wire's connections, cancellation and end, the same for both implementations."""

import asyncio
import socket
import sys

import pytest

from relay.model import Answer, NoAnswer, Request
from tests.support.raw_http import OK_BODY, Exchange, raw_server, response
from tests.support.wires import POST, TOKEN, assert_no_answer, wire_to


async def hold(exchange: Exchange) -> None:
    """Never answers; ends when the client gives up."""
    await exchange.reader.read(1)


async def together(wire, count: int) -> list[Answer]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wire.send(POST)) for _ in range(count)]
    return [task.result() for task in tasks]


async def test_a_connection_is_kept_and_used_again(kind):
    async with raw_server() as server, wire_to(server.url, kind) as wire:
        for _ in range(10):
            assert (await wire.send(POST)).status == 200
        assert (len(server.requests), server.connections) == (10, 1)


async def test_a_connection_that_the_server_gives_up_is_not_used_again(kind):
    raw = response(200, OK_BODY, (("Connection", "close"),))

    async def script(exchange: Exchange) -> None:
        await exchange.send(raw)
        exchange.hang_up()

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        assert [(await wire.send(POST)).status for _ in range(3)] == [200] * 3
        assert server.connections == 3


async def test_a_body_that_ends_with_the_connection_is_whole(kind):
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.0 200 OK\r\n\r\n" + OK_BODY)
        exchange.hang_up()

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        assert (await wire.send(POST)).body == OK_BODY


async def test_two_hundred_requests_fly_together_and_keep_their_connections(kind):
    async def script(exchange: Exchange) -> None:
        await exchange.server.until(lambda s: len(s.requests) >= 200)
        await exchange.respond(200, exchange.seen.target.encode())

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        async with asyncio.TaskGroup() as group:
            tasks = {
                f"/{number}": group.create_task(wire.send(Request("POST", f"/{number}", b"{}")))
                for number in range(200)
            }
        assert {task.result().body.decode() for task in tasks.values()} == set(tasks)
        assert all(task.result().body.decode() == path for path, task in tasks.items())
        await together(wire, 20)
        assert server.connections == server.open_now == 200


async def test_no_more_connections_are_open_than_the_ceiling(kind):
    async def script(exchange: Exchange) -> None:
        await exchange.server.until(lambda s: s.open_now == 3)
        await exchange.respond()

    async with raw_server(script) as server, wire_to(server.url, kind, connections_max=3) as wire:
        assert [answer.status for answer in await together(wire, 20)] == [200] * 20
        assert server.open_most == 3


async def test_waiting_for_a_connection_counts_into_the_total(kind):
    async with (
        raw_server(hold) as server,
        wire_to(server.url, kind, connections_max=1, total_timeout_s=0.2) as wire,
    ):
        for answer in await together(wire, 3):
            assert_no_answer(answer, NoAnswer.TIMEOUT, "total", "timeout", "timed out")
        assert server.open_most == 1


async def test_a_cancelled_request_is_closed_and_makes_room(kind):
    async def script(exchange: Exchange) -> None:
        await (hold(exchange) if len(exchange.server.requests) == 1 else exchange.respond())

    async with (
        raw_server(script) as server,
        wire_to(server.url, kind, connections_max=1) as wire,
        asyncio.TaskGroup() as group,
    ):
        held = group.create_task(wire.send(POST))
        await server.until(lambda s: len(s.requests) == 1)
        waiting = group.create_task(wire.send(POST))
        held.cancel()
        assert (await waiting).status == 200
        await server.until(lambda s: s.ended == 1)


async def test_a_cancellation_is_never_lost_to_an_answer_that_comes_at_the_same_time(kind):
    async def until_told(wire, enough: asyncio.Event) -> None:
        while not enough.is_set():
            await wire.send(POST)

    async with raw_server() as server, wire_to(server.url, kind) as wire:
        for round_ in range(1, 4):
            enough = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(until_told(wire, enough)) for _ in range(32)]
                await server.until(lambda s, least=round_ * 100: len(s.requests) > least)
                for task in tasks:
                    task.cancel()
                enough.set()
            assert [task.cancelled() for task in tasks] == [True] * 32


async def test_a_deadline_around_an_attempt_ends_it(kind):
    async with raw_server(hold) as server, wire_to(server.url, kind) as wire:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await wire.send(POST)


async def test_closing_answers_what_is_in_flight_as_broken(kind):
    async with raw_server(hold) as server, wire_to(server.url, kind) as wire:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(wire.send(POST)) for _ in range(5)]
            await server.until(lambda s: len(s.requests) == 5)
            await wire.close()
        for task in tasks:
            assert_no_answer(task.result(), NoAnswer.BROKEN, "the wire is closed")
        await server.until(lambda s: s.open_now == 0)


async def test_closing_answers_what_waits_for_a_connection_as_broken(kind):
    async with raw_server(hold) as server, wire_to(server.url, kind, connections_max=1) as wire:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(wire.send(POST)) for _ in range(3)]
            await server.until(lambda s: len(s.requests) == 1)
            await wire.close()
        for task in tasks:
            assert_no_answer(task.result(), NoAnswer.BROKEN, "the wire is closed")
        assert len(server.requests) == 1


async def test_a_closed_wire_answers_broken_and_closes_again(kind):
    async with raw_server() as server, wire_to(server.url, kind) as wire:
        await wire.send(POST)
        await wire.close()
        assert_no_answer(await wire.send(POST), NoAnswer.BROKEN, "the wire is closed")
        assert len(server.requests) == 1
        await wire.close()


async def test_a_write_that_stalls_is_a_timeout(kind):
    large = Request("POST", "/", b"x" * 32_000_000)  # more than two sockets can hold
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)  # the kernel takes the connection; nobody ever reads from it
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        async with wire_to(url, kind, write_timeout_s=0.2, read_timeout_s=0.2) as wire:
            assert_no_answer(await wire.send(large), NoAnswer.TIMEOUT, "timeout", "timed out")


async def test_the_environment_names_no_proxy_for_us(kind, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with raw_server() as server, wire_to(server.url, kind) as wire:
        assert (await wire.send(POST)).status == 200


async def test_nothing_that_can_be_printed_holds_the_token(kind, capfd):
    async def script(exchange: Exchange) -> None:
        await exchange.respond(401, b"{}")

    async with raw_server(script) as server, wire_to(server.url, kind) as wire:
        answer = await wire.send(POST)
        assert answer.status == 401
        assert TOKEN not in f"{wire!r} {vars(wire)!r} {answer!r}"
    captured = capfd.readouterr()
    assert TOKEN not in captured.out + captured.err


async def test_why_a_token_may_be_out_of_date_stands_in_the_answer_that_refuses_it(kind):
    class Stale:
        problem = "cannot read the token file /run/token: Permission denied"

        def header(self, now: float) -> str:
            return TOKEN

    async def script(exchange: Exchange) -> None:
        await exchange.respond(401, b"{}")

    async with (
        raw_server(script) as server,
        wire_to(server.url, kind, authorization=Stale()) as wire,
    ):
        answer = await wire.send(POST)
        assert (answer.status, answer.no_answer) == (401, None)
        assert answer.detail == Stale.problem


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop does not run there")
def test_the_same_under_uvloop(kind):
    import uvloop  # noqa: PLC0415 - not there on every platform

    async def main() -> list[int]:
        async with raw_server() as server, wire_to(server.url, kind) as wire:
            return [answer.status for answer in await together(wire, 50)]

    assert uvloop.run(main()) == [200] * 50
