"""Records → a topic, many under way, each confirmed: for commands that write what they are given.

The dead-letter topic has an edge of its own (`relay.road.settling.dead_letter_topic`), which
answers for each record by itself.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from relay.errors import KafkaError
from relay.kafka_client.errors import translated, translation
from relay.kafka_client.fresh import fresh
from relay.kafka_client.options import client_options
from relay.kafka_client.policy import KafkaClientPolicy
from relay.kafka_client.records import hand_over
from relay.model import Header

# Records without confirmation: more of them make batches no fuller, and take memory.
_UNDER_WAY_MAX = 10_000
_BYTES_MAX = 104_857_600


class Producer:
    """An idempotent producer, used as a context manager. Leaving it does not wait: `flush` does.

    Records with one key arrive in the order of the calls.
    """

    def __init__(self, policy: KafkaClientPolicy) -> None:
        self._policy = policy
        self._producer: Any = None  # aiokafka is untyped
        self._under_way: set[asyncio.Future[Any]] = set()
        self._failure: BaseException | None = None
        self.confirmed = 0

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            **client_options(self._policy),
            enable_idempotence=True,  # a retry inside the client writes no record twice
            acks="all",  # what is confirmed survives the loss of a broker
            linger_ms=5,  # fuller batches, for a delay that nobody notices here
            compression_type="zstd",
            max_request_size=_BYTES_MAX,  # the broker's limit decides
        )
        fresh(self._producer, self._policy)
        try:
            with translated("Kafka"):
                await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._producer.stop()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header] = (),
        *,
        partition: int | None = None,
    ) -> None:
        """Hand a record over; waits while too many are under way.

        Without a partition, or with one that the topic does not have, the key decides.

        Raises:
            KafkaError: An earlier record, or this one, was not taken.
        """
        while len(self._under_way) >= _UNDER_WAY_MAX:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        self._raise_failure(topic)
        with translated(f"topic {topic}"):
            future = await hand_over(
                self._producer, topic, key, value, headers, partition=partition
            )
        self._under_way.add(future)
        future.add_done_callback(self._done)

    async def flush(self, topic: str) -> None:
        """Wait until the broker has confirmed everything.

        Raises:
            KafkaError: It did not take a record.
        """
        while self._under_way:
            await asyncio.wait(self._under_way)
        self._raise_failure(topic)

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._under_way.discard(future)
        if future.cancelled() or future.exception() is not None:
            self._failure = self._failure or future.exception()
        else:
            self.confirmed += 1

    def _raise_failure(self, topic: str) -> None:
        if self._failure is not None:
            problem: KafkaError | None = translation(self._failure, f"topic {topic}")
            raise problem or self._failure
