"""mParticle batches for the end-to-end runs, and what their dead letters are about.

Each batch is one user's and holds 1 to 60 events. Some events cannot be mapped, and some the API
refuses for a while; they stand between others that are fine.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tests.support.judge import Event, Letter
from tests.support.kafka_admin import Kafka
from tests.support.road import QUICK_PRODUCER, Feeder, letter_of

SIZES = (1, 2, 5, 20, 60)
SOURCE_SETTINGS = {"compartment": "1000"}
_BAD, _REFUSED = 0.02, 0.03


class BatchFeeder(Feeder):
    """Sends batches of events that are numbered as those of any other feeder."""

    def __init__(self, kafka: Kafka, topic: str, seed: int, users: int) -> None:
        super().__init__(kafka, topic, seed, users, zipf=0.0, options=QUICK_PRODUCER)
        self._users = [f"user-of-batches-{number}" for number in range(users)]
        self._batches = 0

    def send_batches(self, count: int, refused_as: Sequence[str] = ()) -> None:
        """Produce so many batches and wait for the broker."""
        for user in self._rng.choices(self._users, k=count):
            self._produce(user, self._batch(user, self._rng.choice(SIZES), refused_as))
        assert self._producer.flush(60) == 0, "the broker did not confirm everything"

    def _batch(self, user: str, size: int, refused_as: Sequence[str]) -> bytes:
        self._batches += 1
        kinds = [self._kind(refused_as) for _ in range(size)]
        self.produced.bad += "bad" in kinds  # they share one letter
        document = {
            "batch_id": self._batches,
            "environment": "production",
            "user_identities": {"customer_id": user},
            "events": [self._event(user, kind) for kind in kinds],
        }
        return orjson.dumps(document)

    def _kind(self, refused_as: Sequence[str]) -> str:
        drawn = self._rng.random()
        if drawn < _BAD:
            return "bad"
        if refused_as and drawn < _BAD + _REFUSED:
            return self._rng.choice(refused_as)
        return "plain"

    def _event(self, user: str, kind: str) -> dict[str, Any]:
        self._now_ms += 1
        if kind == "bad":
            return {"event_type": "unheard_of", "data": {}}
        number = self.produced.good.get(user, 0)
        self.produced.good[user] = number + 1
        own: dict[str, Any] = {"seq": number}
        if kind != "plain":
            own["refused_as"] = kind
            self.produced.refused.add(Event(user, number))
        # Every other event has no id of its own: it is named by its batch and its place.
        named = {"source_message_id": f"{user}-{number}"} if number % 2 else {}
        data = {"event_name": "checked", "custom_attributes": own, **named}
        return {
            "event_type": "custom_event",
            "data": {"timestamp_unixtime_ms": self._now_ms, **data},
        }


def batch_letter(message: Any) -> Letter:
    """What a letter about events of a batch says, as the judge wants it."""
    return letter_of(message, _event)


def _event(batch: Any, told: Mapping[str, str]) -> Event:
    index = int(told.get("relay-dlq-events", "0"))  # one event, one letter
    number = batch["events"][index]["data"]["custom_attributes"]["seq"]
    return Event(batch["user_identities"]["customer_id"], number)
