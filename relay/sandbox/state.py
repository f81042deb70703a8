"""Everything that the sandbox keeps, with one owner: the event loop that serves it.

Each change is one synchronous step, so no request ever sees half of another.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from relay.clock import Clock
from relay.sandbox.datamart import Datamart
from relay.sandbox.faults import (
    NO_FAULT,
    Decision,
    Described,
    FaultPlan,
    Tally,
    decide,
    tallied,
)
from relay.sandbox.journal import Entry, Journal
from relay.sandbox.limiters import Limiter
from relay.sandbox.options import SandboxOptions

Kept = TypeVar("Kept")
_DATAMART_ID = re.compile("[1-9][0-9]{0,8}")


class State:
    """The sandbox's memory."""

    def __init__(self, options: SandboxOptions, clock: Clock) -> None:
        self.options = options
        self._clock = clock
        self.closing = asyncio.Event()
        self.reset()

    def keep(self, make: Callable[["State"], Kept]) -> Kept:
        """What a stand-in keeps beside this state: one of its class, made when it is missing."""
        if make not in self._kept:
            self._kept[make] = make(self)
        kept: Kept = self._kept[make]
        return kept

    def reset(self) -> None:
        """Forget everything, faults and clock included."""
        self.plan = FaultPlan()
        self.tallies: list[Tally] = []
        self.limiters: list[Limiter] = []
        self._chance = random.Random(0)
        self._ids = random.Random(self.options.seed)
        self.clock_offset_ms = 0
        self.journal = Journal(self.options.log_max)
        self.datamarts: dict[str, Datamart] = {}
        self._kept: dict[Callable[[State], Any], Any] = {}
        self.by_status: Counter[int] = Counter()
        self.injected: Counter[str] = Counter()
        self.refused = 0
        self.answers_lost = 0

    def now_ms(self) -> int:
        """The sandbox's time, which can be moved."""
        return self._clock.now_ms() + self.clock_offset_ms

    def new_id(self) -> str:
        """An id for an error or a resource."""
        return str(UUID(int=self._ids.getrandbits(128), version=4))

    def datamart(self, datamart_id: str) -> Datamart | None:
        """The datamart with this id, made on first use; None when there is no such datamart."""
        found = self.datamarts.get(datamart_id)
        if found is not None:
            return found
        known = self.options.datamarts
        if not _DATAMART_ID.fullmatch(datamart_id) or (known and datamart_id not in known):
            return None
        self.datamarts[datamart_id] = Datamart(self.options)
        return self.datamarts[datamart_id]

    def set_faults(self, plan: FaultPlan) -> None:
        """Put `plan` in force, from the start of its seed."""
        self.plan = plan
        self.tallies = [Tally() for _ in plan.rules]
        self.limiters = [Limiter(rule) for rule in plan.limiters]
        self._chance = random.Random(plan.seed)

    def next_fault(self, request: Described) -> Decision:
        """Decide on `request` and remember that it was decided."""
        if not self.plan.rules and not self.plan.latency_ms:
            return NO_FAULT
        decision = decide(self.plan, request, self.tallies, self._chance)
        self.tallies = tallied(self.tallies, decision)
        if decision.rule is not None:
            self.injected[self.plan.rules[decision.rule].kind.value] += 1
        return decision

    def answered(self, entry: Entry, status: int | None) -> None:
        """The request was answered, or its answer was lost."""
        entry.status = status
        if status is None:
            entry.answer_lost = True
            self.answers_lost += 1
        else:
            self.by_status[status] += 1

    async def pause(self, milliseconds: float) -> None:
        """Wait; shutting down ends the wait."""
        with suppress(TimeoutError):
            async with asyncio.timeout(milliseconds / 1000):
                await self.closing.wait()

    def summary(self) -> dict[str, Any]:
        """The counts that `GET /_sandbox/summary` shows."""
        datamarts = list(self.datamarts.values())
        counts = [datamart.counts for datamart in datamarts]
        return {
            "activities": sum(count.activities for count in counts),
            "events": sum(count.events for count in counts),
            "users": sum(len(datamart.users) for datamart in datamarts),
            "merged_users": sum(datamart.users.merged for datamart in datamarts),
            "duplicates": sum(count.duplicates for count in counts),
            "duplicate_events": sum(count.duplicate_events for count in counts),
            "out_of_order": sum(count.out_of_order for count in counts),
            "profile_updates": sum(count.profile_updates for count in counts),
            "choice_updates": sum(count.choice_updates for count in counts),
            "removed_events": dict(sum((count.removed_events for count in counts), Counter())),
            "order_breaks": [found for count in counts for found in count.breaks],
            "refused": self.refused,
            "requests": self.journal.arrived,
            "by_status": {str(status): n for status, n in sorted(self.by_status.items())},
            "answers_lost": self.answers_lost,
            "faults": dict(sorted(self.injected.items())),
            "log_dropped": self.journal.dropped,
            "clock_ms": self.now_ms(),
        }
