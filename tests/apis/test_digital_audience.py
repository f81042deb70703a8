"""Digital Audience: the client against a stand-in that plays what the page leaves open."""

import json
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from pydantic import TypeAdapter

from relay.apis.digital_audience import PathForm, utc_7_digits
from relay.apis.digital_audience_model import SEGMENT, Account, Segment
from relay.apis.errors import (
    AccessRefused,
    AnswerLost,
    AnswerUnusable,
    LoginRefused,
    NotThere,
    Refused,
)

END = datetime(2026, 6, 30, tzinfo=UTC)
ACCOUNT = TypeAdapter(Account)


async def kept(world):
    return (await world.admin.get("/_sandbox/digital_audience")).json()


async def test_a_segment_is_read_with_every_property_of_the_page(world):
    segment = await (await world.audience()).segment("501")
    assert segment.key == segment.segment_id == "501"
    assert segment.end_date == datetime(2025, 12, 16, 11, 36, 10, 687866, tzinfo=UTC)
    assert (segment.status, segment.status_id, segment.country) == ("Active", 1, 528)
    raw = next(iter((await kept(world))["segments"]))
    assert {key.lower() for key in raw} == {name.replace("_", "") for name in Segment.model_fields}
    assert all(getattr(segment, name) is not None for name in Segment.model_fields if name not in {
        "segment_ref_id", "category_id"})  # fmt: skip


SEGMENT_PROPERTIES = {
    "segmentId": 501, "segmentRefId": 7, "categoryId": 9, "description": "d", "extend": True,
    "active": False, "accountId": 12, "audienceId": 77, "platformId": 3, "isRecurring": True,
    "isSystemGenerated": False, "country": 528, "startDate": "2025-01-01T00:00:00Z",
    "endDate": "2025-12-16T11:36:10.6878666Z", "status": "Active", "statusId": 1,
    "userName": "u", "userId": 4, "totalLogCount": 1, "totalReadyCount": 2,
    "totalProcessingCount": 3, "totalPendingCount": 4, "totalUploadCount": 5,
    "totalFailedCount": 6, "totalNoDataCount": 7, "totalSegmentUploadCount": 8, "id": 9001,
    "name": "Churn NL", "created": "2025-01-01T00:00:00Z", "updated": "2025-01-02T00:00:00",
}  # fmt: skip
ACCOUNT_PROPERTIES = {
    "id": 12, "name": "Account", "platformId": 3, "platformName": "p",
    "platformDisplayName": "P", "agencyId": 1, "accountTypeId": 2, "advertiserId": 5,
    "clientId": "c-1", "agencyName": "A", "accountTypeName": "t",
    "defaultSegmentPricingCategoryId": 6, "created": "2025-01-01T00:00:00Z",
    "updated": "2025-01-02T00:00:00",
}  # fmt: skip


@pytest.mark.parametrize(
    ("adapter", "given"), [(SEGMENT, SEGMENT_PROPERTIES), (ACCOUNT, ACCOUNT_PROPERTIES)]
)
def test_every_property_of_the_page_is_read_and_kept(adapter, given):
    lowered = {key.lower(): value for key, value in given.items()}
    found = adapter.validate_python(lowered).model_dump()
    assert {name.replace("_", "") for name in found} == set(lowered)
    for name, value in found.items():
        expected = lowered[name.replace("_", "")]
        if isinstance(value, datetime):
            assert value.utcoffset() == timedelta(0)  # also where none is written
            assert f"{value:%Y-%m-%dT%H:%M:%S}" == expected[:19]
        else:
            assert value in (expected, str(expected))


async def test_the_segments_of_an_audience_are_listed(world):
    api = await world.audience()
    assert [segment.name for segment in await api.segments("77")] == ["Churn NL"]
    assert await api.segments("78") == []


async def test_an_end_is_moved_in_utc_with_the_digits_of_the_sample(world):
    paris = timezone(timedelta(hours=2))
    await (await world.audience()).extend("501", datetime(2026, 6, 30, 2, tzinfo=paris))
    assert (await kept(world))["segments"][0]["endDate"] == "2026-06-30T00:00:00.0000000Z"
    naive = datetime.fromisoformat("2025-12-16T11:36:10.687866")
    assert utc_7_digits(naive) == "2025-12-16T11:36:10.6878660Z"


async def test_a_segment_is_deleted_once_and_then_not_there(world):
    api = await world.audience()
    await api.delete("501")
    assert (await kept(world))["segments"] == []
    with pytest.raises(NotThere):
        await api.delete("501")


async def test_an_audience_is_created(world):
    made = await (await world.audience()).create_audience("VIP", "31", "the best")
    assert (made.name, made.campaign_id, made.description) == ("VIP", "31", "the best")
    [stored] = (await kept(world))["audiences"]
    assert (stored["campaignId"], str(stored["id"])) == (31, made.id)


async def test_accounts_are_listed_without_their_secret(world):
    [account] = await (await world.audience()).accounts()
    assert account.platform_display_name == "Platform"
    assert "secret-of-the-account" not in repr(account)
    assert "secret-of-the-account" not in account.model_dump_json()


@pytest.mark.parametrize("exists", ["heading", "sample"])
async def test_whichever_of_the_pages_paths_exists_is_found_once(world, exists):
    await world.put("digital_audience", paths=exists)
    api = await world.audience()
    for _ in range(2):
        await api.segment("501")
        await api.segments("77")
        await api.extend("501", END)
    await api.create_audience("VIP", "31")
    await api.delete("501")
    missed = [path for _, path, status in await world.requests() if status == 404]
    assert len(missed) == (0 if exists == "heading" else 5)


async def asked(world, call, form=PathForm.AUTO):
    """Method, path and body of the request that a call makes."""
    api = await world.audience(paths=form)
    await api.segments("77")  # which logs in
    seen = []

    async def look(request):
        body = json.loads(request.content) if request.content else None
        seen.append((request.method, request.url.path, body))

    api._caller.client.event_hooks = {"request": [look]}
    await call(api)
    [request] = seen
    return request


CALLS = {
    "segments": lambda api: api.segments("77"),
    "segment": lambda api: api.segment("501"),
    "extend": lambda api: api.extend("501", END),
    "delete": lambda api: api.delete("501"),
    "create": lambda api: api.create_audience("VIP", "31"),
}


@pytest.mark.parametrize(
    ("form", "call", "method", "path"),
    [
        (PathForm.HEADING, "segments", "GET", "/segment/audience:77"),
        (PathForm.SAMPLE, "segments", "GET", "/api/segment/audience:77"),
        (PathForm.HEADING, "segment", "GET", "/segment/501"),
        (PathForm.SAMPLE, "segment", "GET", "/Segment/loadsegmentbyid/501"),
        (PathForm.HEADING, "extend", "POST", "/segment/updateenddate"),
        (PathForm.SAMPLE, "extend", "POST", "/api/segment/updateenddate"),
        (PathForm.HEADING, "delete", "DELETE", "/segment/501"),
        (PathForm.SAMPLE, "delete", "DELETE", "/api/segment/501"),
        (PathForm.HEADING, "create", "POST", "/audience/createcrmaudience"),
        (
            PathForm.SAMPLE, "create", "POST",
            "/api/audience/create/api/audience/createcrmaudience",
        ),
    ],
)  # fmt: skip
async def test_each_call_has_the_path_of_its_heading_and_that_of_its_sample(
    world, form, call, method, path
):
    assert (await asked(world, CALLS[call], form))[:2] == (method, path)


async def test_the_bodies_are_those_of_the_pages_samples(world):
    _, _, body = await asked(world, lambda api: api.create_audience("VIP", "31", "the best"))
    assert body == {"name": "VIP", "description": "the best", "campaignId": 31}
    _, _, body = await asked(world, CALLS["create"])
    assert body == {"name": "VIP", "campaignId": 31}  # the description is optional
    end = datetime(2025, 12, 16, 11, 36, 10, 687866, tzinfo=UTC)
    _, _, body = await asked(world, lambda api: api.extend("501", end))
    assert body == {"segmentid": 501, "endDate": "2025-12-16T11:36:10.6878660Z"}


@pytest.mark.parametrize("form", [PathForm.HEADING, PathForm.SAMPLE])
async def test_a_chosen_form_is_the_only_one_called(world, form):
    api = await world.audience(paths=form)
    await api.segment("501")
    await api.extend("501", END)
    paths = [path for _, path, _ in await world.requests()]
    if form is PathForm.HEADING:
        assert paths[1:] == ["/segment/501", "/segment/updateenddate"]
    else:
        assert paths[1:] == ["/Segment/loadsegmentbyid/501", "/api/segment/updateenddate"]


@pytest.mark.parametrize("end", ["401", "403", "redirect", "page"])
async def test_a_session_that_ended_costs_one_new_login_and_nothing_else(world, end):
    await world.put("digital_audience", session_calls=2, session_end=end)
    api = await world.audience()
    for _ in range(5):
        await api.segment("501")
    await api.create_audience("VIP", "31")
    assert (await kept(world))["logins"] == 3
    assert len((await kept(world))["audiences"]) == 1


@pytest.mark.parametrize(
    ("end", "kind"), [("401", LoginRefused), ("403", AccessRefused), ("page", AnswerUnusable)]
)
async def test_a_session_that_never_holds_ends_after_one_new_login(world, end, kind):
    await world.put("digital_audience", session_calls=0, session_end=end)
    with pytest.raises(kind):
        await (await world.audience()).segment("501")
    assert (await kept(world))["logins"] == 2


async def test_a_wrong_password_is_said_without_it(world):
    await world.put("digital_audience", login=["user", "right"])
    with pytest.raises(LoginRefused, match="user_name and password") as caught:
        await (await world.audience(password="wr0ng")).segment("501")
    assert "wr0ng" not in str(caught.value)


async def test_only_the_session_cookie_travels_and_only_to_its_host(world):
    seen = []
    api = await world.audience()

    async def look(request):
        seen.append(request.headers.get("cookie"))

    api._caller.client.event_hooks = {"request": [look]}
    await api.segment("501")
    await api.segment("501")
    assert seen[0] is None
    assert all(cookie.startswith("digitalAudience=") and ";" not in cookie for cookie in seen[1:])
    assert len(api._caller.client.cookies) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"envelope": False},
        {"keys": "pascal"},
        {"keys": "pascal", "envelope": False},
        {"nulls": True},
        {"without_segment_id": True},
    ],
)
async def test_an_answer_is_read_however_the_vendor_writes_it(world, options):
    await world.put("digital_audience", **options)
    api = await world.audience()
    segment = await api.segment("501")
    assert (segment.key, segment.name) == ("501", "Churn NL")
    assert [found.key for found in await api.segments("77")] == ["501"]


async def test_a_change_may_be_answered_by_nothing(world):
    await world.put("digital_audience", empty_answers=True)
    api = await world.audience()
    await api.extend("501", END)
    await api.delete("501")
    assert (await kept(world))["segments"] == []


def test_a_segment_without_any_id_is_not_guessed_at():
    with pytest.raises(ValueError, match="neither segmentId nor id"):
        SEGMENT.validate_json('{"name": "x"}')


async def test_a_delete_whose_answer_was_lost_is_looked_up_and_not_reported_as_missing(world):
    await world.faults({"kind": "lost_answer", "method": "DELETE", "times": 1})
    await (await world.audience()).delete("501")
    assert (await kept(world))["segments"] == []


async def test_a_delete_that_was_not_carried_out_is_done_again(world):
    await world.faults({"kind": "closed", "method": "DELETE", "times": 1})
    await (await world.audience()).delete("501")
    assert (await kept(world))["segments"] == []


async def test_an_audience_whose_answer_was_lost_is_not_created_twice(world):
    await world.faults({"kind": "lost_answer", "path": "*createcrmaudience", "times": 1})
    with pytest.raises(AnswerLost):
        await (await world.audience()).create_audience("VIP", "31")
    assert len((await kept(world))["audiences"]) == 1


@pytest.mark.parametrize("wrong", ["abc", "50 1", "../1", "\uff11"])
async def test_an_id_that_is_no_number_is_refused_before_anything_is_sent(world, wrong):
    with pytest.raises(Refused):
        await (await world.audience()).segment(wrong)
    assert all(path == "/account/login" for _, path, _ in await world.requests())


async def test_throttling_is_waited_out(world):
    await world.faults({"kind": "status", "status": 429, "times": 2, "retry_after_s": 5})
    await (await world.audience()).segment("501")
    assert world.clock.waits == [5, 5]


async def test_a_login_that_sets_no_cookie_is_not_a_session(world, monkeypatch):
    api = await world.audience()
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, content=json.dumps({"data": True}))
    )
    monkeypatch.setattr(api._caller.client, "_transport", transport)
    monkeypatch.setattr(api._caller.client, "_mounts", {})
    with pytest.raises(AnswerUnusable, match="no cookie named digitalAudience"):
        await api.segment("501")
