"""The event of a record → the body of the activity; the mapping that every peer uses."""

import json

HEADERS = {"authorization": "api:token", "content-type": "application/json"}
PATH = "/v1/datamarts/1234/user_activities"
PAUSE_S = 0.05


def body_of(value: bytes) -> bytes:
    """The activity as the tracking API wants it, one event in each."""
    event = json.loads(value)
    accounts = [
        {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": account["id"]}
        for account in event["user"]["accounts"]
    ]
    return json.dumps(
        {
            "$ts": event["ts"],
            "$type": "APP_VISIT",
            "$app_id": event["app_id"],
            "$session_status": event["session_status"],
            "$user_identifiers": accounts,
            "$events": [{"$event_name": event["event"], "$properties": event["properties"]}],
        },
        separators=(",", ":"),
    ).encode()
