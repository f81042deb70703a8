"""The importer against the sandbox over real HTTP, on a clock that waiting moves."""

import random

import pytest

from relay.apis.errors import LoginRefused, NotThere
from relay.apis.mediarithmics_document_imports import Phase
from relay.membership.importer import FileRefused, Importer
from relay.membership.policy import ImporterPolicy
from relay.sandbox.segment_store import SegmentStore
from relay.segments.formats import FileFormat, encoder
from relay.segments.lines import Target, command
from relay.segments.model import Operation

NAME = "relay-membership-test"
HOUR_MS = 3_600_000


class Life:
    """One process's importer, and a file to import."""

    def __init__(self, world, imports, directory, seed):
        self.path = directory / f"commands-{seed}"
        self.errors = directory / f"errors-{seed}"
        self.facts = []
        self.importer = Importer(
            imports,
            ImporterPolicy(NAME, poll_s=1.0, poll_s_max=4.0, adoption_s=20.0, fence_hours=3),
            clock=world.clock,
            rng=random.Random(seed),
            emit=self.facts.append,
            sleep=world.clock.sleep,
        )

    async def begin(self, *users, operation=Operation.UPDATE):
        line = encoder(FileFormat.NDJSON).line
        target = Target("88", compartment_id="1000")
        lines = (line(command(target, user, operation, 0)) for user in users)
        self.path.write_bytes(b"".join(lines))
        return await self.importer.begin(self.path)

    async def carry(self, *users, operation=Operation.UPDATE):
        return await self.importer.end(await self.begin(*users, operation=operation))


@pytest.fixture
def life(world, tmp_path):
    async def begin(seed=1, **options):
        return Life(world, await world.imports(**options), tmp_path, seed)

    return begin


def store(world):
    return world.state.keep(SegmentStore, lambda: SegmentStore(world.state))


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
    execution = await one.carry("alice")
    assert execution.succeeded == 1
    assert len(await world.uploads()) == 2
    assert [fact.name() for fact in one.facts] == ["membership_import_adopted"]


async def test_an_upload_that_never_arrived_is_made_again(world, life):
    one = await life()
    await world.faults({"kind": "closed", "path": "*/executions", "method": "POST", "times": 1})
    assert (await one.carry("alice")).succeeded == 1
    assert len(await world.uploads()) == 1
    assert one.facts == []


async def test_an_execution_that_shows_up_late_is_not_taken_for_a_later_one(world, life):
    """Its upload was given up for lost and made again; it must end before the next file goes."""
    one = await life()
    await world.put("imports", late_ms=40_000, pending_ms=50_000, running_ms=10_000)
    await world.faults(
        {"kind": "lost_answer", "path": "*/executions", "method": "POST", "times": 1}
    )
    await one.begin("alice")
    await world.put("imports", late_ms=0, pending_ms=100, running_ms=100)
    world.clock.ms += 60_000
    execution = await one.carry("alice", operation=Operation.DELETE)
    assert await world.members("88") == {}
    assert execution.id == (await world.uploads())[-1]["id"]


async def test_what_an_earlier_life_has_under_way_ends_before_anything_new_begins(world, life):
    await world.put("imports", pending_ms=2 * HOUR_MS, running_ms=1000)
    await (await life(1)).begin("alice")
    world.clock.ms += HOUR_MS
    later = await life(2)
    await later.importer.wait_for_others()
    assert (await world.uploads())[0]["status"] == "SUCCEEDED"
    await world.put("imports", pending_ms=1, running_ms=1)
    await later.carry("alice", operation=Operation.DELETE)
    assert await world.members("88") == {}


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
    await dead.begin("alice")  # taken by the platform, and not listed yet
    await (await life(2)).importer.wait_for_others()
    assert [upload["status"] for upload in await world.uploads()] == ["SUCCEEDED"] * 2


async def test_a_file_that_the_platform_does_not_take_is_refused_with_its_words(world, life):
    one = await life()
    await world.faults({"kind": "status", "status": 400, "path": "*/executions", "method": "POST"})
    with pytest.raises(FileRefused, match="400"):
        await one.begin("alice")


async def test_a_document_import_that_somebody_deleted_is_made_anew(world, life):
    one = await life()
    await one.carry("alice")
    store(world).imports.clear()
    with pytest.raises(NotThere):
        await one.begin("bob")
    assert (await one.carry("bob")).succeeded == 1


async def test_an_execution_that_is_not_listed_any_more_has_ended_without_success(world, life):
    one = await life()
    execution_id = await one.begin("alice")
    store(world).executions.clear()
    execution = await one.importer.end(execution_id)
    assert execution.phase is Phase.UNKNOWN
    assert execution.status == "not listed any more"


async def test_a_token_that_is_refused_is_raised_before_anything_is_made(world, life):
    one = await life(token="wrong")
    with pytest.raises(LoginRefused):
        await one.begin("alice")
    with pytest.raises(LoginRefused):
        await one.importer.wait_for_others()


@pytest.mark.parametrize(
    ("error_file", "users"),
    [("document", ["bob"]), ("csv", ["bob"]), ("missing", []), ("none", []), ("opaque", [])],
)
async def test_rejections_are_read_where_there_is_something_to_read(world, life, error_file, users):
    one = await life()
    await world.put("imports", reject_containing='"bob"', error_file=error_file)
    execution = await one.carry("alice", "bob")
    assert (execution.succeeded, execution.failed) == (1, 1)
    found = await one.importer.rejections(execution, one.errors)
    assert [rejection.user for rejection in found] == users
