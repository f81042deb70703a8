"""Profiles, choices, identifiers and timelines over the user point routes."""

import pytest

BASE = "/v1/datamarts/1234/user_points"
ACCOUNT = f"{BASE}/compartment_id=1000,user_account_id=a-1"
PROFILE = f"{ACCOUNT}/user_profiles/compartment_id=1000/user_account_id=a-1"
CHOICE = f"{ACCOUNT}/user_choices/processing_id=7"
MADE = {"$choice_ts": "1767225600000", "$choice_acceptance_value": True, "via": "app"}


async def profile(api, path: str = PROFILE) -> dict:
    document = (await api.client.get(path)).json()["data"]
    system = {"$compartment_id", "$user_account_id", "$creation_ts", "$last_modified_ts"}
    return {name: value for name, value in document.items() if name not in system}


async def test_a_profile_is_put_and_read_back(api):
    answer = await api.client.put(PROFILE, json={"gender": "female", "zipcode": "75001"})
    assert answer.status_code == 200
    expected = {
        "$compartment_id": "1000",
        "$user_account_id": "a-1",
        "$creation_ts": api.clock.ms,
        "$last_modified_ts": api.clock.ms,
        "gender": "female",
        "zipcode": "75001",
    }
    assert answer.json() == {"status": "ok", "data": expected}
    assert (await api.client.get(PROFILE)).json() == {"status": "ok", "data": expected}


@pytest.mark.parametrize(
    ("query", "after"),
    [
        ("", {"a": {"y": 2}, "k": 1}),
        ("?force_replace=false", {"a": {"y": 2}, "k": 1}),
        ("?force_replace=false&merge_objects=true", {"a": {"x": 1, "y": 2}, "k": 1}),
        ("?force_replace=true", {"a": {"y": 2}}),
        ("?force_replace=true&merge_objects=true", {"a": {"y": 2}}),
        ("?update_strategy=FORCE_REPLACE", {"a": {"y": 2}}),
        ("?update_strategy=PARTIAL_UPDATE", {"a": {"x": 1, "y": 2}, "k": 1}),
        ("?update_strategy=PARTIAL_DELETE", {"a": {"x": 1}, "k": 1}),
        ("?update_strategy=PARTIAL_UPDATE&force_replace=true", {"a": {"x": 1, "y": 2}, "k": 1}),
    ],
)
async def test_the_query_decides_how_a_profile_changes(api, query, after):
    await api.client.put(PROFILE, json={"a": {"x": 1}, "k": 1})
    assert (await api.client.put(PROFILE + query, json={"a": {"y": 2}})).status_code == 200
    assert await profile(api) == after


async def test_what_no_parameter_means_is_an_option(make_api):
    api = make_api(profile_strategy="deep")
    await api.client.put(PROFILE, json={"a": {"x": 1}})
    await api.client.put(PROFILE, json={"a": {"y": 2}})
    await api.client.put(f"{PROFILE}?force_replace=false", json={"b": 1})
    assert await profile(api) == {"a": {"x": 1, "y": 2}, "b": 1}


@pytest.mark.parametrize(
    "query",
    ["update_strategy=MERGE", "update_strategy=shallow", "force_replace=yes", "merge_objects="],
)
async def test_a_parameter_that_makes_no_sense_is_refused(api, query):
    answer = await api.client.put(f"{PROFILE}?{query}", json={})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "$"),
        ({"$compartment_id": "1001"}, "$compartment_id"),
        ({"$user_account_id": "a-2"}, "$user_account_id"),
        ({"$user_account_id": {}}, "$user_account_id"),
    ],
)
async def test_a_profile_that_contradicts_its_path_is_refused(api, body, field):
    answer = await api.client.put(PROFILE, json=body)
    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["errors"]] == [field]


async def test_the_key_of_the_path_may_stand_in_the_body_too(api):
    body = {"$compartment_id": 1000, "$user_account_id": "a-1", "gender": "female"}
    assert (await api.client.put(PROFILE, json=body)).status_code == 200
    assert await profile(api) == {"gender": "female"}


async def test_the_selector_and_the_profile_may_name_different_accounts(api):
    path = f"{BASE}/email_hash=h/user_profiles/compartment_id=17/user_account_id=crm"
    await api.client.put(path, json={"x": 1})
    assert await profile(api, path) == {"x": 1}
    assert (await api.client.get(PROFILE)).status_code == 404


async def test_every_selector_leads_to_the_same_user(api, activity):
    identifiers = [
        {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "a-1"},
        {"$type": "USER_AGENT", "$user_agent_id": "vec:1"},
        {"$type": "USER_EMAIL", "$hash": "h"},
    ]
    await api.post(activity(user_identifiers=identifiers))
    await api.client.put(PROFILE, json={"x": 1})
    known = (await api.client.get(f"{ACCOUNT}/user_identifiers")).json()["data"]
    point = known[0]["user_point_id"]
    assert known == [
        {"type": "USER_POINT", "user_point_id": point},
        {
            "type": "USER_ACCOUNT",
            "compartment_id": "1000",
            "user_account_id": "a-1",
            "creation_ts": api.clock.ms,
        },
        {"type": "USER_AGENT", "user_agent_id": "vec:1", "creation_ts": api.clock.ms},
        {"type": "USER_EMAIL", "hash": "h", "creation_ts": api.clock.ms},
    ]
    for selector in (
        point,
        f"user_point_id={point}",
        "user_agent_id=vec%3A1",
        "email_hash=h",
        "compartment_id=1000,user_account_id=a-1",
        "user_account_id=a-1",
    ):
        path = f"{BASE}/{selector}/user_profiles/compartment_id=1000/user_account_id=a-1"
        assert await profile(api, path) == {"x": 1}
    assert (await api.summary())["users"] == 1


async def test_an_account_with_slash_and_comma_is_one_account(api):
    selector = "compartment_id=1000,user_account_id=a%2Fb%2Cc"
    path = f"{BASE}/{selector}/user_profiles/compartment_id=1000/user_account_id=a%2Fb%2Cc"
    assert (await api.client.put(path, json={"x": 1})).json()["data"]["$user_account_id"] == "a/b,c"


async def test_profiles_are_listed_all_or_by_compartment(api):
    for compartment, account in [("1", "a"), ("1", "b"), ("2", "a")]:
        path = f"{ACCOUNT}/user_profiles/compartment_id={compartment}/user_account_id={account}"
        await api.client.put(path, json={})
    await api.client.put(f"{ACCOUNT}/user_profiles/compartment_id=3", json={"anonymous": True})
    everything = (await api.client.get(f"{ACCOUNT}/user_profiles")).json()
    assert (everything["count"], everything["total"]) == (4, 4)
    in_first = (await api.client.get(f"{ACCOUNT}/user_profiles/compartment_id=1")).json()["data"]
    assert [p["$user_account_id"] for p in in_first] == ["a", "b"]
    (anonymous,) = (await api.client.get(f"{ACCOUNT}/user_profiles/compartment_id=3")).json()[
        "data"
    ]
    assert "$user_account_id" not in anonymous


async def test_a_list_comes_in_pages(api):
    for number in range(5):
        await api.client.put(f"{ACCOUNT}/user_choices/processing_id={number}", json=MADE)
    page = (await api.client.get(f"{ACCOUNT}/user_choices?first_result=3&max_results=10")).json()
    assert {name: page[name] for name in page if name != "data"} == {
        "status": "ok",
        "count": 2,
        "total": 5,
        "first_result": 3,
        "max_results": 10,
    }
    assert [choice["$processing_id"] for choice in page["data"]] == ["3", "4"]


@pytest.mark.parametrize("query", ["first_result=-1", "max_results=x", "max_results=1e3"])
async def test_a_page_that_makes_no_sense_is_refused(api, query):
    await api.client.put(CHOICE, json=MADE)
    assert (await api.client.get(f"{ACCOUNT}/user_choices?{query}")).status_code == 400


@pytest.mark.parametrize(
    "resource",
    [
        "user_profiles",
        "user_profiles/compartment_id=1",
        "user_profiles/compartment_id=1/user_account_id=a",
        "user_choices",
        "user_choices/processing_id=1",
        "user_choices/processing_id=1/change_log",
        "user_identifiers",
        "user_activities",
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_nothing_to_read_is_a_404(api, activity, resource, known):
    if known and resource not in {"user_identifiers", "user_activities"}:
        await api.post(activity())
    answer = await api.client.get(f"{ACCOUNT}/{resource}")
    assert (answer.status_code, answer.json()["error"]) == (404, "Resource Not Found")


@pytest.mark.parametrize("path", [PROFILE, CHOICE])
async def test_an_unknown_user_point_id_cannot_be_written_to(api, path):
    unknown = path.replace("compartment_id=1000,user_account_id=a-1", "no-such-point", 1)
    assert (await api.client.put(unknown, json=MADE)).status_code == 404


async def test_a_choice_is_put_and_read_back(api):
    answer = await api.client.put(CHOICE, json=MADE)
    choice = answer.json()["data"]
    assert {name: value for name, value in choice.items() if name != "$user_point_id"} == {
        "$processing_id": "7",
        "$choice_ts": 1_767_225_600_000,
        "$choice_acceptance_value": True,
        "$creation_ts": api.clock.ms,
        "via": "app",
    }
    assert (await api.client.get(CHOICE)).json()["data"] == [choice]


async def test_the_last_choice_counts_and_the_history_keeps_all(api):
    await api.client.put(CHOICE, json=MADE)
    await api.client.put(CHOICE, json={"$choice_ts": 1, "$choice_acceptance_value": False})
    await api.client.put(f"{ACCOUNT}/user_choices/processing_id=8", json=MADE)
    (current,) = (await api.client.get(CHOICE)).json()["data"]
    assert current["$choice_acceptance_value"] is False
    assert "via" not in current
    history = (await api.client.get(f"{CHOICE}/change_log")).json()["data"]
    assert [choice["$choice_acceptance_value"] for choice in history] == [True, False]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"$choice_ts": None}, "$choice_ts"),
        ({"$choice_ts": "soon"}, "$choice_ts"),
        ({"$choice_acceptance_value": None}, "$choice_acceptance_value"),
        ({"$choice_acceptance_value": "true"}, "$choice_acceptance_value"),
        ({"$processing_id": "8"}, "$processing_id"),
    ],
)
async def test_a_choice_that_is_not_complete_is_refused(api, change, field):
    answer = await api.client.put(CHOICE, json=MADE | change)
    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("path", [PROFILE, CHOICE])
@pytest.mark.parametrize("body", [b"", b"{", b"[]"])
async def test_a_body_that_is_no_object_is_refused(api, path, body):
    headers = {"Content-Type": "application/json"}
    answer = await api.client.put(path, content=body, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("path", [PROFILE, CHOICE])
async def test_a_body_must_say_that_it_is_json(api, path):
    assert (await api.client.put(path, content=b"{}")).status_code == 400


async def test_profile_and_choice_events_change_profile_and_choice(api, activity):
    given = {"$compartment_id": "17", "$user_account_id": "crm", "gender": "Male", "a": {"x": 1}}
    event = {"$event_name": "$set_user_profile_properties", "$ts": 5, "$properties": given}
    choose = {
        "$event_name": "$set_user_choice",
        "$ts": 6,
        "$properties": {"$processing_id": 7, "$choice_acceptance_value": True, "via": "app"},
    }
    again = event | {"$properties": {"$user_account_id": "crm", "$compartment_id": 17, "a": {}}}
    await api.post(activity(events=[event, choose, again]))
    path = f"{ACCOUNT}/user_profiles/compartment_id=17/user_account_id=crm"
    assert await profile(api, path) == {"gender": "Male", "a": {}}
    (choice,) = (await api.client.get(CHOICE)).json()["data"]
    assert (choice["$choice_ts"], choice["via"]) == (6, "app")
    summary = await api.summary()
    assert (summary["profile_updates"], summary["choice_updates"]) == (2, 1)


@pytest.mark.parametrize(
    ("name", "properties", "field"),
    [
        ("$set_user_profile_properties", {"$compartment_id": "1"}, ".$user_account_id"),
        (
            "$set_user_profile_properties",
            {"$user_account_id": "a", "$compartment_id": []},
            ".$compartment_id",
        ),
        ("$set_user_choice", {"$choice_acceptance_value": True}, ".$processing_id"),
        ("$set_user_choice", {"$processing_id": "7"}, ".$choice_acceptance_value"),
        ("$set_user_choice", None, ""),
    ],
)
async def test_an_event_that_sets_nothing_is_refused(api, activity, name, properties, field):
    answer = await api.post(activity(events=[{"$event_name": name, "$properties": properties}]))
    assert answer.status_code == 400
    assert f"$events[0].$properties{field}" in [p["field"] for p in answer.json()["errors"]]


async def test_order_is_judged_across_the_three_routes(api, activity):
    await api.post(activity(seq=1))
    await api.client.put(PROFILE, json={"seq": 3})
    await api.client.put(CHOICE, json=MADE | {"seq": 2})
    await api.client.put(PROFILE, json={"seq": 3})
    summary = await api.summary()
    assert (summary["out_of_order"], summary["duplicate_events"]) == (1, 1)
    assert [(e["method"], e["stored"], e["events"][0]["seq"]) for e in await api.log()] == [
        ("POST", "new", 1),
        ("PUT", "new", 3),
        ("PUT", "new", 2),
        ("PUT", "new", 3),
    ]


async def test_when_users_merge_what_changed_last_stays(api, activity):
    one, two = (f"{BASE}/user_account_id={name}" for name in ("a-1", "a-2"))
    for number, user in enumerate([one, two]):
        await api.client.put(
            f"{user}/user_profiles/compartment_id=9/user_account_id=x", json={"n": number}
        )
        await api.client.put(f"{user}/user_choices/processing_id=7", json=MADE | {"n": number})
    both = [
        *activity(account="a-1")["$user_identifiers"],
        *activity(account="a-2")["$user_identifiers"],
    ]
    await api.post(activity(user_identifiers=both))
    assert await profile(api, f"{one}/user_profiles/compartment_id=9/user_account_id=x") == {"n": 1}
    history = (await api.client.get(f"{two}/user_choices/processing_id=7/change_log")).json()
    assert [choice["n"] for choice in history["data"]] == [0, 1]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{ACCOUNT}/user_scenarios", 404),
        (f"{ACCOUNT}/user_choices=1", 404),
        (f"{ACCOUNT}/user_choices/processing_id", 404),
        (f"{BASE}/phone=1/user_choices", 400),
        (f"{BASE}/user_agent_id=/user_choices", 400),
        (f"{ACCOUNT}/user_choices/processing_id=%ff", 400),
        ("/v1/datamarts/x/user_points/user_agent_id=a/user_choices", 404),
    ],
)
async def test_a_path_that_makes_no_sense_is_refused(api, path, status):
    assert (await api.client.get(path)).status_code == status


async def test_another_method_is_a_405_that_names_the_right_ones(api):
    answer = await api.client.delete(PROFILE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT")


async def test_user_points_need_a_token(make_api):
    api = make_api(tokens=frozenset({"t"}))
    assert (await api.client.get(PROFILE)).status_code == 401


async def test_everything_about_all_users_can_be_read_line_by_line(api, activity):
    await api.post(activity())
    await api.client.put(PROFILE, json={"x": 1})
    await api.client.put(CHOICE, json=MADE)
    await api.post(activity(account="a-2"))
    first, second = (await api.client.get("/_sandbox/users")).text.splitlines()
    assert '"x":1' in first
    assert '"choice_log":[{' in first
    assert "USER_ACCOUNT:1000:a-2" in second
