"""mParticle's export API: the client against the stand-in, and the vendor's own samples."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from relay.apis.addresses import MPARTICLE_URL
from relay.apis.caller import Caller
from relay.apis.errors import (
    AccessRefused,
    AnswerLost,
    AnswerUnusable,
    ExportExpired,
    LoginRefused,
    NotThere,
    ServerFault,
    Throttled,
)
from relay.apis.mparticle_segments import (
    Export,
    MparticleSegments,
)
from relay.errors import ExitStatus

SAMPLES = json.loads((Path(__file__).parent / "mparticle_samples.json").read_text("utf-8"))
SEGMENT = "82200474-c131-4f7b-a35e-381469af31a7"


def answering(body, status=200):
    asked = []

    def handle(request):
        asked.append(request)
        return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body))

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle), base_url=MPARTICLE_URL)
    return MparticleSegments(Caller("mParticle", client, random.Random(0))), asked


async def test_the_vendors_sample_list_is_read():
    api, asked = answering(SAMPLES["list"])
    [segment] = await api.segments()
    assert str(asked[0].url) == f"{MPARTICLE_URL}/service/v1/segments/list"
    assert segment.segment_id == SEGMENT
    assert segment.name == "My Segment"
    assert segment.description == "This is my segment"
    assert segment.category is None
    assert segment.project_id == "5a6646c4-ae5a-4de4-9d47-eb6f228405b2"
    assert segment.type == "Static"
    assert segment.last_run == datetime(2019, 4, 9, 12, 25, 6, tzinfo=UTC)


async def test_the_api_key_is_the_user_name_and_the_access_token_the_password(world):
    await world.put("mparticle", credentials=["5a6646c4", "nux06hkn870v0ni4fhtd81kf"])
    await world.set_export(SEGMENT, b"mpid\n1\n")
    api = await world.mparticle("5a6646c4", "nux06hkn870v0ni4fhtd81kf")
    await api.export((await api.request_export(SEGMENT)).export_id)
    assert await api.segments()
    with pytest.raises(LoginRefused):
        await (await world.mparticle("nux06hkn870v0ni4fhtd81kf", "5a6646c4")).segments()


NULLABLE = {"description", "category", "lastRun"}


@pytest.mark.parametrize("field", SAMPLES["list"][0])
async def test_a_field_of_a_segment_may_be_null_where_the_page_says_so_and_nowhere_else(field):
    api, _ = answering([SAMPLES["list"][0] | {field: None}])
    if field in NULLABLE:
        assert len(await api.segments()) == 1
    else:
        with pytest.raises(AnswerUnusable, match=field):
            await api.segments()


@pytest.mark.parametrize("word", ["Static", "Dynamic", "a type of tomorrow"])
async def test_a_type_of_segment_is_told_as_it_came(word):
    api, _ = answering([SAMPLES["list"][0] | {"type": word}])
    assert (await api.segments())[0].type == word


@pytest.mark.parametrize("status", ["PENDING", "COMPLETE", "FAILED"])
async def test_every_status_of_the_page_is_known(status):
    api, _ = answering(SAMPLES["complete"] | {"status": status})
    assert (await api.export("x")).status == status


async def test_the_vendors_sample_request_is_sent_and_its_answer_read():
    api, asked = answering(SAMPLES["requested"])
    export = await api.request_export(SEGMENT)
    assert asked[0].method == "POST"
    assert str(asked[0].url) == f"{MPARTICLE_URL}/service/v1/segments/export/"
    assert asked[0].headers["content-type"] == "application/json"
    assert json.loads(asked[0].content) == {"segmentId": SEGMENT, "outputFormat": "csv"}
    assert export.export_id == "8f9fdd71-204c-41e1-a2ab-de7f85002f65"
    assert export.status == "PENDING"
    assert export.start_time == datetime(2019, 4, 9, 14, 45, 7, tzinfo=UTC)
    assert export.end_time is None
    assert export.filename is None
    # Not at the top of either sample, though the table says it is never null.
    assert export.project_id == "5a6646c4-ae5a-4de4-9d47-eb6f228405b2"


async def test_the_vendors_sample_status_is_read():
    api, asked = answering(SAMPLES["complete"])
    export = await api.export("8f9fdd71-204c-41e1-a2ab-de7f85002f65")
    assert str(asked[0].url).endswith("/export/8f9fdd71-204c-41e1-a2ab-de7f85002f65")
    assert export.status == "COMPLETE"
    assert export.end_time == datetime(2019, 4, 9, 14, 45, 42, tzinfo=UTC)
    assert export.filename == "s3://upload-bucket/path/to/8f9fdd71-204c-41e1-a2ab-de7f85002f65.csv"
    assert export.segment.segment_id == SEGMENT


async def test_a_top_level_project_id_is_preferred_where_there_is_one():
    api, _ = answering(SAMPLES["complete"] | {"projectId": "p-2"})
    assert (await api.export("x")).project_id == "p-2"


def test_a_location_is_not_shown():
    sample = SAMPLES["complete"] | {"filename": "https://x/?Signature=s3cret"}
    export = Export.model_validate(sample)
    assert export.filename.endswith("s3cret")
    assert "s3cret" not in repr(export)


@pytest.mark.parametrize(
    "change",
    [{"status": "EXPLODED"}, {"exportId": None}, {"segment": None}, {"startTime": "yesterday"}],
)
async def test_an_answer_with_an_unknown_word_or_a_missing_field_is_not_guessed_at(change):
    api, _ = answering(SAMPLES["complete"] | change)
    with pytest.raises(AnswerUnusable, match=next(iter(change))):
        await api.export("x")


async def test_an_export_is_pending_then_complete_with_a_file(world):
    await world.set_export(SEGMENT, b"mpid\n1\n", name="Churn", type="Static")
    api = await world.mparticle()
    [segment] = await api.segments()
    assert (segment.segment_id, segment.name, segment.last_run) == (SEGMENT, "Churn", None)
    asked = await api.request_export(SEGMENT)
    assert (asked.status, asked.filename) == ("PENDING", None)
    await world.clock.sleep(1)
    done = await api.export(asked.export_id)
    assert done.status == "COMPLETE"
    assert done.filename.startswith("http")


async def test_each_refusal_is_told_apart(world):
    await world.set_export(SEGMENT, b"mpid\n1\n")
    await world.put("mparticle", credentials=["key", "token"])
    with pytest.raises(LoginRefused, match="api_key and access_token") as caught:
        await (await world.mparticle()).segments()
    assert caught.value.exit_status is ExitStatus.DESTINATION
    await world.put("mparticle", forbidden=True)
    with pytest.raises(AccessRefused, match="no access to the Export API"):
        await (await world.mparticle()).segments()
    await world.put("mparticle")
    with pytest.raises(NotThere):
        await (await world.mparticle()).request_export("nobody-knows")


async def test_throttling_is_waited_out_with_and_without_retry_after(world):
    api = await world.mparticle()
    for rule in ({"retry_after_s": 20}, {}):
        await world.faults({"kind": "status", "status": 429, "times": 2, **rule})
        world.clock.waits.clear()
        await api.segments()
        assert len(world.clock.waits) == 2
        assert not rule or world.clock.waits == [20, 20]
    await world.faults({"kind": "status", "status": 429})
    with pytest.raises(Throttled, match="names no limit"):
        await api.segments()


async def test_a_500_opens_one_ticket_and_not_six(world):
    await world.faults({"kind": "status", "status": 500})
    with pytest.raises(ServerFault, match="opens a ticket"):
        await (await world.mparticle()).segments()
    assert len(await world.requests()) == 1


async def test_a_request_whose_answer_was_lost_is_not_made_twice(world):
    await world.set_export(SEGMENT, b"mpid\n1\n")
    await world.faults({"kind": "lost_answer", "method": "POST"})
    with pytest.raises(AnswerLost):
        await (await world.mparticle()).request_export(SEGMENT)
    assert len(await world.exports()) == 1


async def test_an_export_older_than_48_hours_is_expired(world):
    await world.set_export(SEGMENT, b"mpid\n1\n")
    api = await world.mparticle()
    asked = await api.request_export(SEGMENT)
    await world.clock.sleep(48 * 3600 + 2)
    with pytest.raises(ExportExpired, match="48 hours") as caught:
        await api.export(asked.export_id)
    assert caught.value.exit_status is ExitStatus.SEGMENT_EXPORT
