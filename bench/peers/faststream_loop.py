"""FastStream (aiokafka) and one shared aiohttp session: each message becomes a POST.

ordered: `AckPolicy.ACK` with twelve workers, which FastStream turns into twelve consumers of the
group that each handle one message after another: order per partition, at least once. ACK commits
also when the handler raised, so the handler itself tries again until the event is accepted.

unordered: `max_workers` with the default ACK_FIRST, one consumer and 64 handlers at once: what its
documentation offers for speed. It is at most once.
"""

import asyncio
import sys

import aiohttp
import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from bench.peers.activity import HEADERS, PATH, PAUSE_S, body_of


async def run(bootstrap: str, topic: str, group: str, url: str, *, ordered: bool) -> None:
    """Until SIGTERM."""
    broker = KafkaBroker(bootstrap, logger=None)
    app = FastStream(broker, logger=None)
    connector = aiohttp.TCPConnector(limit=256)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:

        @broker.subscriber(
            topic,
            group_id=group,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.ACK if ordered else AckPolicy.ACK_FIRST,
            max_workers=12 if ordered else 64,
            # The bytes as they came: FastStream would validate them into the handler's type.
            decoder=_raw,
        )
        async def deliver(value: bytes) -> None:
            body = body_of(value)
            while True:
                try:
                    async with session.post(url + PATH, data=body) as response:
                        await response.read()
                        if response.ok:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(PAUSE_S)

        await app.run()


async def _raw(message: KafkaMessage) -> bytes:
    return bytes(message.body)


if __name__ == "__main__":
    uvloop.run(run(*sys.argv[1:5], ordered=sys.argv[5] == "ordered"))
