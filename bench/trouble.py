"""What trouble with a part of the API costs the rest: events a second, with it and without.

    python -m bench.trouble [--seconds 8]

A server in the same process answers over real HTTP after 50 ms. Some of it misbehaves. The engine,
its tasks and the wire are those of `relay run`; there is no Kafka. The first three seconds, in
which connections are made and the limit grows, are counted by themselves; `share` is of the first
row. Runs with every version of Relay whose engine takes the same parts, so that figures before and
after a change can be compared.
"""

import argparse
import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.raw_http import Exchange, Seen, raw_server
from tests.support.trouble import Stream, stream

_JSON = ("content-type", "application/json")
_TOO_MANY = b'{"status":"error","error":"Too Many Requests"}'
_PAGE = b"<html><body>Request blocked</body></html>"
_LATENCY_S = 0.05
_FIRST_S = 3.0
"""Connections, the limit, and the connections that are found to be bad."""
_BACKLOG = 3_000
_USERS = 500

Reply = tuple[int, bytes, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Row:
    """One kind of trouble: which requests it is about, what they get, and what is fed beside."""

    name: str
    special: Callable[[Seen], bool]
    reply: Reply
    first: tuple[str, ...] = ()
    points: bool = False


def rows() -> Iterator[Row]:
    """The rows of the table."""
    counts = itertools.count(1)

    def bad(seen: Seen) -> bool:
        return b'"n":"bad"' in seen.body

    def wait(seconds: int) -> Reply:
        return 429, _TOO_MANY, (_JSON, ("Retry-After", str(seconds)))

    yield Row("undisturbed", lambda _: False, wait(1))
    yield Row("429, Retry-After 30 for one body", bad, wait(30), ("x bad",))
    yield Row("429, Retry-After 2 on user points", lambda s: s.method == "PUT", wait(2), (), True)
    yield Row("429, Retry-After 1 for 1 in 200", lambda _: next(counts) % 200 == 0, wait(1))
    yield Row("403 with a page for one body", bad, (403, _PAGE, ()), ("x bad",))
    yield Row("405 for one body", bad, (405, b"", ()), ("x bad",))
    yield Row("502 on every fourth connection", lambda s: s.connection % 4 == 0, (502, _PAGE, ()))
    refused = b'{"status":"error","error":"no"}'
    yield Row("200 with status error for all", lambda _: True, (200, refused, (_JSON,)))


def _script(row: Row) -> Callable[[Exchange], Awaitable[None]]:
    async def script(exchange: Exchange) -> None:
        if row.special(exchange.seen):
            await exchange.respond(*row.reply)
        else:
            await asyncio.sleep(_LATENCY_S)
            await exchange.respond()

    return script


class Measured(NamedTuple):
    """Events a second in the first seconds and after them, and the rest of the line."""

    first: float
    then: float
    about: str


async def measured(row: Row, seconds: float) -> Measured:
    """Run one row."""
    async with raw_server(_script(row)) as server, stream(server.url) as made:
        numbers = itertools.count()
        made.feed(*row.first)
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(_feed(made, numbers, points=row.points))
            first = await _rate(made, _FIRST_S)
            then = await _rate(made, seconds)
            feeding.cancel()
        gate = made.engine.sender.destination.gate
        letters, limit = len(made.letters), made.engine.sender.destination.limit.value
    return Measured(first, then, f"{letters:8} {limit:6} {gate.state:>8}")


async def _rate(made: Stream, seconds: float) -> float:
    before, began = made.delivered, made.now
    await asyncio.sleep(seconds)
    return (made.delivered - before) / (made.now - began)


async def _feed(made: Stream, numbers: Iterator[int], *, points: bool) -> None:
    """Keep enough waiting. User points are other users', one for ten activities."""
    while True:
        while made.engine.sender.lanes.waiting < _BACKLOG:
            number = next(numbers)
            made.feed(*(f"u{(number * 20 + i) % _USERS} {number}" for i in range(20)))
            if points and number < _USERS:
                made.feed(f"p{number} {number}")
        await asyncio.sleep(0.02)


async def _all(seconds: float) -> None:
    head = f"{'first':>9} {'then':>9} {'share':>6} {'letters':>8} {'limit':>6} {'gate':>8}"
    print(f"{'events a second':36} {head}")
    undisturbed = 0.0
    for row in rows():
        found = await measured(row, seconds)
        undisturbed = undisturbed or found.then
        share = found.then / undisturbed
        line = f"{row.name:36} {found.first:9.0f} {found.then:9.0f} {share:6.0%} {found.about}"
        print(line, flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.trouble", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    asyncio.run(_all(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
