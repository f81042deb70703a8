"""Mapped values → HTTP requests of the tracking API: paths, queries and percent-encoding.

Of an id everything but letters, digits and `-._~` is encoded, so that no comma, slash or equals
sign in it can separate what stands around it.
"""

from urllib.parse import quote

from relay.model import Activity, Request
from relay.stream.mapping.policy import UpdateStrategy

# Legacy strategies are spelt with two parameters; the platform's own choice is none.
_QUERY = {
    UpdateStrategy.PARTIAL_UPDATE: "?update_strategy=PARTIAL_UPDATE",
    UpdateStrategy.PARTIAL_DELETE: "?update_strategy=PARTIAL_DELETE",
    UpdateStrategy.FORCE_REPLACE: "?update_strategy=FORCE_REPLACE",
    UpdateStrategy.LEGACY_REPLACE: "?force_replace=true",
    UpdateStrategy.LEGACY_MERGE: "?force_replace=false",
    UpdateStrategy.LEGACY_MERGE_OBJECTS: "?force_replace=false&merge_objects=true",
    UpdateStrategy.PLATFORM: "",
}


def activities_path(datamart_id: str) -> str:
    """Where a datamart takes user activities."""
    return f"{_datamart(datamart_id)}/user_activities"


def activity_request(path: str, activity: Activity) -> Request:
    """The request for one activity; the endpoint takes one a request."""
    return Request("POST", path, activity.body(), activity.unique_key)


def by_user_point(user_point_id: str) -> str:
    """Selects a user by the platform's own id, by its name."""
    return f"user_point_id={_quoted(user_point_id)}"


def by_bare_user_point(user_point_id: str) -> str:
    """Selects a user by the platform's own id alone."""
    return _quoted(user_point_id)


def by_device(user_agent_id: str) -> str:
    """Selects a user by a device."""
    return f"user_agent_id={_quoted(user_agent_id)}"


def by_account(compartment_id: str | int, user_account_id: str) -> str:
    """Selects a user by an account."""
    return f"compartment_id={_quoted(compartment_id)},user_account_id={_quoted(user_account_id)}"


def by_email(email_hash: str) -> str:
    """Selects a user by the hash of an address."""
    return f"email_hash={_quoted(email_hash)}"


def profile_path(
    datamart_id: str,
    selector: str,
    compartment_id: str | int,
    user_account_id: str,
    strategy: UpdateStrategy = UpdateStrategy.PLATFORM,
) -> str:
    """Where one profile of the selected user is changed, and how what is given meets it."""
    return (
        f"{_user(datamart_id, selector)}/user_profiles/compartment_id={_quoted(compartment_id)}"
        f"/user_account_id={_quoted(user_account_id)}{_QUERY[strategy]}"
    )


def choice_path(datamart_id: str, selector: str, processing_id: str) -> str:
    """Where the selected user's choice for one processing is put and read."""
    return f"{choices_path(datamart_id, selector)}/processing_id={_quoted(processing_id)}"


def choices_path(datamart_id: str, selector: str) -> str:
    """Where all choices of the selected user are listed."""
    return f"{_user(datamart_id, selector)}/user_choices"


def choice_history_path(datamart_id: str, selector: str, processing_id: str) -> str:
    """Where the history of the selected user's choices for one processing is read."""
    return f"{choice_path(datamart_id, selector, processing_id)}/change_log"


def _datamart(datamart_id: str) -> str:
    return f"/v1/datamarts/{_quoted(datamart_id)}"


def _user(datamart_id: str, selector: str) -> str:
    return f"{_datamart(datamart_id)}/user_points/{selector}"


def _quoted(value: str | int) -> str:
    return quote(str(value), safe="")
