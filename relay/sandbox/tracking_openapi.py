"""The tracking API's part of the OpenAPI document: paths and schemas, as the stand-in keeps them.

Written by hand and stricter than the vendor's page, which leaves most errors open.
"""

from collections.abc import Mapping

from relay.sandbox.profiles_api import STRATEGIES
from relay.sandbox.schemas import Json, answer, json_body, object_of, optional, parameter, ref
from relay.sandbox.validation import (
    ACTIVITY_TYPES,
    SESSION_STATUSES,
    SET_CHOICE,
    SET_PROFILE,
    UUID_VERSION_1,
    WHOLE_MAX,
    WHOLE_TEXT,
)

_TEXT: Json = {"type": "string", "minLength": 1}
_WHOLE: Json = {"type": "integer", "minimum": 0, "maximum": WHOLE_MAX}
_WHOLE_OR_TEXT: Json = {"anyOf": [_WHOLE, {"type": "string", "pattern": f"^{WHOLE_TEXT}$"}]}
_ID: Json = {"anyOf": [_TEXT, _WHOLE]}


def _event(name: Json, properties: Json, *, always: bool) -> Json:
    required = {"$event_name": name} | ({"$properties": properties} if always else {})
    others = {"$ts": optional(_WHOLE_OR_TEXT)}
    return object_of(required, others if always else {"$properties": properties} | others)


def _done(data: Json) -> Json:
    return answer("Done.", object_of({"status": {"const": "ok"}, "data": data}))


def _page(item: Json) -> Json:
    counts = ("count", "total", "first_result", "max_results")
    return answer(
        "A page.",
        object_of(
            {
                "status": {"const": "ok"},
                **dict.fromkeys(counts, _WHOLE),
                "data": {"type": "array", "items": item},
            }
        ),
    )


def _refusals(*statuses: str) -> Json:
    return {status: answer(_MEANING[status], ref("Error")) for status in statuses}


_MEANING = {
    "400": "Not valid; `errors` names each field.",
    "401": "The token is missing or not accepted.",
    "404": "No such resource, or nothing to list.",
    "405": "Not with that method.",
    "413": "The body is too large.",
}
_SECURED: Json = {"security": [{"token": []}]}
_READ_ERRORS = _refusals("400", "401", "404")
_WRITE_ERRORS = _refusals("400", "401", "404", "413")
_PAGING = [
    parameter("first_result", "query", {"type": "integer", "minimum": 0, "maximum": 999_999_999}),
    parameter("max_results", "query", {"type": "integer", "minimum": 0, "maximum": 999_999_999}),
]
_STRATEGY = [
    parameter(
        "update_strategy",
        "query",
        {"enum": [s.value for s in STRATEGIES]},
        "Wins over the legacy two.",
    ),
    parameter("force_replace", "query", {"type": "boolean"}, "Legacy: replace the whole profile."),
    parameter("merge_objects", "query", {"type": "boolean"}, "Legacy: merge objects in depth."),
]

# The five documented forms of the selector, with the parameters that each has.
SELECTORS: Mapping[str, tuple[str, ...]] = {
    "{userPointId}": ("userPointId",),
    "user_point_id={userPointId}": ("userPointId",),
    "user_agent_id={userAgentId}": ("userAgentId",),
    "compartment_id={selectorCompartmentId},user_account_id={selectorUserAccountId}": (
        "selectorCompartmentId",
        "selectorUserAccountId",
    ),
    "email_hash={emailHash}": ("emailHash",),
}
_PROFILE = "/user_profiles/compartment_id={compartmentId}/user_account_id={userAccountId}"
_CHOICE = "/user_choices/processing_id={processingId}"


def _resources() -> Json:
    """What can be asked of a user, below the selector."""
    profile, choice = ref("UserProfile"), ref("UserChoice")
    put_profile = {
        **_SECURED,
        "summary": "Create or change a profile.",
        "parameters": _STRATEGY,
        "requestBody": json_body(ref("UserProfileUpdate")),
        "responses": {"200": _done(profile), **_WRITE_ERRORS},
    }
    put_choice = {
        **_SECURED,
        "summary": "Store what the user chose.",
        "requestBody": json_body(ref("UserChoiceUpdate")),
        "responses": {"200": _done(choice), **_WRITE_ERRORS},
    }
    return {
        "/user_profiles": {"get": _list("All profiles.", profile)},
        "/user_profiles/compartment_id={compartmentId}": {
            "get": _list("The profiles in a compartment.", profile),
            "put": {**put_profile, "summary": "Create or change the profile without account."},
        },
        _PROFILE: {
            "get": {
                **_SECURED,
                "summary": "One profile.",
                "responses": {"200": _done(profile), **_READ_ERRORS},
            },
            "put": put_profile,
        },
        "/user_choices": {"get": _list("The current choices.", choice)},
        _CHOICE: {
            "get": _list("The current choice for one processing.", choice),
            "put": put_choice,
        },
        f"{_CHOICE}/change_log": {"get": _list("All choices for one processing.", choice)},
        "/user_identifiers": {
            "get": _list("What the user is known by.", object_of({"type": _TEXT}))
        },
        "/user_activities": {
            "get": _list(
                "The timeline.",
                {"type": "object"},
                parameter("live", "query", {"type": "boolean"}, "Show open sessions too."),
            )
        },
    }


def _list(summary: str, item: Json, *parameters: Json) -> Json:
    return {
        **_SECURED,
        "summary": summary,
        "parameters": [*_PAGING, *parameters],
        "responses": {"200": _page(item), **_READ_ERRORS},
    }


def _user_point_paths() -> Json:
    paths: Json = {}
    for selector, names in SELECTORS.items():
        for resource, item in _resources().items():
            own = [
                name
                for name in ("compartmentId", "userAccountId", "processingId")
                if f"{{{name}}}" in resource
            ]
            paths[f"/v1/datamarts/{{datamartId}}/user_points/{selector}{resource}"] = {
                "parameters": [
                    parameter("datamartId", "path", ref("DatamartId")),
                    *(parameter(name, "path", _TEXT) for name in (*names, *own)),
                ],
                **item,
            }
    return paths


PATHS: Json = {
    "/v1/datamarts/{datamartId}/user_activities": {
        "parameters": [parameter("datamartId", "path", ref("DatamartId"))],
        "post": {
            **_SECURED,
            "summary": "Import a user activity.",
            "requestBody": json_body(ref("UserActivity")),
            "responses": {"200": _done({}), **_WRITE_ERRORS},
        },
    },
    **_user_point_paths(),
}

_IDENTIFIER: Json = {
    "anyOf": [
        object_of(
            {"$type": {"const": "USER_ACCOUNT"}, "$user_account_id": _ID},
            {"$compartment_id": optional(_ID)},
        ),
        object_of(
            {"$type": {"const": "USER_EMAIL"}, "$hash": _ID},
            {"$email": optional({"type": "string"})},
        ),
        object_of({"$type": {"const": "USER_AGENT"}, "$user_agent_id": _ID}),
    ]
}
_EMAIL_HASH: Json = object_of({"$hash": _ID})
_ACCEPTANCE: Json = {"$choice_acceptance_value": {"type": "boolean"}}

SCHEMAS: Json = {
    "DatamartId": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
    "Error": object_of(
        {
            "status": {"const": "error"},
            "error": {"type": "string"},
            "error_id": {"type": "string"},
            "error_code": {"type": "string"},
        },
        {
            "errors": {
                "type": "array",
                "items": object_of({"field": {"type": "string"}, "reason": {"type": "string"}}),
            }
        },
    ),
    "UserEvent": {
        "anyOf": [
            _event(
                {"type": "string", "minLength": 1, "not": {"enum": [SET_PROFILE, SET_CHOICE]}},
                optional({"type": "object"}),
                always=False,
            ),
            _event(
                {"const": SET_PROFILE},
                object_of({"$user_account_id": _ID}, {"$compartment_id": optional(_ID)}),
                always=True,
            ),
            _event(
                {"const": SET_CHOICE},
                object_of({"$processing_id": _ID, **_ACCEPTANCE}),
                always=True,
            ),
        ]
    },
    "UserActivity": {
        **object_of(
            {
                "$type": {"enum": sorted(ACTIVITY_TYPES)},
                "$session_status": {"enum": sorted(SESSION_STATUSES)},
                "$events": {"type": "array", "items": ref("UserEvent")},
            },
            {
                "$ts": optional(_WHOLE_OR_TEXT),
                "$ttl": optional(_WHOLE_OR_TEXT),
                "$unique_key": optional({"type": "string", "pattern": f"^{UUID_VERSION_1}$"}),
                "$site_id": optional(_ID),
                "$app_id": optional(_ID),
                "$user_identifiers": optional({"type": "array", "items": _IDENTIFIER}),
                "$user_agent_id": optional(_ID),
                "$user_account_id": optional(_ID),
                "$compartment_id": optional(_ID),
                "$email_hash": optional(_EMAIL_HASH),
                "$origin": optional({"type": "object"}),
                "$location": optional({"type": "object"}),
                "$topics": optional({"type": "object"}),
                "$session_duration": optional({"type": "number"}),
            },
        ),
        "anyOf": [
            object_of({"$user_identifiers": {"type": "array", "minItems": 1}}),
            object_of({"$user_agent_id": _ID}),
            object_of({"$user_account_id": _ID}),
            object_of({"$email_hash": _EMAIL_HASH}),
        ],
    },
    "UserProfile": object_of(
        {"$compartment_id": _TEXT, "$creation_ts": _WHOLE, "$last_modified_ts": _WHOLE},
        {"$user_account_id": _TEXT},
    ),
    "UserProfileUpdate": {
        "type": "object",
        "description": "`$compartment_id` and `$user_account_id` may be given, as in the path.",
    },
    "UserChoice": object_of(
        {
            "$user_point_id": _TEXT,
            "$processing_id": _TEXT,
            "$choice_ts": _WHOLE,
            "$creation_ts": _WHOLE,
            **_ACCEPTANCE,
        }
    ),
    "UserChoiceUpdate": {
        **object_of({"$choice_ts": _WHOLE_OR_TEXT, **_ACCEPTANCE}),
        "description": "`$processing_id` may be given, as in the path.",
    },
}
