"""A sync that is cut off at any point, and gone on with, ends like one that was not.

Dying is played by an exception that nobody catches, raised before or after each call over HTTP and
before each statement of the ledger, one point after the other until a run gets through untouched.
What was not committed is gone then, as after a real death; `bench/` kills real processes.
"""

import random
import sqlite3

import httpx
import pytest

from relay.segments import database
from relay.segments.policy import UploadPolicy
from tests.support.segment_sync import Syncs
from tests.support.segment_world import world

PEOPLE = [f"u-{number}" for number in range(30)]
AFTER = [*PEOPLE[4:], "new-1", "new-2", "new-3"]
# Between them what is known to be under way goes on by itself.
UPLOAD = UploadPolicy(poll_s=1, in_flight_max=2)


class Died(BaseException):
    """The process is gone."""


class Fate:
    """Ends the process at the given point; counts the points."""

    def __init__(self, at):
        self.at = at
        self.count = 0

    def point(self):
        self.count += 1
        if self.count == self.at:
            raise Died


@pytest.fixture
def fated(monkeypatch):
    """Make every call and every statement a point."""
    fate = Fate(0)
    send = httpx.AsyncClient.send

    async def fated_send(self, request, **options):
        ours = request.url.path.startswith(("/v1/", "/service/", "/upload-bucket/"))
        if ours:
            fate.point()
        answer = await send(self, request, **options)
        if ours:
            try:
                fate.point()
            except Died:
                await answer.aclose()
                raise
        return answer

    class FatedConnection(sqlite3.Connection):
        def execute(self, statement, *args):
            if not statement.startswith(("SELECT", "PRAGMA", "ROLLBACK")):
                fate.point()
            return super().execute(statement, *args)

    real = sqlite3.connect
    monkeypatch.setattr(httpx.AsyncClient, "send", fated_send)
    monkeypatch.setattr(
        database.sqlite3,
        "connect",
        lambda *args, **options: real(*args, **options, factory=FatedConnection),
    )
    return fate


async def lived(syncs, fate, at, users=None, **wish):
    """Run until it dies at a point; whether it got through."""
    fate.count, fate.at = 0, at
    try:
        await syncs.run(users, **wish)
    except Died:
        return False
    finally:
        fate.at = 0
    return True


async def judged(syncs, here, runs_before):
    """The segment is right, and nothing was uploaded twice."""
    report = await syncs.run()
    assert report.outcome == "done"
    await syncs.sees(AFTER)
    uploads = (await here.uploads())[runs_before:]
    assert len({(u["import"], u["sha256"]) for u in uploads}) == len(uploads)
    with syncs.ledger() as ledger:
        members = {row[0] for row in ledger.db.execute("SELECT user FROM members WHERE sure = 1")}
    assert members == set(AFTER)


async def died_at(tmp_path, fate, at):
    async with world() as here:
        directory = tmp_path / str(at)
        directory.mkdir()
        syncs = Syncs(here, directory, part_bytes_max=400, upload=UPLOAD)
        await syncs.run(PEOPLE)
        before = len(await here.uploads())
        through = await lived(syncs, fate, at, AFTER)
        if not through:
            # A new process: what was under way on the platform went on meanwhile.
            await here.clock.sleep(random.Random(at).choice([0, 1, 3600]))
            await judged(syncs, here, before)
        return through


@pytest.mark.timeout(300)
async def test_a_sync_that_dies_at_some_points_ends_right_and_uploads_nothing_twice(
    tmp_path, fated
):
    for at in range(1, 200, 7):
        if await died_at(tmp_path, fated, at):
            return
    raise AssertionError("it never got through")


@pytest.mark.storm
@pytest.mark.timeout(900)
async def test_a_sync_that_dies_at_any_point_ends_right_and_uploads_nothing_twice(tmp_path, fated):
    points = 0
    while not await died_at(tmp_path, fated, points + 1):
        points += 1
    assert points > 50


@pytest.mark.storm
@pytest.mark.timeout(900)
async def test_one_that_dies_again_and_again_still_ends_right(tmp_path, fated):
    for seed in range(10):
        rng = random.Random(seed)
        async with world() as here:
            directory = tmp_path / f"again-{seed}"
            directory.mkdir()
            syncs = Syncs(here, directory, part_bytes_max=400, upload=UPLOAD)
            await syncs.run(PEOPLE)
            before = len(await here.uploads())
            await lived(syncs, fated, 1, AFTER)
            deaths = 0
            while not await lived(syncs, fated, rng.randrange(1, 40)):
                deaths += 1
                assert deaths < 500
            await judged(syncs, here, before)
