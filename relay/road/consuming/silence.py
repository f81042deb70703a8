"""While brokers are away aiokafka tries again without a word; after a while somebody should know.

Told by the consumer edge when a broker last answered; tells the facts, with the reason that an
attempt to go in anew gives.
"""

import asyncio

from relay.errors import RelayError
from relay.kafka_client.policy import KafkaClientPolicy
from relay.kafka_client.reach import reach
from relay.telemetry.facts import Emit, KafkaHeard, KafkaSilent

SILENCE_S = 10.0
SAY_AGAIN_S = 60.0
_LOOK_UP_S = 5.0


class SilenceWatch:
    """Notices that no fetch is answered any more, and that one is again."""

    def __init__(self, policy: KafkaClientPolicy, emit: Emit) -> None:
        self._policy = policy
        self._emit = emit
        self._newest: int | None = None
        self._heard_at = 0.0
        self._told_at: float | None = None

    async def look(self, newest: int | None, now: float) -> None:
        """`newest` marks the last answer, by any count; None while nothing is fetched."""
        if newest is None or newest != self._newest:
            if self._told_at is not None:
                self._emit(KafkaHeard(after_s=now - self._heard_at))
            self._newest, self._heard_at, self._told_at = newest, now, None
            return
        silent_s = now - self._heard_at
        due = self._told_at is None or now - self._told_at > SAY_AGAIN_S
        if silent_s > SILENCE_S and due:
            self._told_at = now
            self._emit(KafkaSilent(seconds=silent_s, reason=await self._why()))

    async def _why(self) -> str:
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                await reach(self._policy)
        except TimeoutError:
            return "no answer in time"
        except RelayError as problem:
            return str(problem)
        return "the brokers answer, but not to this consumer"
