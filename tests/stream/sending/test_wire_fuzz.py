"""Servers that answer in every way, good and bad, against the wire of our own.

Laws, for any seed: `send` never raises; a well-formed answer comes back as it is; whatever else
comes back is no answer to another request; nothing hangs; no connection is left behind, and no
request is written behind one that has no answer yet.
"""

import asyncio
import collections
import functools
import random

import pytest
import uvloop

from relay.model import Answer, NoAnswer, Request
from relay.stream.sending.wire import WireKind
from tests.support.odd_http import OddServer, Replies, Seen
from tests.support.wires import wire_to

LIMITS = {
    "read_timeout_s": 2.0,
    "write_timeout_s": 2.0,
    "total_timeout_s": 60.0,
    "keepalive_s": 0.05,
    "connection_max_age_s": 0.5,
    "response_bytes_max": 32 * 1024,
    "connections_max": 24,
}
HANG_S = 300
CANCELLED = 0.01
STALL_S = 1.0


class Stalls:
    """Counts how often the event loop, and with it the server, stood still for a while."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.count = 0
        self._loop = loop
        self._at = loop.time()
        self._tick()

    def _tick(self) -> None:
        now = self._loop.time()
        self.count += now - self._at > STALL_S
        self._at = now
        self._timer = self._loop.call_later(STALL_S / 10, self._tick)

    def stop(self) -> None:
        self._timer.cancel()


async def storm(seed: int, count: int) -> collections.Counter[str]:
    """Send `count` requests; how many were answered in which way. Raises where a law is broken."""
    loop = asyncio.get_running_loop()
    # uvloop writes at the end of a turn of the loop. What a server in the same loop sends until
    # then comes after the wire has looked, and before the request: nobody can tell it apart.
    replies = Replies(seed, late=not isinstance(loop, uvloop.Loop))
    rng = random.Random(seed)
    seen = Seen(replies)
    outcomes: collections.Counter[str] = collections.Counter()
    server = await loop.create_server(
        functools.partial(OddServer, seen), "127.0.0.1", 0, backlog=1024
    )
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    left = iter(range(count))
    stalls = Stalls(loop)

    async def sender(wire) -> None:
        for number in left:
            request = Request("POST", f"/{number}", b"x" * rng.choice([0, 10, 600]))
            if rng.random() < CANCELLED:
                sending = loop.create_task(wire.send(request))
                loop.call_soon(sending.cancel)
                await asyncio.wait([sending])
                outcomes["cancelled"] += 1
                continue
            before = stalls.count
            async with asyncio.timeout(HANG_S):
                answer = await wire.send(request)
            if answer.no_answer is NoAnswer.TIMEOUT and stalls.count > before:
                outcomes["stalled"] += 1  # says nothing about the wire
            else:
                check(replies, number, answer, outcomes)

    async with server:
        async with wire_to(url, WireKind.FAST, **LIMITS) as wire, asyncio.TaskGroup() as senders:
            for _ in range(32):
                senders.create_task(sender(wire))
        await seen.end()
    stalls.stop()
    assert seen.disorder == [], "a request was written where none may be"
    return outcomes


def check(
    replies: Replies, number: int, answer: Answer, outcomes: collections.Counter[str]
) -> None:
    reply = replies.to(number)
    stale = answer.status == 0 and "closed the connection instead of answering" in answer.detail
    # A server that closes without a word, as the next request is sent: nothing came of this one.
    fits = reply.fits(answer, number) or (reply.exact and stale)
    assert fits, f"request {number} ({reply.kind}): {answer!r} {answer.body[:80]!r}"
    assert answer.status or answer.detail
    outcomes[f"{reply.kind}: {answer.no_answer or 'answer'}"] += 1
    outcomes["exact"] += reply.exact
    outcomes["stale"] += stale and reply.exact


@pytest.mark.parametrize("seed", range(3))
async def test_no_answer_goes_to_another_request_whatever_the_server_does(seed):
    outcomes = await storm(seed, 600)
    assert outcomes["exact"] > 300
    assert outcomes["stale"] < outcomes["exact"] / 10
    kinds = {outcome.partition(":")[0] for outcome in outcomes}
    assert kinds >= {"length", "chunked", "eof", "packed", "cut", "flipped"}


def test_the_same_holds_in_the_loop_that_relay_runs_in():
    assert uvloop.run(storm(17, 600))["exact"] > 300


@pytest.mark.storm(cases=1)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(10))
def test_it_holds_for_a_million_answers(part):
    outcomes = (uvloop.run if part % 2 else asyncio.run)(storm(1000 + part, 100_000))
    assert outcomes["exact"] > 50_000
