"""`POST /v1/datamarts/{id}/user_activities`: a request in, an activity stored, an envelope out.

The road that everything else waits for, so it is plain ASGI: no request object, no routing below.
"""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from relay.sandbox import envelopes
from relay.sandbox.documents import Done, UserActivity
from relay.sandbox.fault_middleware import BODY, ENTRY
from relay.sandbox.journal import Entry
from relay.sandbox.operations import Operation, Operations
from relay.sandbox.refusals import WRITE_REFUSALS, check_caller, invalid, not_found, parsed_body
from relay.sandbox.state import State
from relay.sandbox.validation import problems


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


OPERATIONS: Operations = {
    "/v1/datamarts/{datamartId}/user_activities": {
        "POST": Operation(
            UserActivities, Done[Any], UserActivity, refusals=WRITE_REFUSALS, secured=True
        )
    }
}
