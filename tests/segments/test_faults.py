"""Seeds of faults over all three vendors: the result is right, or it is said and can be gone on.

Each seed plays some days. Every day the segment changes, the vendors fail in their own ways and in
ways of the network, and the sync is run a few times. A run that reports success must leave the
segment as it should be, user by user. A run that does not must end with a known status and leave a
ledger that the next run can use. In the end the vendors are well again, and everything is right.
"""

import random
from collections import Counter
from datetime import timedelta

import pytest

from relay.apis.digital_audience import utc_7_digits
from relay.apis.errors import AnswerLost, NotThere
from relay.errors import ExitStatus, RelayError
from relay.segments.formats import FileFormat
from relay.segments.policy import UploadPolicy
from tests.support.segment_sync import Syncs
from tests.support.segment_world import world

pytestmark = pytest.mark.slow

DAYS = 3
RUNS = 6
ADOPTION_S = 60
KNOWN = {
    ExitStatus.DESTINATION,
    ExitStatus.INPUT,
    ExitStatus.SEGMENT_EXPORT,
    ExitStatus.SEGMENT_IMPORT,
}
PEOPLE = [f"person-{number}" for number in range(150)]


def network(rng):
    """What goes wrong between us and anybody."""
    rate = rng.choice([0.02, 0.05, 0.1])
    kinds = [
        {"kind": "lost_answer"},
        {"kind": "closed"},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 429, "retry_after_s": rng.choice([0, 1, 30, 4000])},
        {"kind": "status", "status": 503, "retry_after_s": 5},
        {"kind": "status", "status": rng.choice([500, 502, 504]), "after_storing": True},
        {"kind": "status", "status": rng.choice([500, 502, 504])},
        {"kind": "status", "status": rng.choice([401, 403]), "times": 2},
        {"kind": "status", "status": rng.choice([400, 404, 422]), "times": 1},
    ]
    return [kind | {"rate": rate} for kind in rng.sample(kinds, rng.randint(1, 3))]


def platform(rng, seed):
    """What goes wrong at mediarithmics."""
    return {
        "seed": seed,
        "running_ms": rng.choice([0, 1000, 120_000, 7 * 3_600_000]),
        "late_ms": rng.choice([0, 0, 20_000]),
        "fail_rate": rng.choice([0, 0, 0.3, 0.7]),
        "fail_applied": rng.choice([0.0, 0.5, 1.0]),
        "fail_status": rng.choice(["FAILED", "LOST", "EXECUTOR_NOT_RESPONDING"]),
        "reject_rate": rng.choice([0, 0, 0.05]),
        "error_file": rng.choice(["document", "number", "csv", "opaque", "missing"]),
        "counts": rng.choice(["result", "result", "parameters", "none"]),
        "ids_as_numbers": rng.random() < 0.5,
    }


def exports(rng):
    """What goes wrong at mParticle."""
    return {
        "takes_ms": rng.choice([0, 5000, 3_600_000]),
        "fail_next": rng.choice([0, 0, 1]),
        "null_filename": rng.choice([0, 0, 2, 6]),
        "cut_downloads": rng.choice([0, 1, 5]),
        "top_level_project_id": rng.random() < 0.5,
        "gone": rng.choice(["not_found", "dead_file"]),
    }


def rejected(user, options):
    """Whether the stand-in rejects this user's lines."""
    key = ("user_account_id", "1000", user)
    chance = random.Random(f"{options['seed']}:{key}").random()
    return chance < options["reject_rate"]


def clear(error):
    """An error somebody can act on, with a status of its own, that names nobody."""
    assert error.exit_status in KNOWN, error
    assert "person-" not in str(error)
    assert "\n" not in str(error)


async def day(here, syncs, rng, wanted, options):
    """Try to bring the segment in step; whether a run said that it is."""
    before = set(await here.members("7"))
    for _ in range(RUNS):
        try:
            report = await syncs.run(wanted, allow_removals=True)
        except RelayError as error:
            clear(error)
            await here.clock.sleep(rng.choice([0, 60, 3600, 30 * 3600]))
            continue
        if report.plan.users != len(wanted) or report.resumed:
            continue  # it went on with an older export: right for that one
        taken = {user for user in wanted if not rejected(user, options)}
        kept = {user for user in before if rejected(user, options)}
        now = set(await here.members("7"))
        # Some may have expired meanwhile, if nobody could renew them.
        assert now - kept == taken
        assert now - taken <= kept
        return


async def audiences(here, rng, number):
    """Steer a segment at Digital Audience; nothing may happen twice."""
    api = await here.audience()
    made = (await here.admin.get("/_sandbox/digital_audience")).json()["audiences"]
    try:
        await api.call("create", name=f"audience-{number}", campaignId=31)
        created = 1
    except AnswerLost:
        created = None
    except RelayError as error:
        clear(error)
        created = 0
    after = (await here.admin.get("/_sandbox/digital_audience")).json()["audiences"]
    assert len(after) - len(made) in ((0, 1) if created is None else (created,))
    end = here.start + timedelta(days=rng.randint(1, 500))
    try:
        await api.call("extend", segmentid=501, endDate=utc_7_digits(end))
        segments = (await here.admin.get("/_sandbox/digital_audience")).json()["segments"]
        assert segments[0]["endDate"].startswith(f"{end:%Y-%m-%dT%H:%M:%S}")
    except RelayError as error:
        clear(error)


async def play(seed, tmp_path, *, sample=False):
    rng = random.Random(seed)
    async with world() as here:
        upload = UploadPolicy(
            adoption_s=ADOPTION_S,
            in_flight_max=rng.choice([1, 4]),
            verify_counts=not sample,
            poll_s_max=600,
        )
        form = rng.choice(list(FileFormat))
        syncs = Syncs(
            here, tmp_path, upload=upload, form=form, part_bytes_max=rng.choice([3000, 10**6])
        )
        wanted = rng.sample(PEOPLE, 100)
        for number in range(DAYS):
            options = platform(rng, seed)
            if sample:  # of an execution the page shows no more than that it can be created
                options |= {"counts": "none", "error_file": "none", "reject_rate": 0}
            await here.put("imports", **options)
            await here.put("mparticle", **exports(rng))
            await here.put(
                "digital_audience",
                empty_answers=sample or rng.random() < 0.3,
                page=rng.random() < 0.2,
            )
            await here.faults(*network(rng), seed=seed)
            await day(here, syncs, rng, wanted, options)
            await audiences(here, rng, number)
            wanted = sorted(set(wanted) - set(rng.sample(wanted, 20)) | set(rng.sample(PEOPLE, 20)))
            await here.clock.sleep(86_400)
        await here.faults()
        await here.put("imports", **({"counts": "none"} if sample else {}))
        await here.put("mparticle")
        for _ in range(3):  # to see through what is open, then to bring it in step
            try:
                report = await syncs.run(wanted, allow_removals=True)
            except RelayError as error:
                clear(error)
                continue
            if not report.resumed:
                break
        await syncs.sees(wanted)
        api = await here.audience()
        await here.put("digital_audience")
        await api.call("delete", "501")
        with pytest.raises(NotThere):
            await api.call("delete", "501")
        done = Counter(u["import"] for u in await here.uploads() if u["status"] == "SUCCEEDED")
        assert max(done.values()) == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.timeout(300)
async def test_under_a_few_seeds_of_faults_a_segment_is_never_wrong(seed, tmp_path):
    await play(seed, tmp_path)


@pytest.mark.storm(cases=6)
@pytest.mark.parametrize("seed", range(50))
@pytest.mark.timeout(300)
async def test_under_fifty_seeds_of_faults_a_segment_is_never_wrong(seed, tmp_path):
    await play(seed, tmp_path)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.timeout(300)
async def test_on_what_the_pages_show_and_no_more_a_segment_is_never_wrong(seed, tmp_path):
    await play(seed, tmp_path, sample=True)


@pytest.mark.storm(cases=6)
@pytest.mark.parametrize("seed", range(50))
@pytest.mark.timeout(300)
async def test_under_fifty_seeds_on_what_the_pages_show_a_segment_is_never_wrong(seed, tmp_path):
    await play(seed, tmp_path, sample=True)
