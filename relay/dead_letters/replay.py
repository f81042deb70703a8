"""Dead letters → the topic that they came from, with their whole history, at a rate.

A record goes back with its key, its value, and all headers: those of the original and an envelope
for each death. When it dies again, the next envelope goes behind the last. Its event has the `id`
and the time that it always had, so the API is sent the same `$unique_key`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from relay.dead_letters.stored import OwnLetter
from relay.kafka_client.producer import Producer


async def replay(
    letters: AsyncIterator[OwnLetter],
    producer: Producer,
    *,
    to: str | None = None,
    per_second: float | None = None,
) -> Counter[str]:
    """Write each letter to its own topic, or to `to`; how many went where, all confirmed.

    Raises:
        KafkaError: The broker does not take one; those before it may have been written.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    went: Counter[str] = Counter()
    async for letter in letters:
        if per_second is not None:
            await asyncio.sleep(began + went.total() / per_second - loop.time())
        target = to or letter.last.position.topic
        # Its own partition, so that it stays in order with whatever else its user does.
        partition = letter.last.position.partition if to is None else None
        stored = letter.stored
        await producer.send(target, stored.key, stored.value, stored.headers, partition=partition)
        went[target] += 1
    await producer.flush(", ".join(went))
    return went
