"""Digital Audience: the calls of the vendor's page, whatever it answers, and nothing done twice."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from relay.apis.addresses import PATHS, Credentials
from relay.apis.digital_audience import field_of, number, utc_7_digits
from relay.apis.errors import AnswerLost, AnswerUnusable, LoginRefused, NotThere, Refused

END = "2025-12-16T11:36:10.6878666Z"
MOVED = {"segmentid": 501, "endDate": "2027-06-30T00:00:00.0000000Z"}


async def kept(world):
    return (await world.admin.get("/_sandbox/digital_audience")).json()


async def headers(world, path):
    log = (await world.admin.get("/_sandbox/log")).text
    return [line for line in log.splitlines() if path in line]


@pytest.mark.parametrize("empty", [False, True])
async def test_every_call_is_made_whether_anything_is_answered_or_not(world, empty):
    """The page shows empty answers only: they are believed by their status."""
    await world.put("digital_audience", empty_answers=empty)
    api = await world.audience()
    found = await api.call("segment", "501")
    assert found is None if empty else field_of(found, "ENDDATE") == END
    assert (await api.call("segments", "77") is None) == empty
    assert (await api.call("accounts") is None) == empty
    await api.call("extend", **MOVED)
    await api.call("create", name="Churn", campaignId=31)
    assert (await kept(world))["segments"][0]["endDate"] == MOVED["endDate"]
    assert [a["name"] for a in (await kept(world))["audiences"]] == ["Churn"]
    await api.call("delete", "501")
    assert (await kept(world))["segments"] == []
    with pytest.raises(NotThere):
        await api.call("delete", "501")


async def test_the_paths_are_those_of_the_page_and_each_can_be_another(world):
    api = await world.audience()
    for name, arguments in (("segment", ["501"]), ("segments", ["77"]), ("accounts", [])):
        await api.call(name, *arguments)
    await api.call("extend", **MOVED)
    await api.call("create", name="x", campaignId=1)
    assert [(method, path) for method, path, _ in await world.requests()][-6:] == [
        ("POST", "/account/login"),
        ("GET", "/Segment/loadsegmentbyid/501"),
        ("GET", "/segment/audience:77"),
        ("GET", "/organisation/loadplatformaccounts"),
        ("POST", "/api/segment/updateenddate"),
        ("POST", "/api/audience/create/api/audience/createcrmaudience"),
    ]
    other = await world.audience(segment="/segment/{id}", login="/account/LOGIN")
    await other.call("segment", "501")
    assert [path for _, path, _ in await world.requests()][-2:] == [
        "/account/LOGIN",
        "/segment/501",
    ]


async def test_an_audience_that_was_made_and_answered_by_a_page_is_not_made_twice(world):
    await world.put("digital_audience", page=True)
    api = await world.audience()
    with pytest.raises(AnswerLost, match="it may have been carried out") as caught:
        await api.call("create", name="Churn", campaignId=31)
    assert "paths" in caught.value.hint
    assert len((await kept(world))["audiences"]) == 1


@pytest.mark.parametrize("name", ["segment", "segments"])
async def test_a_page_where_data_was_due_names_the_setting_to_look_at(world, name):
    """A single-page app answers every path that it does not know by its page."""
    await world.put("digital_audience", page=True)
    api = await world.audience()
    with pytest.raises(AnswerUnusable, match="not JSON") as caught:
        await api.call(name, "501" if name == "segment" else "77")
    assert "segments.digital_audience.paths" in caught.value.hint


async def test_a_lost_answer_is_said_where_repeating_could_do_harm(world):
    await world.faults({"kind": "lost_answer", "path": "*createcrmaudience", "method": "POST"})
    api = await world.audience()
    with pytest.raises(AnswerLost):
        await api.call("create", name="Churn", campaignId=31)
    assert len((await kept(world))["audiences"]) == 1


async def test_a_wrong_password_is_said_without_it(world):
    await world.put("digital_audience", password="right")
    api = await world.audience(password="wr0ng-one")
    with pytest.raises(LoginRefused, match="the login is not accepted") as caught:
        await api.call("segment", "501")
    assert "wr0ng-one" not in f"{caught.value} {caught.value.hint} {Credentials('u', 'wr0ng-one')}"


async def test_with_a_cookie_of_ones_own_nobody_logs_in(world):
    first = await world.audience()
    await first.call("segment", "501")
    api = await world.audience(cookie=first._cookie)
    before = len(await world.requests())
    await api.call("segment", "501")
    assert len(await world.requests()) == before + 1
    stale = await world.audience(cookie="gone")
    with pytest.raises(LoginRefused) as caught:
        await stale.call("segment", "501")
    assert "cookie" in caught.value.hint


async def test_the_type_stands_on_every_call_as_the_page_shows_it(world, monkeypatch):
    api = await world.audience()
    seen = []
    send = api._caller.client.send

    async def watched(request, **options):
        seen.append((request.method, dict(request.headers)))
        return await send(request, **options)

    monkeypatch.setattr(api._caller.client, "send", watched)
    await api.call("segment", "501")
    await api.call("delete", "501")
    assert {headers["content-type"] for _, headers in seen} == {"application/json"}
    cookies = [headers.get("cookie", "") for method, headers in seen if method != "POST"]
    assert all(cookie.startswith("digitalAudience=") for cookie in cookies)
    assert not any("not-ours" in cookie for cookie in cookies)


async def test_accounts_come_without_their_secret(world):
    found = await (await world.audience()).call("accounts")
    assert "Account" in str(found)
    assert "secret" not in str(found).lower()


async def test_throttling_is_waited_out(world):
    await world.faults({"kind": "status", "status": 429, "path": "/Segment/*", "times": 2})
    assert await (await world.audience()).call("segment", "501") is not None


def test_an_id_that_is_no_number_is_refused_before_anything_is_sent():
    assert number("501") == 501
    for text in ("", "x", "1/2", "-1", "\u0661"):
        with pytest.raises(Refused):
            number(text)


def test_an_end_is_in_utc_with_the_digits_of_the_sample():
    berlin = timezone(timedelta(hours=2))
    assert utc_7_digits(datetime(2027, 6, 30, 12, tzinfo=berlin)) == "2027-06-30T10:00:00.0000000Z"
    assert utc_7_digits(datetime(2027, 6, 30, 1, 2, 3, 456789)) == "2027-06-30T01:02:03.4567890Z"  # noqa: DTZ001
    assert datetime(2027, 6, 30, tzinfo=UTC)


def test_every_call_of_the_page_has_a_path():
    assert {"segment", "segments", "extend", "delete", "create", "login"} <= set(PATHS)
