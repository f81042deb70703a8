"""The importer against the sandbox over real HTTP, on a clock that waiting moves."""

import asyncio
import random

import pytest

from relay.apis.errors import LoginRefused, NotThere
from relay.apis.mediarithmics_document_imports import Phase
from relay.membership.importer import Importer
from relay.membership.policy import ImporterPolicy
from relay.sandbox.document_imports import document_imports
from relay.segments.driver import Platform
from relay.segments.formats import FileFormat, encoder
from relay.segments.model import SegmentCommand
from relay.segments.outcome import Failed, Held, Landed, Unclear
from relay.segments.policy import UploadPolicy

NAME = "relay-membership-test"
HOUR_MS = 3_600_000


class Life:
    """One process's importer, and files to import."""

    def __init__(self, world, imports, directory, seed):
        self.path = directory / f"commands-{seed}"
        self.errors = directory / f"errors-{seed}"
        self.trouble = []
        upload = UploadPolicy(attempts_max=1, poll_s=1.0, poll_s_max=4.0, adoption_s=20.0)
        platform = Platform(imports, world.clock, world.clock.sleep, world.clock.steady)
        policy = ImporterPolicy(NAME, upload=upload, fence_hours=3)
        self.importer = Importer(platform, policy, random.Random(seed))

    def trip(self, *users, minutes=0, place=0):
        line, account = encoder(FileFormat.NDJSON).line, ("user_account_id", "1000")
        lines = [line(SegmentCommand.of((*account, u), ("id", "88"), minutes)) for u in users]
        path = self.path.with_name(f"{self.path.name}-{place}")
        path.write_bytes(b"".join(lines))
        trip = self.importer.trip(place, path, len(lines))
        trip.on_trouble = self.trouble.append
        return trip

    async def outcome(self, *users, minutes=0, place=0):
        return await self.importer.carry(place, self.trip(*users, minutes=minutes, place=place))

    async def carry(self, *users, minutes=0, place=0):
        outcome = await self.outcome(*users, minutes=minutes, place=place)
        assert isinstance(outcome, Landed | Unclear), outcome
        return outcome.execution

    async def die_after_the_upload(self, *users):
        """Upload, and never look again."""
        trip = self.trip(*users)

        def keep(trip):
            if any(attempt.execution_id for attempt in trip.attempts):
                raise Dead

        trip.keep = keep
        with pytest.raises(Dead):
            await self.importer.carry(0, trip)


class Dead(Exception):
    """This life is over."""


@pytest.fixture
def life(world, tmp_path):
    async def begin(seed=1, **options):
        return Life(world, await world.imports(**options), tmp_path, seed)

    return begin


def store(world):
    return document_imports(world.state)


async def names(world):
    return [upload["import"] for upload in await world.uploads()]


async def test_a_file_is_imported_under_the_name_of_the_hour(world, life):
    one = await life()
    execution = await one.carry("alice", "bob")
    assert execution.phase is Phase.SUCCEEDED
    assert (execution.succeeded, execution.failed) == (2, 0)
    assert set(await world.members("88")) == {"alice", "bob"}
    (name,) = await names(world)
    assert name.startswith(f"{NAME}-20260101T00-")


async def test_files_of_one_hour_share_a_document_import_and_the_next_hour_has_another(world, life):
    one = await life()
    await one.carry("alice")
    await one.carry("bob")
    world.clock.ms += HOUR_MS
    await one.carry("carol")
    first, second, third = await names(world)
    assert first == second != third
    made = [path for method, path, _ in await world.requests() if method == "POST"]
    assert sum(path.endswith("document_imports") for path in made) == 2


async def test_two_processes_never_share_a_document_import(world, life):
    await (await life(1)).carry("alice")
    await (await life(2)).carry("bob")
    assert len(set(await names(world))) == 2


async def test_an_upload_whose_answer_was_lost_is_found_and_not_made_again(world, life):
    one = await life()
    await one.carry("before")
    await world.faults({"kind": "lost_answer", "path": "*/executions", "method": "POST"})
    trip = one.trip("alice")
    assert isinstance(await one.importer.carry(0, trip), Landed)
    assert len(await world.uploads()) == 2
    assert [attempt.adopted for attempt in trip.attempts] == [True]
    assert len(one.trouble) == 1  # told at once: nothing is ready while it is looked for


async def test_an_upload_that_never_arrived_is_held_and_not_repeated_for_ever(world, life):
    one = await life()
    await world.faults({"kind": "status", "status": 502, "path": "*/executions", "method": "POST"})
    trip = one.trip("alice")
    outcome = await one.importer.carry(0, trip)
    assert isinstance(outcome, Held)
    assert "502" in outcome.error.problem
    assert not trip.is_out
    posts = [path for method, path, _ in await world.requests() if method == "POST"]
    assert sum(path.endswith("/executions") for path in posts) == 1
    await world.faults()
    assert (await one.carry("alice")).succeeded == 1


async def test_an_execution_that_shows_up_late_is_not_taken_for_a_later_one(world, life):
    """Its upload was given up for lost; it must end before the next file goes."""
    one = await life()
    await world.put("imports", late_ms=40_000, pending_ms=50_000, running_ms=10_000)
    await world.faults(
        {"kind": "lost_answer", "path": "*/executions", "method": "POST", "times": 1}
    )
    assert isinstance(await one.outcome("alice"), Held)
    assert one.importer.has_strays
    await world.put("imports", late_ms=0, pending_ms=100, running_ms=100)
    world.clock.ms += 30_000
    execution = await one.carry("alice", minutes=None)
    assert await world.members("88") == {}
    assert execution.id == (await world.uploads())[-1]["id"]


async def test_what_an_earlier_life_has_under_way_ends_before_anything_new_begins(world, life):
    await world.put("imports", pending_ms=600_000, running_ms=1000)
    await (await life(1)).die_after_the_upload("alice")
    world.clock.ms += 300_000
    later = await life(2)
    await later.importer.wait_for_others()
    assert (await world.uploads())[0]["status"] == "SUCCEEDED"
    await world.put("imports", pending_ms=1, running_ms=1)
    await later.carry("alice", minutes=None)
    assert await world.members("88") == {}


async def test_files_side_by_side_have_document_imports_of_their_own(world, life):
    one = await life()
    async with asyncio.TaskGroup() as tasks:
        for place in range(3):
            tasks.create_task(one.carry(f"user-{place}", place=place))
    assert len(set(await names(world))) == 3
    assert set(await world.members("88")) == {"user-0", "user-1", "user-2"}


async def test_where_nobody_of_ours_was_before_nothing_is_waited_for(world, life):
    foreign = await world.imports()
    made = await foreign.create("somebody-elses", FileFormat.NDJSON.mime_type)
    await world.put("imports", pending_ms=9 * HOUR_MS)
    one = await life()
    one.path.write_bytes(b"{}\n")
    await foreign.start(made.id, one.path, FileFormat.NDJSON.content_type)
    before = world.clock.ms
    await one.importer.wait_for_others()
    assert world.clock.ms == before


async def test_what_was_being_uploaded_when_its_sender_died_is_given_time_to_show_up(world, life):
    dead = await life(1)
    await dead.carry("before")
    await world.put("imports", late_ms=15_000, pending_ms=30_000, running_ms=1000)
    await dead.die_after_the_upload("alice")  # taken by the platform, and not listed yet
    await (await life(2)).importer.wait_for_others()
    assert [upload["status"] for upload in await world.uploads()] == ["SUCCEEDED"] * 2


async def test_a_file_that_the_platform_does_not_take_is_refused_with_its_words(world, life):
    one = await life()
    await world.faults({"kind": "status", "status": 400, "path": "*/executions", "method": "POST"})
    outcome = await one.outcome("alice")
    assert isinstance(outcome, Failed)
    assert outcome.refused is not None
    assert "400" in outcome.reason


async def test_a_document_import_that_somebody_deleted_is_made_anew(world, life):
    one = await life()
    await one.carry("alice")
    store(world).imports.clear()
    outcome = await one.outcome("bob")
    assert isinstance(outcome.refused, NotThere)
    assert (await one.carry("bob")).succeeded == 1


async def test_an_execution_that_is_not_listed_any_more_has_ended_without_success(world, life):
    one = await life()
    trip = one.trip("alice")

    def keep(trip):
        if trip.attempts and trip.attempts[-1].execution_id:
            store(world).of_import.clear()

    trip.keep = keep
    outcome = await one.importer.carry(0, trip)
    assert isinstance(outcome, Failed)
    assert "not listed any more" in outcome.reason


async def test_a_token_that_is_refused_holds_before_anything_is_made(world, life):
    one = await life(token="wrong")
    outcome = await one.outcome("alice")
    assert isinstance(outcome.error, LoginRefused)
    with pytest.raises(LoginRefused):
        await one.importer.wait_for_others()


@pytest.mark.parametrize(
    ("error_file", "named", "reason"),
    [
        ("document", {1: "bob"}, "user unknown"),
        ("csv", {1: "bob"}, ""),
        ("missing", {}, ""),
        ("none", {}, ""),
        ("opaque", {}, ""),
    ],
)
async def test_rejected_lines_are_guessed_where_there_is_something_to_read(
    world, life, error_file, named, reason
):
    one = await life()
    await world.put("imports", reject_containing='"bob"', error_file=error_file)
    outcome = await one.outcome("alice", "bob")
    assert (outcome.execution.succeeded, outcome.rejected) == (1, 1)
    found = await one.importer.hints(outcome, one.path.with_name(f"{one.path.name}-0"))
    assert (found.named, found.reason) == (named, reason)
