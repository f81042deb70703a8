"""What the platform does to events before they can be read back."""

ACCOUNT = "compartment_id=1000,user_account_id=a-1"
T0 = 1_767_225_600_000


def event(name: str, **properties) -> dict:
    return {"$event_name": name, "$ts": T0, "$properties": properties}


async def names(api) -> list[list[str]]:
    path = f"/v1/datamarts/1234/user_points/{ACCOUNT}/user_activities"
    answer = await api.client.get(path)
    return [[e["$event_name"] for e in a["$events"]] for a in answer.json()["data"]]


async def test_page_views_are_removed_and_counted(api, activity):
    await api.post(activity(events=[event("$page_view"), event("seen")]))
    assert await names(api) == [["seen"]]
    assert (await api.summary())["removed_events"] == {"$page_view": 1}


async def test_the_first_open_of_a_user_is_an_install(api, activity):
    await api.post(activity(events=[event("seen"), event("$app_open"), event("$app_open")]))
    await api.post(activity(events=[event("$app_open")]))
    await api.post(activity(account="a-2", events=[event("$app_open")]))
    assert await names(api) == [["seen", "$app_install", "$app_open", "$app_open"], ["$app_open"]]


async def test_an_install_stays_when_its_activity_is_repeated(api, activity, key):
    for _ in range(2):
        await api.post(activity(unique_key=key(1), events=[event("$app_open")]))
    assert await names(api) == [["$app_install", "$app_open"]]


async def test_of_two_users_that_become_one_the_first_install_stays(api, activity):
    await api.post(activity(account="a-1", events=[event("$app_open")]))
    await api.post(activity(account="a-2", events=[event("$app_open")]))
    both = [
        *activity(account="a-1")["$user_identifiers"],
        *activity(account="a-2")["$user_identifiers"],
    ]
    await api.post(activity(user_identifiers=both))
    assert await names(api) == [["$app_install", "$app_open"], ["$app_open"], ["seen"]]


async def test_events_that_the_platform_computes_itself_are_dropped(api, activity):
    await api.post(activity(events=[event("$app_install"), event("$app_update"), event("seen")]))
    assert await names(api) == [["seen"]]
    assert (await api.summary())["removed_events"] == {"$app_install": 1, "$app_update": 1}
