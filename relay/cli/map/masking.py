"""A user activity → the same with personal data masked: what `relay map` shows unless asked.

Masked are all identifiers, every value of a profile, positions, whatever in the other properties
looks like an address, a device id or a hash, and the user's identifiers wherever they turn up.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from relay.telemetry.redact import redact

MASK = "***"
_IDENTIFIERS = frozenset({"$user_account_id", "$user_agent_id", "$hash", "$email"})
_OF_A_COMMAND = frozenset({"user_account_id", "user_agent_id", "email_hash", "data_bag"})
# Short values stand in many places by chance; masking them there would hide what is no secret.
_TELLING_CHARACTERS = 4
# What names a person in a path: everything but the compartment and the processing.
_NAMES = "user_account_id|user_agent_id|email_hash|user_point_id"
_NAMED = re.compile(rf"\b({_NAMES})=[^/,?]*")
_VALUE = re.compile(rf"\b(?:{_NAMES})=([^/,?]*)")
_BARE = re.compile(r"(/user_points/)[^/=]+(?=/)")
_PROFILE = "$set_user_profile_properties"


def masked(activity: dict[str, Any]) -> dict[str, Any]:
    """The activity without personal data. Keys, types, names and times stay."""
    known = frozenset(
        value for value in _identifiers(activity) if len(value) >= _TELLING_CHARACTERS
    )
    shown: dict[str, Any] = _masked(activity, known)
    for event, original in zip(shown["$events"], activity["$events"], strict=True):
        if original["$event_name"] == _PROFILE:
            kept = {"$compartment_id": original["$properties"]["$compartment_id"]}
            event["$properties"] = _hidden(original["$properties"]) | kept
    return shown


def masked_path(path: str) -> str:
    """The path of a user point call without whom it names."""
    return _BARE.sub(rf"\g<1>{MASK}", _NAMED.sub(rf"\g<1>={MASK}", path))


def masked_update(path: str, document: dict[str, Any]) -> dict[str, Any]:
    """The body of a profile or choice that is put to `path`, without personal data."""
    if "/user_profiles/" in path:
        kept = {key: document[key] for key in ("$compartment_id",) if key in document}
        return {**_hidden(document), **kept}
    named = (unquote(value) for value in _VALUE.findall(path))
    known = frozenset(value for value in named if len(value) >= _TELLING_CHARACTERS)
    shown: dict[str, Any] = _masked(document, known)
    return shown


def masked_command(line: dict[str, Any]) -> dict[str, Any]:
    """A line of a segment import without personal data."""
    return {name: MASK if name in _OF_A_COMMAND else value for name, value in line.items()}


def _identifiers(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _IDENTIFIERS and isinstance(inner, str):
                yield inner
            yield from _identifiers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _identifiers(inner)


def _masked(value: Any, known: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {_text(key, known): _field(key, inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, known) for inner in value]
    if isinstance(value, str):
        return _text(value, known)
    if type(value) is int and str(value) in known:
        return MASK
    return value


def _field(key: str, value: Any, known: frozenset[str]) -> Any:
    if key in _IDENTIFIERS:
        return MASK
    if key == "$location":
        return _hidden(value)
    if key == "$unique_key":
        return value  # made from a hash: it names the event, and says nothing of the user
    return _masked(value, known)


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hidden(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner) for inner in value]
    return MASK


def _text(text: str, known: frozenset[str]) -> str:
    if any(identifier in text for identifier in known):
        return MASK
    looked_at = redact(text, length_max=max(1, len(text)))
    return text if looked_at == " ".join(text.split()) else looked_at
