"""Why a producer's records are not confirmed: what the brokers answered last, by topic.

An idempotent producer of aiokafka tries again for ever after an answer that may pass, such as
"not enough replicas", and tells nobody which answer that is.
"""

from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as theirs
from aiokafka.protocol.produce import ProduceRequest


class ProduceAnswers:
    """Looks on at the answers to one producer."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        client = producer.client
        self._send = client.send
        self._refusals: dict[str, Exception] = {}
        client.send = self._sent

    def refusal(self, topics: Iterable[str]) -> Exception | None:
        """The answer after which records of one of these topics were last not taken."""
        return next((self._refusals[one] for one in topics if one in self._refusals), None)

    async def _sent(self, node_id: Any, request: Any, **options: Any) -> Any:
        """In the place of `send` of aiokafka's client."""
        answer = await self._send(node_id, request, **options)
        if isinstance(request, ProduceRequest):
            for topic, partitions in answer.topics:
                for _, number, *_ in partitions:  # partition, number of the error, and more
                    self._answered(topic, theirs.for_code(number))
        return answer

    def _answered(self, topic: str, error: type[Exception]) -> None:
        if error is theirs.NoError:
            self._refusals.pop(topic, None)
        else:
            self._refusals[topic] = error()
