"""After a look-up in the registry: what to do next. Pure; times are the event loop's, in seconds.

    found                               done
    the registry could not be asked     ask again, however often: the stream is held
    it says no such schema              ask again until `unknown_wait_s` after it first said so,
                                        then the schema is unknown

Time in which the registry could not be asked does not count against an unknown id: the last word
on it is always an answer.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from relay.backoff import doubled
from relay.sources.registry.policy import RegistryPolicy


class Outcome(StrEnum):
    """What one look-up came to."""

    NOT_FOUND = "not_found"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Ask again after so many seconds."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """The registry has no such schema, and it was waited for."""


class Patience:
    """What all look-ups share: the last time that an unknown id was waited for in vain."""

    def __init__(self, policy: RegistryPolicy) -> None:
        self._policy = policy
        self._in_vain_at = -math.inf

    def waits(self, now: float) -> bool:
        """Whether an unknown id is waited for now."""
        return now - self._in_vain_at >= self._policy.unknown_for_s

    def in_vain(self, now: float) -> None:
        """An id was waited for and did not come."""
        self._in_vain_at = now

    def came(self) -> None:
        """An id came while it was waited for: waiting pays here."""
        self._in_vain_at = -math.inf


class Wait:
    """One schema that is being looked up."""

    def __init__(self, policy: RegistryPolicy, patience: Patience, rng: Random) -> None:
        self._policy = policy
        self._patience = patience
        self._rng = rng
        self._tries = 0
        self._first_not_found: float | None = None

    def after(
        self, outcome: Outcome, now: float, retry_after_s: float | None = None
    ) -> AskAgain | Unknown:
        """What follows. `retry_after_s` is what the registry asked for, if it did."""
        policy = self._policy
        # An unknown id is waited for, because a producer may write before all members of the
        # registry know the schema. But only until one was waited for in vain lately: a topic full
        # of unknown ids would otherwise stand still for `unknown_wait_s` at each of them.
        if outcome is Outcome.NOT_FOUND:
            if self._first_not_found is None:
                self._first_not_found = now
                if not self._patience.waits(now):
                    return Unknown()
            left = self._first_not_found + policy.unknown_wait_s - now
            if left <= 0:
                self._patience.in_vain(now)
                return Unknown()
            return AskAgain(min(self._pause_s(), left))
        if retry_after_s is not None:
            return AskAgain(min(max(retry_after_s, policy.retry_s), policy.retry_s_max))
        return AskAgain(self._pause_s())

    def found(self) -> None:
        """The registry has it."""
        if self._first_not_found is not None:
            self._patience.came()

    def _pause_s(self) -> float:
        ceiling = doubled(self._policy.retry_s, self._tries, self._policy.retry_s_max)
        self._tries += 1
        return self._rng.uniform(ceiling / 2, ceiling)
