"""The sandbox's own part of the OpenAPI document."""

from typing import Any

from relay.sandbox.control import ClockMove
from relay.sandbox.faults import FaultPlan
from relay.sandbox.schemas import Json, answer, json_body, object_of, ref

_COUNT: Json = {"type": "integer", "minimum": 0}
_REFUSED = answer("Not valid.", object_of({"error": {"type": "string"}}))
_LINES: Json = {
    "description": "A JSON object a line.",
    "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
}
_FAULTS = answer(
    "The plan in force, and what each of its rules did.",
    object_of(
        {
            "plan": {"type": "object"},
            "rules": {"type": "array", "items": object_of({"in_scope": _COUNT, "hits": _COUNT})},
            "limiters": {
                "type": "array",
                "items": object_of({"accepted": _COUNT, "refused": _COUNT}),
            },
        }
    ),
)
_COUNTS = (
    "activities",
    "events",
    "users",
    "merged_users",
    "duplicates",
    "duplicate_events",
    "out_of_order",
    "profile_updates",
    "choice_updates",
    "refused",
    "requests",
    "answers_lost",
    "log_dropped",
)
_SUMMARY = {
    "summary": "Counts of everything that the sandbox saw.",
    "description": (
        "`duplicates` are activities whose `$unique_key` was known; they do not count as "
        "`activities`. `duplicate_events` are events that came again under another `$unique_key`, "
        "known by their sequence number. `out_of_order` counts events that were stored for the "
        "first time after a later one of the same user: later by the sequence number that the "
        "event carries in the property `seq` (of `$properties`, else of the activity; of the body "
        "for a profile or a choice); events without one are judged by `$ts`, apart from the "
        "others. `refused` are requests that were not valid, without injected faults."
    ),
    "responses": {
        "200": answer(
            "The counts.",
            object_of(
                {
                    **dict.fromkeys(_COUNTS, _COUNT),
                    "by_status": {"type": "object", "additionalProperties": _COUNT},
                    "faults": {"type": "object", "additionalProperties": _COUNT},
                    "removed_events": {"type": "object", "additionalProperties": _COUNT},
                    "order_breaks": {"type": "array", "items": {"type": "object"}},
                    "clock_ms": _COUNT,
                }
            ),
        )
    },
}

PATHS: Json = {
    "/_sandbox/summary": {"get": _SUMMARY},
    "/_sandbox/activities": {
        "get": {
            "summary": "The last activities as they came, the newest first.",
            "parameters": [
                {
                    "name": "limit",
                    "in": "query",
                    "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
                }
            ],
            "responses": {
                "200": answer("They.", {"type": "array", "items": {"type": "object"}}),
                "400": _REFUSED,
            },
        }
    },
    "/_sandbox/log": {
        "get": {
            "summary": "Every request in order of arrival, and what became of it.",
            "responses": {"200": _LINES},
        }
    },
    "/_sandbox/users": {
        "get": {
            "summary": "Every user with identifiers, profiles, choices and activities.",
            "responses": {"200": _LINES},
        }
    },
    "/_sandbox/faults": {
        "get": {"summary": "The faults in force.", "responses": {"200": _FAULTS}},
        "put": {
            "summary": "Put faults in force; an empty object ends them.",
            "requestBody": json_body(ref("FaultPlan")),
            "responses": {"200": _FAULTS, "400": _REFUSED},
        },
    },
    "/_sandbox/clock": {
        "put": {
            "summary": "Move the time on: sessions close by it.",
            "requestBody": json_body(ref("ClockMove")),
            "responses": {
                "200": answer("The time now.", object_of({"now_ms": _COUNT})),
                "400": _REFUSED,
            },
        }
    },
    "/_sandbox": {
        "delete": {
            "summary": "Forget everything, faults and moved time included.",
            "responses": {"204": {"description": "Done."}},
        }
    },
}


def _schemas() -> Json:
    plan = FaultPlan.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions: dict[str, Any] = plan.pop("$defs")
    return {"FaultPlan": plan, **definitions, "ClockMove": ClockMove.model_json_schema()}


SCHEMAS: Json = _schemas()
