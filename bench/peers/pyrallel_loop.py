"""pyrallel-consumer in order of the keys: its asyncio engine, its worker a POST by aiohttp.

`key_hash` (the default) lets one message of a key run at a time, 256 of all keys together. What a
worker raises three times goes to a dead-letter topic, so the worker itself tries again until the
event is accepted. It needs Python 3.12 or later, and has an environment of its own for that.
"""

import asyncio
import logging
import signal
import sys

import aiohttp
import uvloop
from pyrallel_consumer.config import KafkaConfig
from pyrallel_consumer.consumer import PyrallelConsumer
from pyrallel_consumer.dto import ExecutionMode, OrderingMode, WorkItem

from bench.peers.activity import HEADERS
from bench.peers.posting import deliver

AT_ONCE = 256
POLL = 100
"""Records in a poll: of 100, 200 and 1,000 the quickest."""
LONG_MS = 600_000


async def run(bootstrap: str, topic: str, group: str, url: str, mode: str) -> None:
    """Until SIGTERM."""
    config = KafkaConfig(BOOTSTRAP_SERVERS=[bootstrap], CONSUMER_GROUP=group, dlq_enabled=False)
    parallel = config.parallel_consumer
    parallel.poll_batch_size = POLL
    parallel.ordering_mode = OrderingMode(mode)
    parallel.execution.mode = ExecutionMode.ASYNC
    parallel.execution.max_in_flight = AT_ONCE
    parallel.execution.async_config.task_timeout_ms = LONG_MS
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:

        async def work(item: WorkItem) -> None:
            await deliver(session, url, item.payload)

        consumer = PyrallelConsumer(config=config, worker=work, topic=topic)
        await consumer.start()
        await stop.wait()
        await consumer.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    uvloop.run(run(*sys.argv[1:6]))
