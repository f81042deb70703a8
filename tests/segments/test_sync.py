"""A sync, whole: export, comparison, import, over real HTTP; and when it is cut off."""

import json
import math
import random

import pytest

from relay.apis.errors import (
    AccessRefused,
    ExportError,
    ExportExpired,
    ExportOverdue,
    LoginRefused,
    NotThere,
    ServerFault,
)
from relay.disk import LocalStateError
from relay.errors import ExitStatus, InputError
from relay.segments.errors import ImportFailed, ImportOverdue, SegmentStopped
from relay.segments.formats import FileFormat
from relay.segments.lines import Target
from relay.segments.members import ExpiryPolicy
from relay.segments.policy import UploadPolicy
from relay.segments.user_ids import IdPolicy, IdType
from tests.support.segment_sync import SOURCE, WEEK, Syncs, csv_of

pytestmark = pytest.mark.slow

DAY_S = 86_400
PEOPLE = [f"u-{number}" for number in range(100)]


@pytest.fixture
def syncs(world, tmp_path):
    return Syncs(world, tmp_path)


async def test_the_first_sync_puts_everybody_in(syncs, world):
    report = await syncs.run(PEOPLE)
    await syncs.sees(PEOPLE)
    assert (report.outcome, report.commands, report.succeeded, report.rejected) == (
        "done", 100, 100, 0,
    )  # fmt: skip
    assert (report.members, report.unsure, report.parts) == (100, 0, 1)
    assert report.plan.entering == 100
    assert len(await world.uploads()) == 1


async def test_a_later_sync_sends_only_who_entered_and_who_left(syncs, world):
    await syncs.run(PEOPLE)
    after = [*PEOPLE[5:], "new-1", "new-2"]
    report = await syncs.run(after)
    await syncs.sees(after)
    assert (report.plan.entering, report.plan.leaving, report.plan.staying) == (2, 5, 95)
    assert [upload["lines"] for upload in await world.uploads()] == [100, 7]


async def test_a_sync_that_finds_nothing_to_do_uploads_nothing(syncs, world):
    await syncs.run(PEOPLE)
    report = await syncs.run(PEOPLE)
    assert (report.outcome, report.commands, report.parts) == ("done", 0, 0)
    assert len(await world.uploads()) == 1


async def test_members_are_renewed_before_they_expire_and_not_earlier(syncs, world):
    await syncs.run(PEOPLE)
    for day, renewed in ((3, 0), (4, 100), (6, 0), (8, 100)):
        await world.clock.sleep(day * DAY_S - (world.clock.ms - _START) / 1000)
        assert (await syncs.run(PEOPLE)).plan.renewing == renewed
        await syncs.sees(PEOPLE)


_START = 1_767_225_600_000


async def test_a_sync_that_nobody_runs_any_more_leaves_an_empty_segment(syncs, world):
    await syncs.run(PEOPLE)
    await world.clock.sleep(7 * DAY_S + 60)
    assert await world.members("7") == {}
    # Who is gone by itself enters anew, or needs no DELETE; no removal, so no safety stop.
    report = await syncs.run(PEOPLE[:10])
    assert (report.plan.members, report.plan.entering, report.plan.leaving) == (0, 10, 0)
    await syncs.sees(PEOPLE[:10])


async def test_with_an_expiration_of_zero_members_stay_and_nothing_is_renewed(world, tmp_path):
    syncs = Syncs(world, tmp_path, expiry=ExpiryPolicy(0, 0))
    await syncs.run(PEOPLE)
    await world.clock.sleep(400 * DAY_S)
    assert (await syncs.run(PEOPLE)).commands == 0
    await syncs.sees(PEOPLE)


async def test_rows_without_a_user_and_repeated_users_are_counted(syncs, world):
    await world.set_export(SOURCE, b"id,n\na,1\n,2\na,3\nnull,4\nb,5\n")
    plan = (await syncs.run()).plan
    assert (plan.rows, plan.users, plan.repeated, plan.without_id) == (5, 2, 1, 2)
    await syncs.sees(["a", "b"])


async def test_a_sync_by_address_sends_hashes_only(world, tmp_path):
    syncs = Syncs(
        world,
        tmp_path,
        target=Target("7", identifier="email_hash"),
        ids=IdPolicy(IdType.EMAIL, column="id"),
    )
    await syncs.run(["Jane@example.com"])
    await syncs.sees(["8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d"])
    on_disk = b"".join(path.read_bytes() for path in syncs.directory.iterdir())
    assert b"example.com" not in on_disk


@pytest.mark.parametrize("form", list(FileFormat))
async def test_a_large_segment_travels_in_several_files(world, tmp_path, form):
    syncs = Syncs(world, tmp_path, form=form, part_bytes_max=1000)
    report = await syncs.run(PEOPLE)
    uploads = await world.uploads()
    assert report.parts == len(uploads) > 2
    assert all(upload["bytes"] <= 1000 for upload in uploads)
    assert sum(upload["lines"] for upload in uploads) == 100
    assert len({upload["import"] for upload in uploads}) == len(uploads)
    await syncs.sees(PEOPLE)


async def test_no_more_executions_are_under_way_than_allowed(world, tmp_path):
    syncs = Syncs(world, tmp_path, part_bytes_max=1000, upload=UploadPolicy(in_flight_max=2))
    await world.put("imports", pending_ms=60_000)
    await syncs.run(PEOPLE)
    begun = [upload["created_ms"] for upload in await world.uploads()]
    assert all(later - earlier > 55_000 for earlier, later in zip(begun, begun[2:], strict=False))


async def test_it_says_when_it_uploads_and_when_it_only_waits(world, tmp_path):
    syncs = Syncs(world, tmp_path, part_bytes_max=1000, upload=UploadPolicy(in_flight_max=2))
    await world.put("imports", running_ms=8 * 3_600_000)
    with pytest.raises(ImportOverdue):
        await syncs.run(PEOPLE[:15])
    waiting = "waiting for mediarithmics to import"
    assert syncs.notes.begun[-2:] == ["uploading", waiting]
    syncs.notes.begun.clear()
    await syncs.run()
    assert syncs.notes.begun == [waiting]  # both files were uploaded before


async def test_a_plan_says_what_would_be_done_and_does_nothing(syncs, world):
    await syncs.run(PEOPLE)
    report = await syncs.run(PEOPLE[50:], plan_only=True)
    assert (report.outcome, report.plan.leaving) == ("planned", 50)
    assert report.plan.removal_share == 0.5
    assert len(await world.uploads()) == 1
    await syncs.sees(PEOPLE)


async def test_too_many_removals_stop_it_before_anything_is_uploaded(syncs, world):
    await syncs.run(PEOPLE)
    with pytest.raises(SegmentStopped, match="50 of 100") as caught:
        await syncs.run(PEOPLE[50:])
    assert caught.value.exit_status is ExitStatus.SEGMENT_STOPPED
    assert len(await world.uploads()) == 1
    await syncs.sees(PEOPLE)
    await syncs.run(PEOPLE[50:], allow_removals=True)
    await syncs.sees(PEOPLE[50:])


async def test_a_segment_does_not_vanish_in_a_few_runs_each_of_them_within_bounds(syncs, world):
    users = list(PEOPLE)
    await syncs.run(users)
    for _ in range(2):
        users = users[: int(len(users) * 0.71) + 1]
        await syncs.run(users)
    with pytest.raises(SegmentStopped, match="of 100 that there were within the last 28 days"):
        await syncs.run(users[: int(len(users) * 0.71) + 1])
    users = users[: int(len(users) * 0.71) + 1]
    await syncs.run(users, allow_removals=True)
    await syncs.run(users[:-2])  # what was allowed is the measure from then on
    await world.clock.sleep(6 * DAY_S)


async def test_growth_by_a_factor_stops_it_until_somebody_means_it(syncs, world):
    await syncs.run(PEOPLE[:20])
    with pytest.raises(SegmentStopped, match="100 users, after 20 the last time"):
        await syncs.run(PEOPLE)
    await syncs.sees(PEOPLE[:20])
    await syncs.run(PEOPLE, allow_growth=True)
    await syncs.sees(PEOPLE)


async def test_an_export_of_nobody_is_an_error_unless_it_is_meant(syncs, world):
    await syncs.run(PEOPLE[:5])
    with pytest.raises(InputError, match="names no user in 0 rows"):
        await syncs.run([])
    await syncs.sees(PEOPLE[:5])
    await syncs.run([], allow_empty=True)
    await syncs.sees([])


async def test_a_file_can_take_the_place_of_an_export(syncs, world, tmp_path):
    (tmp_path / "mine.csv").write_bytes(csv_of(["a", "b"]))
    report = await syncs.run(file=tmp_path / "mine.csv")
    assert report.outcome == "done"
    assert await world.exports() == []
    await syncs.sees(["a", "b"])


async def test_after_a_run_no_file_that_names_people_is_left(syncs):
    await syncs.run(PEOPLE)
    assert {path.name.partition("-")[0] for path in syncs.directory.iterdir()} <= {
        "ledger.sqlite", "lock",
    }  # fmt: skip


# What mParticle can do to it.


async def test_an_export_that_failed_ends_the_run_and_the_next_asks_anew(syncs, world):
    await world.put("mparticle", fail_next=1)
    with pytest.raises(ExportError, match="says no reason") as caught:
        await syncs.run(PEOPLE)
    assert caught.value.exit_status is ExitStatus.SEGMENT_EXPORT
    await syncs.run()
    assert len(await world.exports()) == 2
    await syncs.sees(PEOPLE)


async def test_an_export_without_a_file_name_is_asked_about_a_few_times(syncs, world):
    await world.put("mparticle", null_filename=3)
    await syncs.run(PEOPLE)
    await world.put("mparticle", null_filename=99)
    with pytest.raises(ExportError, match="names no file"):
        await syncs.run(PEOPLE)
    await syncs.sees(PEOPLE)


async def test_an_export_of_hours_is_waited_for_with_longer_and_longer_pauses(syncs, world):
    await world.put("mparticle", takes_ms=5 * 3_600_000)
    await syncs.run(PEOPLE)
    assert len(world.clock.waits) < 500
    await syncs.sees(PEOPLE)


async def test_patience_with_an_export_ends_but_the_export_is_not_forgotten(syncs, world):
    await world.put("mparticle", takes_ms=8 * 3_600_000)
    with pytest.raises(ExportOverdue):
        await syncs.run(PEOPLE)
    report = await syncs.run()
    assert report.resumed
    assert len(await world.exports()) == 1
    await syncs.sees(PEOPLE)


@pytest.mark.parametrize("gone", ["not_found", "dead_file"])
async def test_an_export_that_expired_before_it_was_fetched_is_asked_for_anew(syncs, world, gone):
    await world.put("mparticle", gone=gone, takes_ms=8 * 3_600_000)
    with pytest.raises(ExportOverdue):
        await syncs.run(PEOPLE)
    await world.put("mparticle", gone=gone, takes_ms=0, kept_ms=3_600_000)
    await syncs.run()
    assert len(await world.exports()) == 2
    await syncs.sees(PEOPLE)


async def test_a_signed_address_that_is_over_costs_a_new_export_and_not_a_day(syncs, world):
    await world.faults({"kind": "status", "status": 403, "path": "/upload-bucket/*", "times": 1})
    await syncs.run(PEOPLE)
    assert len(await world.exports()) == 2
    await syncs.sees(PEOPLE)
    await world.faults({"kind": "status", "status": 403, "path": "/upload-bucket/*"})
    with pytest.raises(ExportExpired, match="403"):
        await syncs.run(PEOPLE)
    assert len(await world.exports()) == 4  # and the run is over: the next one asks anew


async def test_a_500_to_the_request_is_one_ticket_and_not_two(syncs, world):
    await world.faults({"kind": "status", "status": 500, "path": "*/export/", "method": "POST"})
    with pytest.raises(ServerFault):
        await syncs.run(PEOPLE)
    posts = [path for method, path, _ in await world.requests() if method == "POST"]
    assert sum(path.endswith("/export/") for path in posts) == 1


async def test_an_export_that_always_expires_is_not_asked_for_for_ever(syncs, world):
    await world.put("mparticle", takes_ms=300, kept_ms=0)
    with pytest.raises(ExportExpired):
        await syncs.run(PEOPLE)
    assert len(await world.exports()) == 2


async def test_a_download_that_breaks_off_is_begun_again(syncs, world):
    await world.put("mparticle", cut_downloads=2)
    await syncs.run(PEOPLE)
    await syncs.sees(PEOPLE)


async def test_a_segment_that_does_not_exist_there_is_an_input_error(syncs):
    with pytest.raises(NotThere) as caught:
        await syncs.run()
    assert caught.value.exit_status is ExitStatus.INPUT


async def test_faults_while_waiting_are_borne_but_not_for_ever(syncs, world):
    fault = {"kind": "status", "status": 500, "method": "GET", "path": "*/export/*"}
    await world.faults(fault | {"times": 3})
    await syncs.run(PEOPLE)
    await world.faults(fault)
    with pytest.raises(ServerFault):
        await syncs.run(PEOPLE)


async def test_a_lost_answer_to_the_request_is_said_and_costs_a_second_export(syncs, world):
    await world.faults({"kind": "lost_answer", "path": "*/export/", "times": 1})
    await syncs.run(PEOPLE)
    assert len(await world.exports()) == 2
    assert any("two may be under way" in note for note in syncs.notes.said)
    await syncs.sees(PEOPLE)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"mpid\n1\n", "no column named id"),
        (b"id,n\na\n", "has 1 columns where"),
        ("id\nä\n".encode("latin-1"), "not UTF-8"),
        (b"", "is empty"),
    ],
)
async def test_an_export_that_cannot_be_read_uploads_nothing_and_loses_nothing(
    syncs, world, content, says
):
    await syncs.run(PEOPLE)
    await world.set_export(SOURCE, content)
    with pytest.raises(InputError, match=says):
        await syncs.run()
    assert len(await world.uploads()) == 1
    assert (await syncs.run(PEOPLE)).commands == 0


# What mediarithmics can do to it.


async def test_rejected_lines_are_reported_and_their_users_are_not_taken_for_members(syncs, world):
    await world.put("imports", reject_containing='"u-7"')
    report = await syncs.run(PEOPLE)
    assert (report.outcome, report.succeeded, report.rejected) == ("done", 99, 1)
    assert report.rejections == {"user unknown": 1}
    assert (report.members, report.unsure) == (99, 0)
    await world.put("imports")
    assert (await syncs.run(PEOPLE)).commands == 1
    await syncs.sees(PEOPLE)


@pytest.mark.parametrize("form", ["document", "csv"])
async def test_an_error_file_that_names_the_users_saves_the_search_for_them(syncs, world, form):
    await world.put("imports", reject_containing="-7", error_file=form)
    report = await syncs.run(PEOPLE)
    assert (report.executions, report.rejected) == (3, 11)
    assert (report.members, report.unsure) == (89, 0)
    await syncs.sees([user for user in PEOPLE if "-7" not in user])


async def test_an_error_file_that_is_misunderstood_blames_nobody(syncs, world):
    """It says `line 6`, and there is a user called 6."""
    users = [str(number) for number in range(1, 101)]
    await world.put("imports", reject_containing='"5"', error_file="number")
    report = await syncs.run(users)
    assert (report.members, report.rejected, report.unsure) == (99, 1, 0)
    await syncs.sees(set(users) - {"5"})


@pytest.mark.parametrize("form", ["number", "opaque", "missing", "none"])
async def test_where_the_error_file_does_not_tell_the_rejected_lines_are_found_out_in_one_run(
    syncs, world, form
):
    await world.put("imports", reject_containing='"u-7"', error_file=form)
    report = await syncs.run(PEOPLE)
    assert (report.outcome, report.succeeded, report.rejected) == ("done", 99, 1)
    assert (report.members, report.unsure, report.parts, report.commands) == (99, 0, 1, 100)
    assert report.executions <= 1 + 2 * math.log2(100) + 1
    await syncs.sees([user for user in PEOPLE if user != "u-7"])
    kept = (syncs.directory / "rejected.ndjson").read_text()
    assert [json.loads(line)["user_account_id"] for line in kept.splitlines()] == ["u-7"]


@pytest.mark.parametrize("form", list(FileFormat))
async def test_many_rejected_lines_that_nobody_names_cost_two_logarithms_each(
    world, tmp_path, form
):
    syncs = Syncs(world, tmp_path, form=form)
    users = [f"u-{number}" for number in range(2000)]
    options = {"seed": 1, "reject_rate": 0.01, "error_file": "opaque"}
    await world.put("imports", **options, pending_ms=0, running_ms=0)
    report = await syncs.run(users)
    bad = {user for user in users if _is_rejected(user, options)}
    assert report.rejected == len(bad) > 10
    assert report.executions <= len(bad) * 2 * math.log2(2000)
    await syncs.sees(set(users) - bad)
    # Whose last command was rejected fly apart from the others, and so cost one execution.
    again = await syncs.run([*users, *(f"new-{number}" for number in range(50))])
    assert again.executions == 2 + any(_is_rejected(f"new-{n}", options) for n in range(50)) * (
        again.executions - 2
    )
    assert again.rejected >= len(bad)


def _is_rejected(user, options):
    key = ("user_account_id", "1000", user)
    return random.Random(f"{options['seed']}:{key}").random() < options["reject_rate"]


async def test_a_limit_bounds_what_one_run_spends_and_the_next_goes_on_where_it_ended(
    world, tmp_path
):
    syncs = Syncs(world, tmp_path, upload=UploadPolicy(isolations_max=8))
    await world.put("imports", reject_containing='"u-7"', error_file="none")
    with pytest.raises(ImportFailed, match="1 lines were rejected, and which cannot be told"):
        await syncs.run(PEOPLE)
    left = (await syncs.run(PEOPLE, plan_only=True)).plan.again
    assert left < 10  # the others are members
    await syncs.run(PEOPLE)
    await syncs.sees([user for user in PEOPLE if user != "u-7"])


async def test_where_too_large_a_share_is_rejected_no_line_is_searched_for(world, tmp_path):
    syncs = Syncs(world, tmp_path, upload=UploadPolicy(isolation_share_max=0.05))
    users = [f"u-{number}" for number in range(2000)]
    await world.put("imports", reject_containing='"u-1', error_file="none")
    says = r"1111 of 2000 lines were rejected \(55.5%\), more than segments.imports.isolation_share"
    with pytest.raises(ImportFailed, match=says):
        await syncs.run(users)
    assert len(await world.uploads()) == 1
    await world.put("imports")
    await syncs.run(users)
    await syncs.sees(users)


async def test_pieces_that_are_not_sent_any_more_leave_their_users_in_doubt(world, tmp_path):
    """Some of them were taken when the whole was sent: a member that nobody knows of would stay."""
    syncs = Syncs(world, tmp_path, upload=UploadPolicy(in_flight_max=1))
    await world.put("imports", reject_containing='"u-7"', error_file="none")
    await world.faults(
        {"kind": "status", "status": 401, "path": "*/executions", "method": "POST", "skip": 1}
    )
    with pytest.raises(LoginRefused):
        await syncs.run(PEOPLE)
    await world.faults()
    await world.put("imports")
    await world.clock.sleep(25 * 3600)  # the open run is out of date
    report = await syncs.run(PEOPLE[:50], allow_removals=True)
    assert report.plan.leaving == 50
    await syncs.sees(PEOPLE[:50])


async def test_a_run_that_ends_while_a_file_is_taken_apart_is_gone_on_with(world, tmp_path):
    syncs = Syncs(world, tmp_path, upload=UploadPolicy(in_flight_max=1))
    await world.put("imports", reject_containing='"u-7"', error_file="none")
    await world.faults(
        {"kind": "status", "status": 401, "path": "*/executions", "method": "POST", "skip": 6}
    )
    with pytest.raises(LoginRefused):
        await syncs.run(PEOPLE)
    await world.faults()
    report = await syncs.run()
    assert report.resumed
    assert (report.succeeded, report.rejected, report.unsure) == (99, 1, 0)
    await syncs.sees([user for user in PEOPLE if user != "u-7"])


async def test_an_upload_that_is_always_answered_5xx_is_counted_and_ends(syncs, world):
    await world.faults({"kind": "status", "status": 502, "path": "*/executions", "method": "POST"})
    with pytest.raises(ServerFault, match=r"3 uploads did not get through: .*502"):
        await syncs.run(PEOPLE)
    posts = [path for method, path, _ in await world.requests() if method == "POST"]
    assert sum(path.endswith("/executions") for path in posts) == 3
    await world.faults()
    report = await syncs.run()  # the run was left open
    assert report.resumed
    assert len(await world.uploads()) == 1
    await syncs.sees(PEOPLE)


@pytest.mark.parametrize("step_ms", [-3_600_000, 8 * 3_600_000])
async def test_a_step_of_the_wall_clock_neither_stops_nor_ends_a_wait(
    syncs, world, step_ms, monkeypatch
):
    await world.put("imports", pending_ms=0, running_ms=max(0, step_ms) + 60_000)
    await world.put("mparticle", takes_ms=max(0, step_ms) + 60_000)
    sleep = world.clock.sleep

    async def stepping(seconds):
        await sleep(seconds)
        if len(world.clock.waits) in (3, 12):
            world.clock.ms += step_ms

    monkeypatch.setattr(world.clock, "sleep", stepping)
    began = world.clock.steady()
    await syncs.run(PEOPLE)
    assert world.clock.steady() - began < 8000 + (2 * 3600 if step_ms < 0 else 0)
    await syncs.sees(PEOPLE)


@pytest.mark.parametrize("counts", ["wrong", "none"])
async def test_counts_that_disagree_or_are_missing_are_not_believed(syncs, world, counts):
    await world.put("imports", counts=counts)
    with pytest.raises(ImportFailed, match="the platform") as caught:
        await syncs.run(PEOPLE)
    assert caught.value.exit_status is ExitStatus.SEGMENT_IMPORT
    await world.put("imports", counts="parameters")
    assert (await syncs.run(PEOPLE)).plan.again == 100


async def test_missing_counts_can_be_taken_on_trust(world, tmp_path):
    syncs = Syncs(world, tmp_path, upload=UploadPolicy(verify_counts=False))
    await world.put("imports", counts="none")
    assert (await syncs.run(PEOPLE)).unsure == 0


async def test_an_execution_that_failed_half_way_is_made_again(syncs, world):
    await world.put("imports", fail_rate=0.5, seed=2)
    report = await syncs.run(PEOPLE)
    assert [upload["status"] for upload in await world.uploads()] == ["FAILED", "SUCCEEDED"]
    assert report.unsure == 0
    await syncs.sees(PEOPLE)


async def test_executions_that_always_fail_end_the_run_and_the_next_mends_the_segment(syncs, world):
    await syncs.run(PEOPLE)
    await world.put("imports", fail_rate=1)
    after = [*PEOPLE[10:], *(f"new-{number}" for number in range(10))]
    with pytest.raises(ImportFailed, match="3 executions ended as FAILED: the executor stopped"):
        await syncs.run(after)
    await world.put("imports")
    # Nobody knows what was done: who was to enter or to leave is sent again, and nobody else.
    report = await syncs.run(after)
    assert report.commands == 20
    await syncs.sees(after)


async def test_after_a_half_done_import_a_change_of_mind_still_ends_right(syncs, world):
    await world.put("imports", fail_rate=1, fail_applied=1.0)
    with pytest.raises(ImportFailed):
        await syncs.run(PEOPLE)
    await world.put("imports")
    report = await syncs.run(PEOPLE[:60], allow_removals=True)
    assert report.plan.leaving == 40
    await syncs.sees(PEOPLE[:60])


@pytest.mark.parametrize("status", ["EXECUTOR_NOT_RESPONDING", "LOST"])
async def test_other_words_for_failure_are_failures(syncs, world, status):
    await world.put("imports", fail_rate=1, fail_status=status)
    with pytest.raises(ImportFailed, match=status):
        await syncs.run(PEOPLE)


async def test_an_execution_that_somebody_canceled_is_not_made_again_by_this_run(syncs, world):
    await world.put("imports", fail_rate=1, fail_status="CANCELED")
    with pytest.raises(ImportFailed, match="was canceled on the platform") as caught:
        await syncs.run(PEOPLE)
    assert caught.value.exit_status is ExitStatus.SEGMENT_IMPORT
    assert len(await world.uploads()) == 1
    await world.put("imports")
    assert (await syncs.run(PEOPLE)).plan.again == 100
    await syncs.sees(PEOPLE)


async def test_the_older_word_for_success_is_success(syncs, world):
    await world.put("imports", success_status="SUCCESS")
    await syncs.run(PEOPLE)
    await syncs.sees(PEOPLE)


async def test_an_unknown_status_is_waited_out_and_never_taken_for_success(syncs, world):
    await world.put("imports", success_status="ARCHIVED")
    with pytest.raises(ImportOverdue, match="still ARCHIVED"):
        await syncs.run(PEOPLE)
    await world.put("imports")
    with syncs.ledger() as ledger:
        assert ledger.open_run() is not None


async def test_an_execution_of_hours_outlives_our_patience_and_is_found_again(syncs, world):
    await world.put("imports", running_ms=8 * 3_600_000)
    with pytest.raises(ImportOverdue):
        await syncs.run(PEOPLE)
    report = await syncs.run()
    assert report.resumed
    assert len(await world.uploads()) == 1
    await syncs.sees(PEOPLE)


async def test_a_segment_that_does_not_exist_here_rejects_every_line(syncs, world):
    await world.put("imports", segments=["8"])
    report = await syncs.run(PEOPLE)
    assert (report.rejected, report.members) == (100, 0)
    assert report.rejections == {"segment unknown": 100}


async def test_a_refused_upload_ends_the_run_and_leaves_nothing_open(syncs, world):
    await world.faults({"kind": "status", "status": 413, "path": "*/executions", "method": "POST"})
    with pytest.raises(ImportFailed, match="413"):
        await syncs.run(PEOPLE)
    await world.faults()
    report = await syncs.run()
    assert not report.resumed
    await syncs.sees(PEOPLE)


async def test_one_refused_file_of_many_abandons_those_that_were_not_begun(world, tmp_path):
    syncs = Syncs(world, tmp_path, part_bytes_max=1000, upload=UploadPolicy(in_flight_max=1))
    await world.faults(
        {
            "kind": "status",
            "status": 422,
            "path": "*/executions",
            "method": "POST",
            "skip": 2,
            "times": 1,
        }
    )
    with pytest.raises(ImportFailed, match=r"part 3: .*422"):
        await syncs.run(PEOPLE)
    assert len(await world.uploads()) == 2
    await syncs.run()
    await syncs.sees(PEOPLE)


@pytest.mark.parametrize(("status", "kind"), [(401, LoginRefused), (403, AccessRefused)])
async def test_a_refused_token_keeps_the_run_open(syncs, world, status, kind):
    await world.faults({"kind": "status", "status": status, "path": "/v1/*"})
    with pytest.raises(kind) as caught:
        await syncs.run(PEOPLE)
    assert caught.value.exit_status is ExitStatus.DESTINATION
    await world.faults()
    report = await syncs.run()
    assert report.resumed
    assert len(await world.exports()) == 1
    await syncs.sees(PEOPLE)


# Lost answers.


@pytest.mark.parametrize("path", ["*/document_imports", "*/executions"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost_answer"},
        {"kind": "closed"},
        {"kind": "status", "status": 502, "after_storing": True},
        {"kind": "status", "status": 502},
    ],
)
async def test_an_upload_whose_answer_was_lost_is_looked_for_before_it_is_made_again(
    syncs, world, path, fault
):
    await world.faults(fault | {"path": path, "method": "POST", "times": 1})
    report = await syncs.run(PEOPLE)
    assert len(await world.uploads()) == 1
    await syncs.sees(PEOPLE)
    stored = fault["kind"] == "lost_answer" or fault.get("after_storing", False)
    assert report.adopted == (path == "*/executions" and stored)


async def test_an_execution_that_shows_up_late_is_adopted_within_the_time_for_it(syncs, world):
    await world.put("imports", late_ms=40_000)
    await world.faults(
        {"kind": "lost_answer", "path": "*/executions", "method": "POST", "times": 1}
    )
    report = await syncs.run(PEOPLE)
    assert report.adopted == 1
    assert len(await world.uploads()) == 1


async def test_one_that_shows_up_after_that_is_waited_for_and_reported(syncs, world):
    await world.put("imports", late_ms=100_000, running_ms=120_000)
    await world.faults(
        {"kind": "lost_answer", "path": "*/executions", "method": "POST", "times": 1}
    )
    await syncs.run(PEOPLE)
    assert len(await world.uploads()) == 2
    assert any("one more than was asked for" in note for note in syncs.notes.said)
    assert len({upload["sha256"] for upload in await world.uploads()}) == 1
    await syncs.sees(PEOPLE)


# What happens between runs.


async def test_an_open_run_that_is_out_of_date_is_seen_through_and_not_gone_on_with(
    world, tmp_path
):
    syncs = Syncs(world, tmp_path, part_bytes_max=1000, upload=UploadPolicy(in_flight_max=2))
    await world.put("imports", running_ms=8 * 3_600_000)
    with pytest.raises(ImportOverdue):
        await syncs.run(PEOPLE)
    assert len(await world.uploads()) == 2
    await world.clock.sleep(30 * 3600)
    await world.put("imports")
    after = PEOPLE[30:]
    report = await syncs.run(after, allow_removals=True)
    assert not report.resumed
    await syncs.sees(after)
    names = [upload["import"].rpartition("-part-")[0] for upload in await world.uploads()]
    assert names.count(names[0]) == 2  # nothing of the old run was begun any more


async def test_fresh_begins_anew_and_a_file_does_too(syncs, world, tmp_path):
    await world.put("imports", running_ms=8 * 3_600_000)
    with pytest.raises(ImportOverdue):
        await syncs.run(PEOPLE)
    await world.put("imports")
    report = await syncs.run(PEOPLE[1:], fresh=True)
    assert not report.resumed
    await syncs.sees(PEOPLE[1:])


async def test_another_source_in_the_settings_does_not_go_on_with_the_old_export(world, tmp_path):
    syncs = Syncs(world, tmp_path)
    await world.put("mparticle", takes_ms=8 * 3_600_000)
    with pytest.raises(ExportOverdue):
        await syncs.run(PEOPLE)
    await world.put("mparticle")
    await world.set_export("other", csv_of(["z"]))
    syncs.changes = {"source_segment_id": "other"}
    await syncs.run()
    await syncs.sees(["z"])


async def test_a_ledger_of_another_target_is_not_used(world, tmp_path):
    syncs = Syncs(world, tmp_path)
    await syncs.run(PEOPLE)
    syncs.changes = {"target": Target("8", compartment_id="1000")}
    with pytest.raises(LocalStateError, match="another segment"):
        await syncs.run(PEOPLE)


async def test_an_expiry_that_is_changed_in_the_settings_reaches_everybody(world, tmp_path):
    syncs = Syncs(world, tmp_path, expiry=ExpiryPolicy(0, 0))
    await syncs.run(PEOPLE)
    syncs.changes = {"expiry": ExpiryPolicy(WEEK, WEEK // 2)}
    assert (await syncs.run(PEOPLE)).plan.renewing == 100
    await syncs.sees(PEOPLE)


async def test_a_file_that_was_tampered_with_is_not_uploaded(syncs, world):
    await world.faults({"kind": "status", "status": 401, "path": "*/executions"})
    with pytest.raises(LoginRefused):
        await syncs.run(PEOPLE)
    await world.faults()
    (syncs.directory / "part-0001.ndjson").write_bytes(b"")
    with pytest.raises(LocalStateError, match="not the file that was written"):
        await syncs.run()
    await syncs.run(fresh=True)
    await syncs.sees(PEOPLE)


async def test_without_its_ledger_a_sync_sends_everybody_again_and_expiry_does_the_rest(
    syncs, world
):
    await syncs.run(PEOPLE)
    for path in syncs.directory.iterdir():
        path.unlink()
    await syncs.run(PEOPLE[50:])
    assert set(await world.members("7")) == set(PEOPLE)  # who left meanwhile is not known here …
    await world.clock.sleep(6 * DAY_S)
    await syncs.run(PEOPLE[50:])
    await world.clock.sleep(2 * DAY_S)
    await syncs.sees(PEOPLE[50:])  # … and is gone when the week is over
