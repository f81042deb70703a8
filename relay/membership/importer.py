"""Files of membership events → the platform: under which names, and after whose.

The files that are under way side by side have a place each, and a place has a document import for
each hour, named `<name>-<hour>-<mark of the process>-<number>`. The hour keeps each of them small,
and by the name whoever takes over finds what an earlier life has under way. One in which an upload
that was given up for lost may show up yet is not used for another file.
"""

import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from relay.apis.errors import NotThere
from relay.apis.mediarithmics_document_imports import Phase
from relay.membership.policy import ImporterPolicy
from relay.segments.driver import Driver, Platform, Trip
from relay.segments.hints import Hints, read_hints
from relay.segments.outcome import Failed, Outcome

_STRAY_S = 3600.0
"""How long an upload that was given up for lost is still looked for before each file."""


@dataclass(slots=True)
class _Place:
    """The document import of a place in this hour, and the executions that ended there."""

    hour: str
    name: str
    import_id: str | None = None
    known: set[str] = field(default_factory=set)


class Importer:
    """Makes trips, and lets the driver carry them. Waiting for others raises ApiError."""

    def __init__(self, platform: Platform, policy: ImporterPolicy, rng: random.Random) -> None:
        self._platform = platform
        self._policy = policy
        self._driver = Driver(platform, policy.upload)
        self._mark = f"{rng.getrandbits(32):08x}"
        self._numbers = itertools.count()
        self._places: dict[int, _Place] = {}
        self._strays: dict[str, tuple[float, set[str]]] = {}

    @property
    def has_strays(self) -> bool:
        """Whether an upload that was given up for lost may show up yet."""
        return bool(self._strays)

    async def wait_for_others(self) -> None:
        """Return when every execution that is under way under our name has come to its end.

        An execution that an earlier life began may be applied at any time until then: what is
        sent now must not be overtaken by what it superseded. One that was being uploaded when its
        sender died is given as long to show up as one whose answer was lost.
        """
        began = self._platform.steady()
        hours = range(self._policy.fence_hours + 1)
        while True:
            found = [
                known.id
                for hour in hours
                for known in await self._platform.imports.find(
                    f"{self._policy.name}-{self._hour(-hour)}-"
                )
            ]
            moving = [known for known in found if await self._moves(known)]
            waited_s = self._platform.steady() - began
            if not found or (not moving and waited_s >= self._policy.upload.adoption_s):
                return
            await self._platform.sleep(self._policy.upload.poll_s_max)
            hours = hours if moving else range(2)  # an upload goes to the import of its hour

    def trip(self, place: int, path: Path, lines: int) -> Trip:
        """A file that is to be carried from a place where nothing else is under way."""
        policy = self._policy
        hour = self._hour()
        here = self._places.get(place)
        if here is None or here.hour != hour:
            name = f"{policy.name}-{hour}-{self._mark}-{next(self._numbers)}"
            here = self._places[place] = _Place(hour, name)
        return Trip(
            here.name, path, path.stat().st_size, lines, policy.form,
            import_id=here.import_id, others=frozenset(here.known),
        )  # fmt: skip

    async def carry(self, place: int, trip: Trip) -> Outcome:
        """See a file through; again with the same trip where it was held."""
        if not trip.attempts:
            await self._wait_for_strays()
        try:
            outcome = await self._driver.carry(trip)
        finally:
            self._remember(place, trip)
        if isinstance(outcome, Failed) and isinstance(outcome.refused, NotThere):
            self._places.pop(place, None)  # somebody deleted the document import
        return outcome

    async def hints(self, outcome: Outcome, file: Path) -> Hints:
        """What the error file tells of the lines of `file`, where some were rejected."""
        imports, to = self._platform.imports, file.with_name(f"errors-{file.name}")
        return await read_hints(imports, outcome, file, self._policy.form, to)

    def _remember(self, place: int, trip: Trip) -> None:
        here = self._places.get(place)
        if here is None or here.name != trip.name:
            return  # it was held before, and its place has gone on since
        here.import_id = trip.import_id
        here.known |= {a.execution_id for a in trip.attempts if a.execution_id is not None}
        lost = any(attempt.execution_id is None for attempt in trip.attempts)
        if lost and trip.import_id is not None:
            self._strays[trip.import_id] = (self._platform.steady(), here.known)
            del self._places[place]

    async def _wait_for_strays(self) -> None:
        """An upload that was given up for lost may show up late: let it end before the next."""
        for import_id, (since, known) in list(self._strays.items()):
            try:
                while await self._moves(import_id, known):
                    await self._platform.sleep(self._policy.upload.poll_s)
            except NotThere:
                self._strays.pop(import_id, None)
            if self._platform.steady() - since > _STRAY_S:
                self._strays.pop(import_id, None)

    async def _moves(self, import_id: str, known: set[str] | None = None) -> bool:
        executions = await self._platform.imports.executions(import_id)
        return any(e.phase is Phase.RUNNING and e.id not in (known or ()) for e in executions)

    def _hour(self, offset: int = 0) -> str:
        now = datetime.fromtimestamp(self._platform.clock.now_ms() / 1000, UTC)
        return (now + timedelta(hours=offset)).strftime("%Y%m%dT%H")
