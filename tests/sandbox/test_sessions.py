"""Posts become sessions, on a clock that the test moves."""

import pytest

MINUTE = 60_000
T0 = 1_767_225_600_000


@pytest.fixture
def post(api, activity):
    """Post one `IN_SESSION` event."""

    async def send(name: str = "seen", ts: int = T0, properties=None, **fields):
        event = {"$event_name": name, "$ts": ts, "$properties": properties or {}}
        body = activity(session_status="IN_SESSION", ts=ts, events=[event], **fields)
        answer = await api.post(body)
        assert answer.status_code == 200

    return send


@pytest.fixture
def read(api):
    """Read the timeline of the account a-1; an empty list when there is nothing."""

    async def timeline(**params):
        path = "/v1/datamarts/1234/user_timelines/compartment_id=1000,user_account_id=a-1"
        answer = await api.client.get(f"{path}/user_activities", params=params)
        return answer.json()["data"] if answer.status_code == 200 else []

    return timeline


@pytest.fixture
def advance(api):
    """Move the sandbox's clock."""

    async def move(minutes: float):
        answer = await api.client.put("/_sandbox/clock", json={"advance_ms": int(minutes * MINUTE)})
        assert answer.status_code == 200

    return move


async def test_an_open_session_is_read_live_only(post, read):
    await post()
    assert await read() == []
    (live,) = await read(live="true")
    assert live["$session_status"] == "IN_SESSION"


async def test_thirty_minutes_without_an_event_close_a_session(post, read, advance):
    await post("first", T0)
    await advance(29)
    await post("second", T0 + 29 * MINUTE)
    await advance(29.9)
    assert await read() == []
    await advance(0.1)
    (closed,) = await read()
    assert closed["$session_status"] == "CLOSED_SESSION"
    assert [event["$event_name"] for event in closed["$events"]] == ["first", "second"]
    assert closed["$ts"] == T0
    assert closed["$session_duration"] == 29 * 60


async def test_an_event_after_the_close_begins_another_session(post, read, advance):
    await post("first")
    await advance(30)
    await post("second")
    await advance(30)
    names = [[e["$event_name"] for e in session["$events"]] for session in await read()]
    assert names == [["first"], ["second"]]


async def test_channels_have_sessions_of_their_own(post, read, advance):
    await post("app")
    await post("site", type="SITE_VISIT", site_id="7", app_id=None)
    await advance(30)
    assert [session["$type"] for session in await read()] == ["APP_VISIT", "SITE_VISIT"]


async def test_a_referrer_of_another_domain_begins_another_session(post, read):
    page = {"$url": "https://shop.example/a"}
    await post("first", properties=page)
    await post("second", properties=page | {"$referrer": "https://shop.example/b"})
    await post("third", properties=page | {"$referrer": "https://search.example/?q=x"})
    await post("fourth", properties={"$referrer": "https://news.example/"})
    names = [[e["$event_name"] for e in s["$events"]] for s in await read(live="true")]
    assert names == [["first", "second"], ["third"], ["fourth"]]


async def test_a_referrer_without_a_known_site_closes_nothing(post, read):
    await post("first")
    await post("second", properties={"$referrer": "https://search.example/", "$url": "http://[x"})
    assert len(await read(live="true")) == 1


async def test_a_session_gathers_identifiers_and_the_last_keys(post, read, advance, key):
    agent = {"$type": "USER_AGENT", "$user_agent_id": "vec:1"}
    account = {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "a-1"}
    await post(user_identifiers=[account], unique_key=key(1), colour="red")
    await post(user_identifiers=[account, agent], unique_key=key(2), colour="blue")
    await advance(30)
    (session,) = await read()
    assert session["$user_identifiers"] == [account, agent]
    assert session["$unique_key"] == key(1)
    assert session["$colour"] == "blue"


async def test_other_session_statuses_make_an_activity_each(api, activity, read):
    for status in ["NO_SESSION", "CLOSED_SESSION"]:
        await api.post(activity(session_status=status))
        await api.post(activity(session_status=status))
    assert [a["$session_status"] for a in await read()] == ["NO_SESSION"] * 2 + [
        "CLOSED_SESSION"
    ] * 2


async def test_sessions_of_users_that_become_one_stay_apart(api, post, read, advance):
    def account(name):
        return {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": name}

    await post("one", user_identifiers=[account("a-1")])
    await post("two", user_identifiers=[account("a-2")])
    await post("both", user_identifiers=[account("a-1"), account("a-2")])
    await advance(30)
    names = [[e["$event_name"] for e in session["$events"]] for session in await read()]
    assert names == [["one"], ["two", "both"]]


@pytest.mark.parametrize(
    "body", ["", "{}", '{"advance_ms": -1}', '{"advance_ms": "soon"}', '{"back": 1}']
)
async def test_the_clock_only_moves_on(api, body):
    answer = await api.client.put("/_sandbox/clock", content=body)
    assert answer.status_code == 400
    assert (await api.summary())["clock_ms"] == api.clock.ms


async def test_moving_the_clock_tells_the_time(api):
    answer = await api.client.put("/_sandbox/clock", json={"advance_ms": 5})
    assert answer.json() == {"now_ms": api.clock.ms + 5}
