"""FastStream with faststream-concurrent-aiokafka: a task for each message, commits in batches.

Its middleware turns each message into a task and commits what is done without a gap. It knows no
keys, so there are two ways to run it: with one task at a time in the order of the partitions, or
with many in none. What a handler raises is committed all the same, so the handler itself tries
again until the event is accepted.
"""

import sys

import aiohttp
import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream_concurrent_aiokafka import (
    KafkaConcurrentProcessingMiddleware,
    initialize_concurrent_processing,
    stop_concurrent_processing,
)

from bench.peers.activity import HEADERS
from bench.peers.posting import deliver

COMMIT_AFTER = 1_000
COMMIT_AFTER_S = 1.0


async def run(bootstrap: str, topic: str, group: str, url: str, at_once: str) -> None:
    """Until SIGTERM."""
    broker = KafkaBroker(bootstrap, logger=None)
    broker.add_middleware(KafkaConcurrentProcessingMiddleware)
    app = FastStream(broker, logger=None)
    connector = aiohttp.TCPConnector(limit=256)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:

        async def handle(value: bytes) -> None:
            await deliver(session, url, value)

        broker.subscriber(
            topic,
            group_id=group,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            decoder=_raw,
        )(handle)

        @app.on_startup
        async def begin() -> None:
            await initialize_concurrent_processing(
                broker.context,
                concurrency_limit=int(at_once),
                commit_batch_size=COMMIT_AFTER,
                commit_batch_timeout_sec=COMMIT_AFTER_S,
            )

        @app.on_shutdown
        async def end() -> None:
            await stop_concurrent_processing(broker.context)

        await app.run()


async def _raw(message: KafkaMessage) -> bytes:
    return message.body


if __name__ == "__main__":
    uvloop.run(run(*sys.argv[1:6]))
