"""The path of a user point call: raw bytes in, selector and resource out, percent-decoded.

    /v1/datamarts/{id}/user_points/{selector}/{document}[/{name}={value}][/{name}={value}][/…]
    /v1/datamarts/{id}/user_timelines/{selector}/user_activities

The raw path is what counts: an id may hold an encoded slash, comma or equals sign, and those do
not separate anything. So it is cut first and decoded afterwards.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from relay.sandbox.user_points import Identifier

_CALL = re.compile(
    rb"/v1/datamarts/([^/]+)/(?:user_points/([^/]+)/(.+)|user_timelines/([^/]+)/(.+))"
)
_TIMELINE = b"user_activities"


@dataclass(frozen=True, slots=True)
class UserPointId:
    """Selects by the platform's own id."""

    id: str


Selector = UserPointId | Identifier


@dataclass(frozen=True, slots=True)
class Resource:
    """What is asked of the user: the names of the path's parts, and the values of those with one.

    `user_choices/processing_id=7/change_log` is `("user_choices", "processing_id", "change_log")`
    with `{"processing_id": "7"}`.
    """

    names: tuple[str, ...]
    values: Mapping[str, str]


class BadPath(Exception):
    """A part of the path that makes no sense."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part} {reason}")
        self.part = part
        self.reason = reason


def split(raw_path: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Datamart, selector and resource, still encoded; None when it is no user point call."""
    match = _CALL.fullmatch(raw_path)
    if match is None:
        return None
    datamart, selector, resource, timeline_selector, timeline = match.groups()
    if timeline is not None:
        return (datamart, timeline_selector, timeline) if timeline == _TIMELINE else None
    return datamart, selector, resource


def parse_selector(raw: bytes, default_compartment: str) -> Selector:
    """Who is meant. Raises `BadPath`."""
    if b"=" not in raw:
        return UserPointId(_decoded(raw, "selector"))
    values: dict[str, str] = {}
    for pair in raw.split(b","):
        name, separator, value = pair.partition(b"=")
        if not separator:
            raise BadPath("selector", "must be name=value pairs, separated by commas")
        values[_decoded(name, "selector")] = _decoded(value, "selector")
    match sorted(values):
        case ["user_point_id"]:
            return UserPointId(values["user_point_id"])
        case ["user_agent_id"]:
            return Identifier("USER_AGENT", "", values["user_agent_id"])
        case ["email_hash"]:
            return Identifier("USER_EMAIL", "", values["email_hash"])
        case ["compartment_id", "user_account_id"]:
            return Identifier("USER_ACCOUNT", values["compartment_id"], values["user_account_id"])
        case ["user_account_id"]:
            # Inferred from the identifiers of activities: no compartment means the default one.
            return Identifier("USER_ACCOUNT", default_compartment, values["user_account_id"])
        case _:
            raise BadPath(
                "selector",
                "must be user_point_id, user_agent_id, email_hash or "
                "compartment_id,user_account_id",
            )


def parse_resource(raw: bytes) -> Resource:
    """What is asked of the user. Raises `BadPath`."""
    names: list[str] = []
    values: dict[str, str] = {}
    for part in raw.split(b"/"):
        raw_name, separator, value = part.partition(b"=")
        name = _decoded(raw_name, "path")
        names.append(name)
        if separator:
            values[name] = _decoded(value, name)
    return Resource(tuple(names), values)


def _decoded(raw: bytes, part: str) -> str:
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadPath(part, "must be percent-encoded UTF-8") from None
    if not text:
        raise BadPath(part, "must not be empty")
    return text
