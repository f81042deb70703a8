"""FastStream (aiokafka) and one shared aiohttp session: each message becomes a POST.

ordered: `AckPolicy.ACK` with twelve workers, which FastStream turns into twelve consumers of the
group that each handle one message after another: order per partition, at least once. ACK commits
also when the handler raised, so the handler itself tries again until the event is accepted.

batches: `batch=True`, one consumer whose handler posts the batch one after another: order per
partition, at least once, and a commit for each batch instead of each message.

unordered: `max_workers` with the default ACK_FIRST, one consumer and 64 handlers at once: what its
documentation offers for speed. It is at most once.
"""

import sys

import aiohttp
import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from bench.peers.activity import HEADERS
from bench.peers.posting import deliver


async def run(bootstrap: str, topic: str, group: str, url: str, mode: str) -> None:
    """Until SIGTERM."""
    broker = KafkaBroker(bootstrap, logger=None)
    app = FastStream(broker, logger=None)
    connector = aiohttp.TCPConnector(limit=256)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:

        async def handle(value: bytes) -> None:
            await deliver(session, url, value)

        async def handle_all(values: list[bytes]) -> None:
            for value in values:
                await handle(value)

        # The bytes as they came: FastStream would validate them into the handler's type.
        options = {"group_id": group, "auto_offset_reset": "earliest", "decoder": _raw}
        match mode:
            case "batches":
                broker.subscriber(topic, ack_policy=AckPolicy.ACK, batch=True, **options)(
                    handle_all
                )
            case "ordered":
                broker.subscriber(topic, ack_policy=AckPolicy.ACK, max_workers=12, **options)(
                    handle
                )
            case _:
                broker.subscriber(topic, ack_policy=AckPolicy.ACK_FIRST, max_workers=64, **options)(
                    handle
                )
        await app.run()


async def _raw(message: KafkaMessage) -> bytes | list[bytes]:
    return message.body


if __name__ == "__main__":
    uvloop.run(run(*sys.argv[1:6]))
