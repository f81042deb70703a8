"""One record → aiokafka's producer: also a record that has neither key nor value."""

import asyncio
from collections.abc import Sequence
from typing import Any

from relay.model import Header


async def hand_over(
    producer: Any,  # aiokafka is untyped
    topic: str,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[Header],
    *,
    partition: int | None = None,
) -> asyncio.Future[Any]:
    """The future of the broker's confirmation.

    Without a partition, or with one that the topic does not have, the key decides.
    """
    known: set[int] = await producer.partitions_for(topic)
    if partition not in known:
        partition = None
    future: asyncio.Future[Any]
    if key is not None or value is not None:
        future = await producer.send(
            topic, value, key=key, headers=list(headers), partition=partition
        )
        return future
    # aiokafka's send refuses a record without both; Kafka does not.
    batch = producer.create_batch()
    batch.append(key=None, value=None, timestamp=None, headers=list(headers))
    batch.close()
    future = await producer.send_batch(
        batch, topic, partition=min(known) if partition is None else partition
    )
    return future
