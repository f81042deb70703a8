"""What every call to mediarithmics is checked for first, and the answers that refuse it."""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Scope

from relay.sandbox import envelopes
from relay.sandbox.documents import Error
from relay.sandbox.fault_middleware import BODY
from relay.sandbox.state import State
from relay.sandbox.validation import Problem

PROBLEMS_SHOWN = 20
READ_REFUSALS = dict.fromkeys((400, 401, 404), Error)
WRITE_REFUSALS = {**READ_REFUSALS, 413: Error}
"""By status, for the OpenAPI document."""


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
