"""pyrallel-consumer in order of the keys: its asyncio engine, its worker a POST.

The worker posts by aiohttp, or by the wire of relay: what is left then is what the library costs.
`key_hash` (the default) lets one message of a key run at a time, 256 of all keys together. What a
worker raises three times goes to a dead-letter topic, so the worker itself tries again until the
event is accepted. It needs Python 3.12 or later, and has an environment of its own for that.
"""

import asyncio
import contextlib
import functools
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import uvloop
from pyrallel_consumer.config import KafkaConfig
from pyrallel_consumer.consumer import PyrallelConsumer
from pyrallel_consumer.dto import ExecutionMode, OrderingMode, WorkItem

from bench.peers.activity import HEADERS, PATH, PAUSE_S, body_of
from bench.peers.posting import deliver
from relay.model import Request
from relay.stream.sending.open_wire import open_wire
from relay.stream.sending.token import StaticToken
from relay.stream.sending.wire import WirePolicy

Post = Callable[[bytes], Awaitable[None]]
OK = 200

AT_ONCE = 256
POLL = 100
"""Records in a poll: of 100, 200 and 1,000 the quickest."""
LONG_MS = 600_000


@contextlib.asynccontextmanager
async def by_aiohttp(url: str) -> AsyncIterator[Post]:
    """One shared session."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:
        yield functools.partial(deliver, session, url)


@contextlib.asynccontextmanager
async def by_relay(url: str) -> AsyncIterator[Post]:
    """Relay's own wire."""
    wire = open_wire(WirePolicy(base_url=url), StaticToken("api:token"))

    async def post(value: bytes) -> None:
        request = Request("POST", PATH, body_of(value))
        while (await wire.send(request)).status != OK:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(PAUSE_S)

    yield post
    await wire.close()


async def run(bootstrap: str, topic: str, group: str, url: str, wire: str) -> None:
    """Until SIGTERM."""
    config = KafkaConfig(BOOTSTRAP_SERVERS=[bootstrap], CONSUMER_GROUP=group, dlq_enabled=False)
    parallel = config.parallel_consumer
    parallel.poll_batch_size = POLL
    parallel.ordering_mode = OrderingMode.KEY_HASH
    parallel.execution.mode = ExecutionMode.ASYNC
    parallel.execution.max_in_flight = AT_ONCE
    parallel.execution.async_config.task_timeout_ms = LONG_MS
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (by_relay if wire == "relay" else by_aiohttp)(url) as post:

        async def work(item: WorkItem) -> None:
            await post(item.payload)

        consumer = PyrallelConsumer(config=config, worker=work, topic=topic)
        await consumer.start()
        await stop.wait()
        await consumer.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    uvloop.run(run(*sys.argv[1:6]))
