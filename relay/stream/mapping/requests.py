"""Activity → the HTTP request that posts it."""

from urllib.parse import quote

from relay.stream.model import Activity, Request


def activities_path(datamart_id: str) -> str:
    """Where a datamart takes user activities."""
    return f"/v1/datamarts/{quote(datamart_id, safe='')}/user_activities"


def activity_request(path: str, activity: Activity) -> Request:
    """The request for one activity; the endpoint takes one a request."""
    return Request("POST", path, activity.body(), activity.unique_key)
