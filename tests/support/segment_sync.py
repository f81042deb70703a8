"""A sync on a world, and what must hold after each of its runs."""

import random
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relay.apis.locations import FileAccess
from relay.segments.database import locked
from relay.segments.driver import Platform
from relay.segments.exporting import Exporter
from relay.segments.ledger import RunLedger
from relay.segments.lines import Target
from relay.segments.members import MINUTE_MS, ExpiryPolicy
from relay.segments.plan import SafetyPolicy
from relay.segments.policy import ExportPolicy, SyncPolicy, UploadPolicy
from relay.segments.report import Report
from relay.segments.sync import Sync, SyncRequest
from relay.segments.user_ids import IdPolicy, IdType
from tests.support.segment_world import World

SOURCE = "82200474-c131-4f7b-a35e-381469af31a7"
WEEK = 10_080


def policy(**changes: Any) -> SyncPolicy:
    fields: dict[str, Any] = {
        "name": "churn",
        "source_segment_id": SOURCE,
        "target": Target("7", compartment_id="1000"),
        "ids": IdPolicy(IdType.CUSTOMER_ID, column="id"),
        "expiry": ExpiryPolicy(WEEK, WEEK // 2),
        "safety": SafetyPolicy(removal_share_max=0.3, removals_free=10),
        "upload": UploadPolicy(),
    }
    return SyncPolicy(**(fields | changes))


def csv_of(users: Iterable[str]) -> bytes:
    return ("id,name\n" + "".join(f"{user},x\n" for user in users)).encode()


class Notes:
    """What a sync said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[str] = []

    def begin(self, what: str, total: int | None = None, unit: str = "") -> None:
        self.begun.append(what)

    def at(self, done: int, total: int | None = None) -> None:
        pass

    def note(self, text: str) -> None:
        self.said.append(text)


class Syncs:
    """Runs syncs on a world, one process's worth each: nothing is shared but the disk."""

    def __init__(self, world: World, directory: Path, **changes: Any) -> None:
        self.world = world
        self.directory = directory / "churn"
        self.changes = changes
        self.notes = Notes()
        self._count = 0

    @contextmanager
    def ledger(self) -> Any:
        made = policy(**self.changes)
        self.directory.mkdir(exist_ok=True)
        ledger = RunLedger(self.directory / "ledger.sqlite", made.about("1234"))
        try:
            yield ledger
        finally:
            ledger.close()

    async def run(self, users: Iterable[str] | None = None, **request: Any) -> Report:
        if users is not None:
            await self.world.set_export(SOURCE, csv_of(users))
        self._count += 1
        world, made = self.world, policy(**self.changes)
        rng = random.Random(self._count)
        exporter = Exporter(
            await world.mparticle(), FileAccess(allow_private=True), ExportPolicy(), rng,
            self.notes, world.clock.sleep, world.clock.steady,
        )  # fmt: skip
        platform = Platform(
            await world.imports(), world.clock, world.clock.sleep, world.clock.steady
        )
        with locked(self.directory, "the sync churn"), self.ledger() as ledger:
            sync = Sync(
                policy=made, ledger=ledger, directory=self.directory, exporter=exporter,
                platform=platform, rng=rng, progress=self.notes,
            )  # fmt: skip
            return await sync.run(SyncRequest(**request))

    async def sees(self, users: Iterable[str]) -> None:
        """The segment holds these users and nobody else, and nobody for longer than settled."""
        members = await self.world.members("7")
        assert set(members) == set(users)
        minutes = policy(**self.changes).expiry.minutes
        for expires in members.values():
            assert (expires is None) == (minutes == 0)
            assert expires is None or expires <= self.world.clock.ms + minutes * MINUTE_MS
