"""`POST /v1/datamarts/{id}/user_activities`: a request in, an activity stored, an envelope out.

The road that everything else waits for, so it is plain ASGI: no request object, no routing below.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from relay.sandbox import envelopes
from relay.sandbox.documents import Done, Error, UserActivity
from relay.sandbox.fault_middleware import BODY, ENTRY
from relay.sandbox.journal import Entry
from relay.sandbox.operations import Operation, Operations
from relay.sandbox.state import State
from relay.sandbox.validation import Problem, problems

PROBLEMS_SHOWN = 20


def routes(state: State) -> list[Route]:
    """The routes of this stand-in."""
    return [
        Route(
            "/v1/datamarts/{datamart_id}/user_activities",
            endpoint=UserActivities(state),
            methods=["POST"],
        )
    ]


class UserActivities:
    """Import a user activity."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response = self._answer(scope)
        await response(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        state = self._state
        refusal = check_caller(state, scope)
        if refusal is not None:
            return refusal
        datamart = state.datamart(scope["path_params"]["datamart_id"])
        if datamart is None:
            return not_found(state)
        body: bytes = scope[BODY]
        activity = parsed_body(state, scope, "user activity")
        if isinstance(activity, Response):
            return activity
        version_1 = state.options.unique_key_version_1
        found = problems(UserActivity, activity, unique_key_version_1=version_1)
        entry: Entry = scope[ENTRY]
        if found:
            return invalid(state, "user activity", found)
        entry.unique_key = activity.get("$unique_key")
        taken = datamart.take(activity, body, state.now_ms())
        entry.user = taken.user.id
        entry.identifiers = taken.identifiers
        entry.events = taken.events
        state.journal.store(entry, taken.stored)
        return envelopes.ok(state.options.accepted_data)


READ_REFUSALS = dict.fromkeys((400, 401, 404), Error)
WRITE_REFUSALS = {**READ_REFUSALS, 413: Error}
OPERATIONS: Operations = {
    "/v1/datamarts/{datamartId}/user_activities": {
        "POST": Operation(
            UserActivities, Done[Any], UserActivity, refusals=WRITE_REFUSALS, secured=True
        )
    }
}


def check_caller(state: State, scope: Scope) -> Response | None:
    """The 401 for a caller without an accepted token, else None."""
    given = _header(scope, b"authorization").strip()
    accepted = state.options.tokens
    if given and (not accepted or given in accepted or given.removeprefix("api:") in accepted):
        return None
    if given and f"api:{given}" in accepted:
        return None
    return envelopes.error(401, "Unauthorized", state.new_id())


def parsed_body(state: State, scope: Scope, what: str) -> Any:
    """The body, which is `what`, parsed; the refusal of one that is too large or no JSON."""
    body: bytes = scope[BODY]
    if len(body) > state.options.body_bytes_max:
        state.refused += 1
        return envelopes.error(413, "Payload Too Large", state.new_id())
    media_type = _header(scope, b"content-type").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return invalid(state, "request", [("Content-Type", "must be application/json")])
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return invalid(state, what, [("$", f"is not JSON at character {error.pos}")])


def not_found(state: State) -> Response:
    """The documented 404."""
    return envelopes.error(404, envelopes.NOT_FOUND, state.new_id())


def invalid(state: State, what: str, found: Sequence[Problem]) -> Response:
    """The refusal of a body, with a reason for each field."""
    state.refused += 1
    shown = found[:PROBLEMS_SHOWN]
    reasons = "; ".join(f"{field} {reason}" for field, reason in shown)
    return envelopes.error(
        state.options.refusal_status, f"Invalid {what}: {reasons}", state.new_id(), fields=shown
    )


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            decoded: str = value.decode("latin-1")
            return decoded
    return ""
