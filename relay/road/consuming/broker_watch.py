"""Asks the brokers beside the poll: where our partitions end, and whether they answer at all.

A fetch tells both for what is fetched, and nothing is fetched while the destination is down. So
every broker that leads one of our partitions is asked every two seconds. What is asked here never
makes the poll wait, and a question without an answer is no error: after a while it is an outage.
"""

import asyncio
import contextlib
from collections.abc import Collection

from aiokafka.errors import KafkaError as ClientError

from relay.errors import KafkaRefused, KafkaUnreachable, RelayError, SettingsError
from relay.kafka_client.policy import KafkaClientPolicy
from relay.kafka_client.reach import reach
from relay.model import Partition
from relay.road.consuming.consumer_internals import NO_LEADER, ConsumerInternals
from relay.road.consuming.facts import KafkaHeard, KafkaLoginRefused, KafkaSilent
from relay.road.consuming.log_ends import LogEnds
from relay.road.consuming.own_task import OwnTask
from relay.road.consuming.silence import ANY_BROKER, LastAnswers
from relay.road.consuming.source import SourceTrouble
from relay.road.consuming.troubles import Troubles
from relay.telemetry.facts import Emit

_EVERY_S = 2.0  # an outage is told after 5 s (`silence`): two questions before that
_ANSWER_S = 4.0  # a broker that is slow at this is silent for a reader, too
_LOOK_S = 5.0  # for going in anew, a login included
_LOOK_AGAIN_S = 5.0  # each look opens connections to all brokers
SAY_AGAIN_S = 60.0

_OURS = (SourceTrouble.UNREACHABLE, SourceTrouble.LOGIN_REFUSED, SourceTrouble.SILENT)


class BrokerWatch:
    """Begins with `start`; whoever has it looks after its `task`."""

    def __init__(
        self, policy: KafkaClientPolicy, isolation_level: str, troubles: Troubles, emit: Emit
    ) -> None:
        self._policy = policy
        self._committed_only = isolation_level == "read_committed"
        self._troubles = troubles
        self._emit = emit
        self._partitions: frozenset[Partition] = frozenset()
        self._answers = LastAnswers()
        self._changed = asyncio.Event()
        self.task = OwnTask("broker-watch")
        self._since: float | None = None
        self._looked_at: float | None = None
        self._said_at: float | None = None
        self.ends = LogEnds()

    def start(self, internals: ConsumerInternals) -> None:
        """Begin to ask."""
        self._internals = internals
        self._loop = asyncio.get_running_loop()
        self._answers.expect(self._partitions, self._loop.time())
        self.task.start(self._ask_on())

    def assigned(self, partitions: Collection[Partition]) -> None:
        """Ask about these from now on, and at once."""
        self._partitions = frozenset(partitions)
        self.ends.keep(partitions)
        self._answers.expect(partitions, self._loop.time())
        self._changed.set()

    async def _ask_on(self) -> None:
        while True:
            self._changed.clear()
            began = self._loop.time()
            await self._ask_all()
            if not self._changed.is_set():  # else what was asked is out of date
                await self._conclude(began)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(began + _EVERY_S):
                    await self._changed.wait()

    # -- questions ----------------------------------------------------------------------------

    async def _ask_all(self) -> None:
        leaders = self._internals.by_leader(self._partitions)
        if leaders.pop(NO_LEADER, None):
            self._internals.refresh_metadata()
        async with asyncio.TaskGroup() as group:
            for node, partitions in leaders.items():
                group.create_task(self._ask(node, partitions))
            if not self._partitions:
                group.create_task(self._ask_anybody())

    async def _ask(self, node: int, partitions: Collection[Partition]) -> None:
        with contextlib.suppress(ClientError, OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                # In this order: what is committed in between must not look as if held back.
                written = await self._internals.ends(node, partitions, committed_only=False)
                readable = written
                if self._committed_only:
                    readable = await self._internals.ends(node, partitions, committed_only=True)
                now = self._loop.time()
                for partition in self._partitions.intersection(written, readable):
                    self._answers.came(partition, now)
                    first, last = readable[partition], written[partition]
                    if first is not None and last is not None:
                        self.ends.told(partition, first, last, now)

    async def _ask_anybody(self) -> None:
        with contextlib.suppress(ClientError, OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                await self._internals.ask_anybody()
                self._answers.came(ANY_BROKER, self._loop.time())

    # -- conclusions --------------------------------------------------------------------------

    async def _conclude(self, began: float) -> None:
        """Raise or clear our troubles after a round of questions.

        | answers | an attempt to go in anew | trouble |
        |---|---|---|
        | all came | is not made | none |
        | some missing | is refused | LOGIN_REFUSED, at once |
        | some missing for a while | finds nobody | UNREACHABLE |
        | some missing for a while | succeeds, or gets no answer in time | SILENT |
        """
        missing = self._answers.missing(began)
        if not missing:
            self._clear()
            return
        now = self._loop.time()
        silent_since = self._answers.silent_since(now)
        begins = silent_since is not None and self._since is None
        looked = self._looked_at is not None and now - self._looked_at < _LOOK_AGAIN_S
        if looked and not begins:
            return
        problem = await self._go_in_anew()
        now = self._looked_at = self._loop.time()
        trouble = kind_of(problem)
        if self._since is None:
            if silent_since is None and trouble is not SourceTrouble.LOGIN_REFUSED:
                return
            self._since = began if silent_since is None else silent_since
        why = (
            f"the brokers answer, but not for {len(missing)} of {len(self._partitions)} partitions"
        )
        self._raise(trouble, str(problem or why), self._since, now)

    def _raise(self, trouble: SourceTrouble, why: str, since: float, now: float) -> None:
        news = not self._troubles.present(trouble)
        for other in _OURS:
            if other is not trouble:
                self._troubles.cleared(other)
        self._troubles.raised(trouble, why, since)
        if news or self._said_at is None or now - self._said_at >= SAY_AGAIN_S:
            self._said_at = now
            refused = trouble is SourceTrouble.LOGIN_REFUSED
            fact = KafkaLoginRefused if refused else KafkaSilent
            self._emit(fact(seconds=now - since, reason=why))

    def _clear(self) -> None:
        since, self._since, self._looked_at, self._said_at = self._since, None, None, None
        for trouble in _OURS:
            self._troubles.cleared(trouble)
        if since is not None:
            self._emit(KafkaHeard(after_s=self._loop.time() - since))

    async def _go_in_anew(self) -> RelayError | None:
        try:
            async with asyncio.timeout(_LOOK_S):
                cluster = await reach(self._policy)
        except TimeoutError:
            return _NoAnswer("no answer in time")
        except RelayError as problem:
            return problem
        problems = [broker.problem for broker in cluster.brokers if broker.problem is not None]
        refusals = [problem for problem in problems if isinstance(problem, KafkaRefused)]
        return next(iter((*refusals, *problems)), None)


class _NoAnswer(KafkaUnreachable):
    """Something takes connections there and says nothing."""


def kind_of(problem: RelayError | None) -> SourceTrouble:
    """What kind of trouble a failed attempt to go in is; None: it succeeded."""
    if isinstance(problem, KafkaRefused | SettingsError):
        return SourceTrouble.LOGIN_REFUSED
    if problem is None or isinstance(problem, _NoAnswer | TimeoutError):
        return SourceTrouble.SILENT
    if isinstance(problem.__cause__, TimeoutError):
        return SourceTrouble.SILENT
    return SourceTrouble.UNREACHABLE
