"""Every sample of the vendor's Tracking API page is taken, and does what the page says."""

import pytest

DATAMART = "/v1/datamarts/1234"
APP_OPEN = [{"$ts": 3489009384393, "$event_name": "$app_open", "$properties": {}}]
VISIT = {"$ts": 3489009384393, "$type": "APP_VISIT", "$session_status": "IN_SESSION"}
ACCOUNT = {
    "$type": "USER_ACCOUNT",
    "$compartment_id": "<COMPARTMENT_ID>",
    "$user_account_id": "<ACCOUNT_ID>",
}
SAMPLES = {
    "identifiers": {
        **VISIT,
        "$user_identifiers": [
            {
                "$type": "USER_ACCOUNT",
                "$compartment_id": "<COMPARTMENT_ID-1>",
                "$user_account_id": "<ACCOUNT_ID-1>",
            },
            {
                "$type": "USER_ACCOUNT",
                "$compartment_id": "<COMPARTMENT_ID-1>",
                "$user_account_id": "<ACCOUNT_ID-2>",
            },
            {"$type": "USER_AGENT", "$user_agent_id": "<USER_AGENT_ID>"},
            {"$type": "USER_EMAIL", "$hash": "<USER_EMAIl_HASH>", "$email": "<USER_EMAIl>"},
        ],
        "$app_id": "1023",
        "$events": APP_OPEN,
    },
    "legacy": {
        **VISIT,
        "$user_agent_id": "<USER_AGENT_ID>",
        "$compartment_id": "<COMPARTMENT_ID>",
        "$user_account_id": "<ACCOUNT_ID>",
        "$app_id": "1023",
        "$events": APP_OPEN,
    },
    "profile": {
        **VISIT,
        "$user_identifiers": [ACCOUNT],
        "$app_id": "1023",
        "$events": [
            {
                "$ts": 1679588413000,
                "$event_name": "$set_user_profile_properties",
                "$properties": {
                    "$compartment_id": "<COMPARTMENT_ID>",
                    "$user_account_id": "<ACCOUNT_ID>",
                    "gender": "Male",
                    "zipcode": "78000",
                },
            }
        ],
    },
    "choice": {
        "$user_account_id": "<your_user_account_id>",
        "$compartment_id": 1000,
        "$type": "SITE_VISIT",
        "$site_id": "<your_site_id>",
        "$session_status": "NO_SESSION",
        "$ts": 1572947762,
        "$events": [
            {
                "$event_name": "$set_user_choice",
                "$ts": 1572948120,
                "$properties": {
                    "$processing_id": "<your_processing_id>",
                    "$choice_acceptance_value": True,
                    "<your_custom_field>": "<your_custom field_value>",
                },
            }
        ],
    },
}
IDENTIFIED_BY = {"identifiers": 4, "legacy": 2, "profile": 1, "choice": 1}


@pytest.mark.parametrize("name", SAMPLES)
async def test_an_activity_is_taken_with_all_its_identifiers(api, name):
    assert (await api.post(SAMPLES[name])).status_code == 200
    (entry,) = await api.log()
    assert len(entry["identifiers"]) == IDENTIFIED_BY[name]


async def test_the_profile_of_the_sample_is_stored(api):
    await api.post(SAMPLES["profile"])
    key = "compartment_id=%3CCOMPARTMENT_ID%3E,user_account_id=%3CACCOUNT_ID%3E"
    path = f"{DATAMART}/user_points/{key}/user_profiles/{key.replace(',', '/')}"
    stored = (await api.client.get(path)).json()["data"]
    assert (stored["gender"], stored["zipcode"]) == ("Male", "78000")


async def test_the_choice_of_the_sample_is_stored(api):
    await api.post(SAMPLES["choice"])
    user = f"{DATAMART}/user_points/user_account_id=%3Cyour_user_account_id%3E"
    (choice,) = (await api.client.get(f"{user}/user_choices")).json()["data"]
    assert choice["$processing_id"] == "<your_processing_id>"
    assert choice["$choice_acceptance_value"] is True
    assert choice["$choice_ts"] == 1572948120
    assert choice["<your_custom_field>"] == "<your_custom field_value>"


@pytest.mark.parametrize(
    "selector",
    [
        "user_agent_id=vec:1",
        "compartment_id=17,user_account_id=a",
        "email_hash=h",
        "user_point_id={id}",
        "{id}",
    ],
)
async def test_the_profile_and_choice_samples_are_put_by_every_selector(api, selector):
    made = await api.client.put(
        f"{DATAMART}/user_points/user_agent_id=vec:1/user_choices/processing_id=1",
        json={"$choice_ts": "1573135588140", "$choice_acceptance_value": True},
    )
    user = selector.format(id=made.json()["data"]["$user_point_id"])
    profile = await api.client.put(
        f"{DATAMART}/user_points/{user}/user_profiles/compartment_id=17/user_account_id=a",
        json={
            "$compartment_id": "17",
            "$user_account_id": "a",
            "gender": "female",
            "zipcode": "75001",
        },
    )
    choice = await api.client.put(
        f"{DATAMART}/user_points/{user}/user_choices/processing_id=7",
        json={
            "$choice_ts": "1573135588140",
            "$choice_acceptance_value": False,
            "<your_custom_field>": "<your_custom field_value>",
        },
    )
    assert (profile.status_code, choice.status_code) == (200, 200)
    history = f"{DATAMART}/user_points/{user}/user_choices/processing_id=7/change_log"
    assert (await api.client.get(history)).json()["data"] == [choice.json()["data"]]
