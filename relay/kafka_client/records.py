"""One record → aiokafka's producer: also a record that its `send` would refuse."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka.partitioner import DefaultPartitioner

from relay.kafka_client.header_names import BatchOfAnyNames, all_utf_8
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

    | record | how |
    |---|---|
    | has a key or a value, names are UTF-8 | `send` |
    | has neither key nor value | a batch of its own: `send` refuses it, Kafka does not |
    | the name of a header is not UTF-8 | a batch of its own, which keeps the bytes of the name |
    """
    known: set[int] = await producer.partitions_for(topic)
    if partition not in known:
        partition = None
    headers = tuple(headers)
    named = all_utf_8(headers)
    future: asyncio.Future[Any]
    if named and (key is not None or value is not None):
        future = await producer.send(
            topic, value, key=key, headers=list(headers), partition=partition
        )
        return future
    if named:
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None, headers=list(headers))
    else:
        batch = BatchOfAnyNames()
        batch.add(key, value, headers)
    batch.close()
    if partition is None:
        partition = DefaultPartitioner()(key, sorted(known), [])
    future = await producer.send_batch(batch, topic, partition=partition)
    return future
