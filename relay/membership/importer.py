"""A file of segment commands → an execution of the platform's, seen through to its end.

One at a time. The document imports are named `<name>-<hour>-<mark of the process>`: the hour keeps
each of them small, and by the name whoever takes over finds what an earlier life has under way.
"""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from relay.apis.caller import Sleep
from relay.apis.errors import AnswerLost, ApiError, NotThere, Refused
from relay.apis.mediarithmics_document_imports import DocumentImports, Execution, Phase
from relay.clock import Clock
from relay.membership.policy import ImporterPolicy
from relay.segments.rejections import Rejection, read_rejections
from relay.telemetry.facts import Emit, MembershipImportAdopted

_UNDER_WAY = (Phase.RUNNING, Phase.UNKNOWN)


class FileRefused(Exception):
    """The platform does not take this file. Its text says why, and nothing of what it holds."""


class Importer:
    """Every method raises ApiError when the platform cannot be asked."""

    def __init__(
        self,
        imports: DocumentImports,
        policy: ImporterPolicy,
        *,
        clock: Clock,
        rng: random.Random,
        emit: Emit,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._imports = imports
        self._policy = policy
        self._clock = clock
        self._emit = emit
        self._sleep = sleep
        self._mark = f"{rng.getrandbits(32):08x}"
        self._name = ""
        self._import_id: str | None = None
        self._known: set[str] = set()

    async def wait_for_others(self) -> None:
        """Return when every execution that is under way under our name has come to its end.

        An execution that an earlier life began may be applied at any time until then: what is
        sent now must not be overtaken by what it superseded. One that was being uploaded when its
        sender died is given as long to show up as one whose answer was lost.
        """
        looked_s = 0.0
        while True:
            found = [
                known
                for hours in range(self._policy.fence_hours + 1)
                for known in await self._imports.find(
                    f"{self._policy.name}-{self._hour(-hours)}-", exact=False
                )
            ]
            for known in found:
                for execution in await self._imports.executions(known.id):
                    if execution.phase in _UNDER_WAY:
                        await self._end_of(known.id, execution.id)
            if not found or looked_s >= self._policy.adoption_s:
                return
            await self._sleep(self._policy.poll_s_max)
            looked_s += self._policy.poll_s_max

    async def begin(self, file: Path) -> str:
        """Upload a file; the id of its execution. Once it returns, the file is not needed.

        Raises:
            FileRefused: It is not taken, whoever sends it.
        """
        try:
            await self._wait_for_strays()
            import_id = await self._current_import()
            started = await self._start(import_id, file)
        except NotThere:  # somebody deleted the document import: the next one is made anew
            self._import_id = None
            raise
        self._known.add(started.id)
        return started.id

    async def end(self, execution_id: str) -> Execution:
        """The execution, when it has come to its end."""
        try:
            return await self._end_of(self._import_id or "", execution_id)
        except NotThere:
            self._import_id = None
            raise

    async def rejections(self, execution: Execution, to: Path) -> list[Rejection]:
        """What the error file of an execution tells; nothing when there is none to be had."""
        if execution.failed == 0 or execution.error_file_uri is None:
            return []
        try:
            await self._imports.error_file(execution.error_file_uri, to)
        except ApiError:  # which lines are meant is then found out by other means
            return []
        return list(read_rejections(to))

    async def _start(self, import_id: str, file: Path) -> Execution:
        content_type = self._policy.form.content_type
        while True:
            try:
                return await self._imports.start(import_id, file, content_type)
            except Refused as error:
                raise FileRefused(error.problem) from None
            except AnswerLost:
                adopted = await self._look_for(import_id)
                if adopted is not None:
                    self._emit(MembershipImportAdopted(execution=adopted.id))
                    return adopted

    async def _wait_for_strays(self) -> None:
        """An upload that was given up for lost may show up late: let it end before the next."""
        if self._import_id is None:
            return
        for execution in await self._imports.executions(self._import_id):
            if execution.id not in self._known and execution.phase in _UNDER_WAY:
                await self._end_of(self._import_id, execution.id)
            self._known.add(execution.id)

    async def _current_import(self) -> str:
        name = f"{self._policy.name}-{self._hour()}-{self._mark}"
        if self._import_id is not None and name == self._name:
            return self._import_id
        self._import_id, self._name = None, name
        self._known.clear()
        found = await self._imports.find(name)
        if not found:
            try:
                found = [await self._imports.create(name, self._policy.form.mime_type)]
            except AnswerLost:
                # More than one of a name is harmless: an import is only a name.
                found = await self._imports.find(name)
                if not found:
                    raise
        self._import_id = found[-1].id
        return self._import_id

    async def _look_for(self, import_id: str) -> Execution | None:
        """The execution whose upload was not answered; None when there is none after a while."""
        looked_s = 0.0
        while looked_s <= self._policy.adoption_s:
            for execution in await self._imports.executions(import_id):
                if execution.id not in self._known:
                    return execution
            await self._sleep(self._policy.poll_s)
            looked_s += self._policy.poll_s
        return None

    async def _end_of(self, import_id: str, execution_id: str) -> Execution:
        wait_s = self._policy.poll_s
        missing_s = 0.0
        while missing_s <= self._policy.adoption_s:
            missing_s += wait_s
            for execution in await self._imports.executions(import_id):
                if execution.id == execution_id:
                    missing_s = 0.0
                    if execution.phase not in _UNDER_WAY:
                        return execution
            await self._sleep(wait_s)
            wait_s = min(self._policy.poll_s_max, wait_s * 1.5)
        return Execution(execution_id, "not listed any more")

    def _hour(self, offset: int = 0) -> str:
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC) + timedelta(hours=offset)
        return now.strftime("%Y%m%dT%H")
