"""Dead letters that wait → the dead-letter topic, tried until the broker has confirmed them.

No road commits an offset beyond a dead letter that is not confirmed.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from relay.backoff import doubled
from relay.errors import KafkaError
from relay.model import DeadLetter
from relay.road.custody import Custody
from relay.road.settling.facts import DeadLetterTopicRestored, DeadLetterTopicUnavailable
from relay.telemetry.facts import Emit


class DeadLetterSink(Protocol):
    """Where dead letters go. Implemented by `relay.road.settling.dead_letter_topic`."""

    async def start(self) -> None:
        """Connect."""
        ...

    async def write(self, letters: Collection[DeadLetter]) -> None:
        """Return when the broker has confirmed every one of them.

        Raises:
            KafkaError: It did not; some may have been written all the same.
        """
        ...

    async def stop(self) -> None:
        """Close the connections."""
        ...


_LETTERS_PER_WRITE = 200
_RETRY_FIRST_S, _RETRY_MAX_S = 0.5, 15.0


class LetterWriter:
    """Writes until cancelled; `due` says that there is something."""

    def __init__(
        self,
        custody: Custody,
        sink: DeadLetterSink,
        emit: Emit,
        changed: Callable[[], None],
    ) -> None:
        self._custody = custody
        self._sink = sink
        self._emit = emit
        self._changed = changed
        self.due = asyncio.Event()

    async def run(self) -> None:
        """Write what waits, whenever something does."""
        while True:
            await self.due.wait()
            self.due.clear()
            await self._write_all()

    async def _write_all(self) -> None:
        failures, failing_since = 0, 0.0
        while batch := self._custody.next_letters(_LETTERS_PER_WRITE):
            try:
                await self._sink.write([item.letter for item in batch])
            except KafkaError as error:
                now = asyncio.get_running_loop().time()
                failing_since = failing_since if failures else now
                # While it fails nothing may pass (`Custody.letters_blocked`), and the same letters
                # are asked for again: the sink writes none of them twice (`DeadLetterTopic.write`).
                failures += 1
                retry_s = doubled(_RETRY_FIRST_S, failures - 1, _RETRY_MAX_S)
                self._custody.letters_failed(str(error), now)
                self._emit(
                    DeadLetterTopicUnavailable(
                        code=error.code, reason=str(error), retry_in_s=retry_s
                    )
                )
                await asyncio.sleep(retry_s)
                continue
            if failures:
                after_s = asyncio.get_running_loop().time() - failing_since
                self._emit(DeadLetterTopicRestored(after_s=after_s))
                failures = 0
            self._custody.letters_written(batch)
            self._changed()
