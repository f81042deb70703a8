"""The sandbox's own addresses: what it saw, and the faults it is told to make."""

import asyncio

import pytest

from relay.sandbox.fault_middleware import ConnectionCut


async def test_the_log_tells_everything_of_each_request_in_order_of_arrival(api, activity, key):
    await api.post(activity(unique_key=key(1), seq=7))
    await api.post(activity(type="VISIT"))
    await api.post(activity(unique_key=key(1), seq=7))
    first, second, third = await api.log()
    assert first["user"] == third["user"]
    assert {**first, "user": None} == {
        "n": 1,
        "at_ms": api.clock.ms,
        "method": "POST",
        "path": "/v1/datamarts/1234/user_activities",
        "unique_key": key(1),
        "user": None,
        "identifiers": ["USER_ACCOUNT:1000:a-1"],
        "events": [{"name": "seen", "seq": 7, "ts": 1_767_225_600_000}],
        "stored": "new",
        "stored_n": 1,
        "status": 200,
        "answer_lost": False,
        "fault": None,
    }
    assert (second["stored"], second["stored_n"], second["status"]) == ("no", None, 400)
    assert (third["stored"], third["stored_n"]) == ("repeat", 2)


async def test_a_long_log_comes_in_full(api, activity):
    for _ in range(400):
        await api.post(activity())
    assert [entry["n"] for entry in await api.log()] == list(range(1, 401))


async def test_the_newest_activities_come_first_and_are_limited(api, activity):
    for mark in range(4):
        await api.post(activity(mark=mark))
    newest = (await api.client.get("/_sandbox/activities", params={"limit": 2})).json()
    assert [stored["$mark"] for stored in newest] == [3, 2]


@pytest.mark.parametrize("limit", ["x", "-1", ""])
async def test_a_limit_that_is_no_number_is_refused(api, limit):
    answer = await api.client.get("/_sandbox/activities", params={"limit": limit})
    assert answer.status_code == 400


@pytest.mark.parametrize("status", [401, 404, 413, 429, 500, 503])
async def test_a_status_fault_answers_and_stores_nothing(api, activity, status):
    await api.faults({"kind": "status", "status": status})
    answer = await api.post(activity())
    assert answer.status_code == status
    assert answer.json()["status"] == "error"
    assert "retry-after" not in answer.headers
    summary = await api.summary()
    assert (summary["activities"], summary["by_status"]) == (0, {str(status): 1})
    assert summary["faults"] == {"status": 1}
    assert summary["refused"] == 0
    assert [entry["fault"] for entry in await api.log()] == ["status"]


async def test_a_throttle_may_say_when_to_come_back(api, activity):
    await api.faults({"kind": "status", "status": 429, "retry_after_s": 3})
    assert (await api.post(activity())).headers["retry-after"] == "3"


async def test_a_status_after_storing_stores(api, activity):
    await api.faults({"kind": "status", "status": 500, "after_storing": True})
    assert (await api.post(activity())).status_code == 500
    summary = await api.summary()
    assert (summary["activities"], summary["by_status"]) == (1, {"500": 1})


@pytest.mark.parametrize(("kind", "activities"), [("lost_answer", 1), ("closed", 0)])
async def test_a_closed_connection_is_logged_as_a_lost_answer(api, activity, kind, activities):
    await api.faults({"kind": kind, "times": 1})
    with pytest.raises(ConnectionCut):
        await api.post(activity())
    assert (await api.post(activity())).status_code == 200
    lost, answered = await api.log()
    assert (lost["status"], lost["answer_lost"], lost["fault"]) == (None, True, kind)
    assert (answered["status"], answered["answer_lost"]) == (200, False)
    summary = await api.summary()
    assert (summary["activities"], summary["answers_lost"]) == (activities + 1, 1)


async def test_a_slow_answer_is_stored_at_once_and_answered_late(api, activity, until):
    await api.faults({"kind": "slow", "delay_ms": 3_600_000})
    state = api.app.state.sandbox
    async with asyncio.TaskGroup() as tasks:
        post = tasks.create_task(api.post(activity()))
        await until(lambda: state.summary()["activities"])
        assert [entry["status"] for entry in await api.log()] == [None]
        assert not post.done()
        state.closing.set()  # what ends all waiting
    assert post.result().status_code == 200


async def test_latency_is_waited_before_anything_is_stored(api, activity, until):
    await api.faults(latency_ms=[3_600_000, 3_600_000])
    state = api.app.state.sandbox
    async with asyncio.TaskGroup() as tasks:
        post = tasks.create_task(api.post(activity()))
        await until(lambda: state.summary()["requests"])
        assert (await api.summary())["activities"] == 0
        state.closing.set()
    assert post.result().status_code == 200
    assert (await api.summary())["activities"] == 1


async def test_a_short_pause_ends_by_itself(api, activity):
    await api.faults(latency_ms=1)
    assert (await api.post(activity())).status_code == 200


async def test_the_plan_in_force_is_shown_with_what_it_did(api, activity):
    await api.faults({"kind": "status", "status": 429, "times": 1}, seed=3)
    await api.post(activity())
    await api.post(activity())
    assert (await api.client.get("/_sandbox/faults")).json() == {
        "plan": {"seed": 3, "rules": [{"kind": "status", "status": 429, "times": 1}]},
        "rules": [{"in_scope": 2, "hits": 1}],
        "limiters": [],
    }


async def test_a_limiter_refuses_what_is_too_much_and_counts(api, activity):
    limiter = {"kind": "fixed_window", "limit": 2, "window_s": 3600.0}
    await api.faults(limiters=[{**limiter, "rate_limit_headers": True}])
    answers = [await api.post(activity()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert "retry-after" not in answers[0].headers
    assert 1 <= int(answers[2].headers["retry-after"]) <= 3600
    shown = (await api.client.get("/_sandbox/faults")).json()["limiters"]
    assert shown == [{"accepted": 2, "refused": 1}]
    assert (await api.summary())["activities"] == 2


async def test_a_limiter_of_concurrency_lets_the_next_in_when_one_is_answered(api, activity, until):
    await api.faults(
        {"kind": "slow", "delay_ms": 3_600_000, "times": 1},
        limiters=[{"kind": "concurrency", "limit": 1}],
    )
    state = api.app.state.sandbox
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(api.post(activity()))
        await until(lambda: state.summary()["activities"])
        assert (await api.post(activity())).status_code == 429
        state.closing.set()
    assert slow.result().status_code == 200
    assert (await api.post(activity())).status_code == 200


async def test_an_empty_plan_ends_all_faults(api, activity):
    await api.faults({"kind": "status", "status": 429})
    await api.faults()
    assert (await api.post(activity())).status_code == 200


@pytest.mark.parametrize("body", ["", "[]", '{"rules": [{"kind": "boom"}]}'])
async def test_a_plan_that_makes_no_sense_changes_nothing(api, activity, body):
    await api.faults({"kind": "status", "status": 503})
    answer = await api.client.put("/_sandbox/faults", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert (await api.post(activity())).status_code == 503


async def test_faults_spare_the_sandbox_itself(api):
    await api.faults({"kind": "status", "status": 503})
    assert (await api.client.get("/_sandbox/summary")).status_code == 200


async def test_reset_forgets_everything(api, activity, key):
    fresh = await api.summary()
    await api.post(activity(unique_key=key(1)))
    await api.faults({"kind": "status", "status": 503})
    await api.post(activity())
    assert (await api.client.delete("/_sandbox")).status_code == 204
    assert await api.summary() == fresh
    assert (await api.post(activity(unique_key=key(1)))).status_code == 200
    assert (await api.summary())["duplicates"] == 0
