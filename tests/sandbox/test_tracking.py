"""Posting activities: who may, what is taken, what is answered, what is counted."""

import httpx
import orjson
import pytest

ACTIVITIES = "/v1/datamarts/1234/user_activities"


async def test_a_valid_activity_is_taken(api, activity, key):
    answer = await api.post(activity(unique_key=key(1)))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "data": True})
    summary = await api.summary()
    assert (summary["activities"], summary["events"], summary["users"]) == (1, 1, 1)
    assert summary["by_status"] == {"200": 1}


async def test_the_data_of_a_success_is_an_option(make_api, activity):
    api = make_api(accepted_data={"id": 1})
    assert (await api.post(activity())).json() == {"status": "ok", "data": {"id": 1}}


@pytest.mark.parametrize(
    ("accepted", "given", "status"),
    [
        ((), "anything", 200),
        ((), "", 401),
        (("t",), "t", 200),
        (("t",), "other", 401),
        (("t",), "api:t", 200),
        (("api:t",), "t", 200),
        (("api:t",), "api:t", 200),
        (("t",), "Bearer t", 401),
        (("t", "u"), "u", 200),
    ],
)
async def test_the_raw_token_decides_who_may(make_api, activity, accepted, given, status):
    api = make_api(tokens=frozenset(accepted))
    answer = await api.post(activity(), headers={"Authorization": given})
    assert answer.status_code == status


async def test_a_401_has_the_error_envelope(make_api, activity):
    api = make_api(tokens=frozenset({"t"}))
    envelope = (await api.post(activity())).json()
    assert envelope["status"] == "error"
    assert envelope["error"] == "Unauthorized"
    assert envelope["error_id"]


@pytest.mark.parametrize("datamart", ["9", "x", "-1", "12 34"])
async def test_a_datamart_that_does_not_exist_is_a_404(make_api, activity, datamart):
    api = make_api(datamarts=frozenset({"1234"}))
    answer = await api.client.post(f"/v1/datamarts/{datamart}/user_activities", json=activity())
    assert answer.status_code == 404
    assert answer.json()["error"] == "Resource Not Found"


async def test_an_invalid_activity_is_refused_with_a_reason_for_each_field(api, activity):
    answer = await api.post(activity(type="VISIT", events=[{}]))
    assert answer.status_code == 400
    envelope = answer.json()
    assert envelope["status"] == "error"
    assert "$events[0].$event_name is required" in envelope["error"]
    assert [problem["field"] for problem in envelope["errors"]] == [
        "$type",
        "$events[0].$event_name",
    ]
    summary = await api.summary()
    assert (summary["refused"], summary["activities"]) == (1, 0)


async def test_the_status_of_a_refusal_is_an_option(make_api, activity):
    assert (await make_api(refusal_status=422).post(activity(type="VISIT"))).status_code == 422


@pytest.mark.parametrize("body", [b"", b"{", b"[1,", b"\xff", b'{"$ts": NaN}', b'"\\ud800"'])
async def test_a_body_that_is_not_json_is_refused(api, body):
    answer = await api.client.post(
        ACTIVITIES, content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert "not JSON" in answer.json()["error"]


async def test_a_body_that_does_not_say_that_it_is_json_is_refused(api, activity):
    answer = await api.client.post(ACTIVITIES, content=orjson.dumps(activity()))
    assert answer.status_code == 400
    assert "Content-Type" in answer.json()["error"]


async def test_a_body_over_the_limit_is_a_413(make_api, activity):
    api = make_api(body_bytes_max=1000)
    answer = await api.post(activity(padding="x" * 1000))
    assert answer.status_code == 413


async def test_a_body_over_the_limit_of_all_stand_ins_is_a_413(make_api, activity):
    api = make_api(upload_bytes_max=1000)
    answer = await api.post(activity(padding="x" * 1000))
    assert answer.status_code == 413


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405)])
async def test_another_method_is_a_405_with_the_envelope(api, method, status):
    answer = await api.client.request(method, ACTIVITIES)
    assert (answer.status_code, answer.json()["status"]) == (status, "error")
    assert answer.headers["allow"] == "POST"


async def test_another_path_is_a_404_with_the_envelope(api):
    answer = await api.client.get("/v1/nothing")
    assert (answer.status_code, answer.json()["error"]) == (404, "Resource Not Found")


async def test_a_repeated_unique_key_is_a_duplicate(api, activity, key):
    await api.post(activity(unique_key=key(1)))
    assert (await api.post(activity(unique_key=key(1)))).status_code == 200
    await api.post(activity(unique_key=key(2)))
    summary = await api.summary()
    assert (summary["activities"], summary["events"], summary["duplicates"]) == (2, 2, 1)


async def test_activities_without_a_unique_key_are_never_duplicates(api, activity):
    await api.post(activity())
    await api.post(activity())
    summary = await api.summary()
    assert (summary["activities"], summary["duplicates"]) == (2, 0)


@pytest.mark.parametrize(
    ("policy", "kept"), [("add", ["new", "old"]), ("ignore", ["old"]), ("overwrite", ["new"])]
)
async def test_what_a_repeat_does_to_the_timeline_is_a_policy(
    make_api, activity, key, policy, kept
):
    api = make_api(repeat_policy=policy)
    await api.post(activity(unique_key=key(1), mark="old"))
    await api.post(activity(unique_key=key(1), mark="new"))
    newest = (await api.client.get("/_sandbox/activities")).json()
    assert [stored["$mark"] for stored in newest] == kept
    assert (await api.summary())["duplicates"] == 1


async def test_an_event_stored_after_a_later_one_is_an_order_break(api, activity, key):
    for number, seq in enumerate([1, 3, 2]):
        await api.post(activity(unique_key=key(number), seq=seq))
    await api.post(activity(unique_key=key(9), seq=1, account="a-2"))
    summary = await api.summary()
    assert summary["out_of_order"] == 1
    (found,) = summary["order_breaks"]
    assert (found["by"], found["value"], found["after"]) == ("seq", 2, 3)


async def test_a_repeat_out_of_order_is_a_duplicate_and_no_order_break(api, activity, key):
    for seq in [1, 2, 1]:
        await api.post(activity(unique_key=key(seq), seq=seq))
    summary = await api.summary()
    assert (summary["duplicates"], summary["out_of_order"]) == (1, 0)


async def test_an_event_under_a_second_unique_key_is_a_duplicate_event(api, activity, key):
    await api.post(activity(unique_key=key(1), seq=1))
    await api.post(activity(unique_key=key(2), seq=1))
    summary = await api.summary()
    assert (summary["duplicates"], summary["duplicate_events"]) == (0, 1)


async def test_the_sequence_may_stand_at_the_activity_and_have_another_name(
    make_api, activity, key
):
    api = make_api(order_property="n")
    await api.post(activity(unique_key=key(1)) | {"n": 2})
    await api.post(activity(unique_key=key(2)) | {"n": 1})
    assert (await api.summary())["out_of_order"] == 1


async def test_users_whose_identifiers_meet_are_judged_as_one(api, activity, key):
    await api.post(activity(unique_key=key(1), seq=5))
    await api.post(activity(unique_key=key(2), seq=1, account="a-2"))
    both = [
        {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": name}
        for name in ("a-1", "a-2")
    ]
    await api.post(activity(unique_key=key(3), seq=4, user_identifiers=both))
    summary = await api.summary()
    assert (summary["users"], summary["merged_users"], summary["out_of_order"]) == (1, 1, 1)


async def test_what_is_kept_is_bounded(make_api, activity, key):
    api = make_api(activities_max=2, keys_max=2, log_max=2)
    for number in range(5):
        await api.post(activity(unique_key=key(number), mark=number))
    newest = (await api.client.get("/_sandbox/activities")).json()
    assert [stored["$mark"] for stored in newest] == [4, 3]
    assert len(await api.log()) == 2
    await api.post(activity(unique_key=key(0)))
    summary = await api.summary()
    assert (summary["duplicates"], summary["activities"], summary["log_dropped"]) == (0, 6, 4)


async def test_an_overwritten_activity_that_is_gone_stays_gone(make_api, activity, key):
    api = make_api(activities_max=1)
    await api.post(activity(unique_key=key(1), mark=1))
    await api.post(activity(unique_key=key(2), mark=2))
    await api.post(activity(unique_key=key(1), mark=3))
    newest = (await api.client.get("/_sandbox/activities")).json()
    assert [stored["$mark"] for stored in newest] == [2]


async def test_a_body_that_breaks_off_leaves_no_trace(api):
    async def break_off():
        return {"type": "http.disconnect"}

    async def nothing_is_sent(message):
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": ACTIVITIES,
        "raw_path": ACTIVITIES.encode(),
        "headers": [],
        "query_string": b"",
    }
    await api.app(scope, break_off, nothing_is_sent)
    assert (await api.summary())["requests"] == 0


async def test_a_body_in_pieces_is_put_together(api, activity):
    whole = orjson.dumps(activity())

    async def pieces():
        for start in range(0, len(whole), 50):
            yield whole[start : start + 50]

    request = httpx.Request(
        "POST",
        f"http://sandbox{ACTIVITIES}",
        content=pieces(),
        headers={"Authorization": "t", "Content-Type": "application/json"},
    )
    assert (await api.client.send(request)).status_code == 200
