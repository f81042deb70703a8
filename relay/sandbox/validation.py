"""Is a parsed body a user activity? Document in, the list of what is wrong out: field and reason.

Written from the vendor's documentation alone. It names fields and never repeats a value: values
are personal data. Lenient where the vendor is: ids and times may be strings or numbers.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Problem = tuple[str, str]

ACTIVITY_TYPES = frozenset(
    {
        "SITE_VISIT",
        "APP_VISIT",
        "DISPLAY_AD",
        "EMAIL",
        "TOUCH",
        "USER_SCENARIO_START",
        "USER_SCENARIO_STOP",
        "USER_SCENARIO_NODE_ENTER",
        "USER_SCENARIO_NODE_EXIT",
        "RECOMMENDER",
        "USER_PLATFORM",
        "STOPWATCH",
        "STAGING_AREA",
    }
)
SESSION_STATUSES = frozenset({"NO_SESSION", "IN_SESSION", "CLOSED_SESSION", "SESSION_SNAPSHOT"})
IDENTIFIER_KEYS = {
    "USER_ACCOUNT": "$user_account_id",
    "USER_EMAIL": "$hash",
    "USER_AGENT": "$user_agent_id",
}
SET_PROFILE = "$set_user_profile_properties"
SET_CHOICE = "$set_user_choice"
# Without anchors, as the OpenAPI document puts its own around them.
UUID_VERSION_1 = (
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-1[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)
WHOLE_TEXT = "[0-9]{1,18}"
WHOLE_MAX = 2**63 - 1  # the vendor's type is Long

_UUID_VERSION_1 = re.compile(UUID_VERSION_1)
_WHOLE_TEXT = re.compile(WHOLE_TEXT)


def activity_problems(activity: Any, *, unique_key_version_1: bool) -> list[Problem]:
    """What is wrong with the activity; empty when nothing is."""
    if not isinstance(activity, dict):
        return [("$", "must be an object")]
    problems: list[Problem] = []
    _one_of(activity, "$type", ACTIVITY_TYPES, problems)
    if activity.get("$session_status") is not None or not _is_sourced(activity):
        _one_of(activity, "$session_status", SESSION_STATUSES, problems)
    for field, fits, expected in _OPTIONAL_FIELDS:
        value = activity.get(field)
        if value is not None and not fits(value):
            problems.append((field, f"must be {expected}"))
    key = activity.get("$unique_key")
    if key is not None and not _is_key(key, version_1=unique_key_version_1):
        shape = "a UUID of version 1" if unique_key_version_1 else "a string"
        problems.append(("$unique_key", f"must be {shape}"))
    _events(activity.get("$events"), problems)
    _identifiers(activity, problems)
    return problems


def _is_sourced(activity: dict[str, Any]) -> bool:
    """Made by the platform's email router or recommender, which know no sessions."""
    return activity.get("$type") in ("EMAIL", "RECOMMENDER") and is_id(activity.get("$source"))


def whole(value: Any) -> int | None:
    """A whole number of at least 0, given as a number or as a string of digits; else None."""
    if isinstance(value, str):
        return int(value) if _WHOLE_TEXT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # JSON knows one kind of number: 5.0 is as whole as 5.
    return int(value) if value % 1 == 0 and 0 <= value <= WHOLE_MAX else None


def is_id(value: Any) -> bool:
    """An id: a string that is not empty, or a whole number."""
    if isinstance(value, str):
        return value != ""
    return whole(value) is not None


def id_text(value: Any) -> str:
    """The text of a valid id."""
    return value if isinstance(value, str) else str(whole(value))


def acceptance_problems(document: Mapping[str, Any], where: str) -> list[Problem]:
    """What is wrong with the answer that a choice gives."""
    value = document.get("$choice_acceptance_value")
    if isinstance(value, bool):
        return []
    return [(where, "is required" if value is None else "must be true or false")]


def _one_of(
    activity: dict[str, Any], field: str, allowed: frozenset[str], problems: list[Problem]
) -> None:
    value = activity.get(field)
    if value is None:
        problems.append((field, "is required"))
    elif not isinstance(value, str) or value not in allowed:
        problems.append((field, f"must be one of {', '.join(sorted(allowed))}"))


def _events(events: Any, problems: list[Problem]) -> None:
    # Documented by the vendor's own tests: an empty list is accepted.
    if not isinstance(events, list):
        problems.append(("$events", "is required" if events is None else "must be an array"))
        return
    for index, event in enumerate(events):
        if not isinstance(event, dict):
            problems.append((f"$events[{index}]", "must be an object"))
            continue
        name = event.get("$event_name")
        if not isinstance(name, str) or not name:
            wrong = "is required" if name is None else "must be a string that is not empty"
            problems.append((f"$events[{index}].$event_name", wrong))
        ts = event.get("$ts")
        if ts is not None and whole(ts) is None:
            problems.append((f"$events[{index}].$ts", "must be epoch milliseconds"))
        properties = event.get("$properties")
        where = f"$events[{index}].$properties"
        if properties is not None and not isinstance(properties, dict):
            problems.append((where, "must be an object"))
        elif name == SET_PROFILE:
            _profile_event(properties or {}, where, problems)
        elif name == SET_CHOICE:
            _choice_event(properties or {}, where, problems)


def _profile_event(properties: dict[str, Any], where: str, problems: list[Problem]) -> None:
    # Inferred: refused. The vendor says what the event must hold, not what happens without it.
    if not is_id(properties.get("$user_account_id")):
        problems.append((f"{where}.$user_account_id", "must be an id"))
    compartment = properties.get("$compartment_id")
    if compartment is not None and not is_id(compartment):
        problems.append((f"{where}.$compartment_id", "must be an id"))


def _choice_event(properties: dict[str, Any], where: str, problems: list[Problem]) -> None:
    # Inferred: refused, as above.
    if not is_id(properties.get("$processing_id")):
        problems.append((f"{where}.$processing_id", "must be an id"))
    problems += acceptance_problems(properties, f"{where}.$choice_acceptance_value")


def _identifiers(activity: dict[str, Any], problems: list[Problem]) -> None:
    entries = activity.get("$user_identifiers")
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        problems.append(("$user_identifiers", "must be an array"))
        return
    for index, entry in enumerate(entries):
        where = f"$user_identifiers[{index}]"
        if not isinstance(entry, dict):
            problems.append((where, "must be an object"))
            continue
        kind = entry.get("$type")
        key = IDENTIFIER_KEYS.get(kind) if isinstance(kind, str) else None
        if key is None:
            problems.append((f"{where}.$type", f"must be one of {', '.join(IDENTIFIER_KEYS)}"))
            continue
        _identifier(entry, key, where, problems)
    # Inferred: an activity of nobody is of no use to the platform.
    legacy = any(activity.get(field) is not None for field in _LEGACY_IDENTIFIERS)
    if not entries and not legacy:
        problems.append(("$user_identifiers", "at least one identifier is required"))


def _identifier(entry: dict[str, Any], key: str, where: str, problems: list[Problem]) -> None:
    if not is_id(entry.get(key)):
        wrong = "is required" if entry.get(key) is None else "must be a string that is not empty"
        problems.append((f"{where}.{key}", wrong))
    compartment = entry.get("$compartment_id")
    if compartment is not None and not is_id(compartment):
        problems.append((f"{where}.$compartment_id", "must be an id"))
    email = entry.get("$email")
    if email is not None and not isinstance(email, str):
        problems.append((f"{where}.$email", "must be a string"))


def _is_key(key: Any, *, version_1: bool) -> bool:
    if not isinstance(key, str) or not key:
        return False
    return not version_1 or _UUID_VERSION_1.fullmatch(key) is not None


def _is_email_hash(value: Any) -> bool:
    return isinstance(value, dict) and is_id(value.get("$hash"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_LEGACY_IDENTIFIERS = ("$user_agent_id", "$user_account_id", "$email_hash")
_OPTIONAL_FIELDS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("$ts", lambda value: whole(value) is not None, "epoch milliseconds"),
    ("$ttl", lambda value: whole(value) is not None, "minutes"),
    ("$site_id", is_id, "an id"),
    ("$app_id", is_id, "an id"),
    ("$compartment_id", is_id, "an id"),
    ("$user_agent_id", is_id, "a string that is not empty"),
    ("$user_account_id", is_id, "a string that is not empty"),
    ("$email_hash", _is_email_hash, "an object with a $hash"),
    ("$origin", lambda value: isinstance(value, dict), "an object"),
    ("$location", lambda value: isinstance(value, dict), "an object"),
    ("$topics", lambda value: isinstance(value, dict), "an object"),
    ("$session_duration", _is_number, "a number"),
)
