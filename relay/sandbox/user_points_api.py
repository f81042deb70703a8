"""`/v1/datamarts/{id}/user_points/{selector}/…`: a request in, the call that it means made.

Routed on the raw path, because an id may hold an encoded slash (`relay.sandbox.selectors`).
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from pydantic import BaseModel
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from relay.sandbox import envelopes
from relay.sandbox.choices_api import get_choice_history, get_choices, put_choice
from relay.sandbox.documents import (
    Done,
    HowToUpdate,
    Page,
    Paging,
    Timeline,
    UserChoice,
    UserChoiceUpdate,
    UserIdentifier,
    UserProfile,
    UserProfileUpdate,
)
from relay.sandbox.operations import Operation, Operations
from relay.sandbox.profiles_api import get_profile, get_profiles, put_profile
from relay.sandbox.refusals import (
    READ_REFUSALS,
    WRITE_REFUSALS,
    check_caller,
    invalid,
    not_found,
)
from relay.sandbox.selectors import BadPath, Resource, parse_resource, parse_selector, split
from relay.sandbox.state import State
from relay.sandbox.user_point_call import Call


def routes(state: State) -> list[BaseRoute]:
    """The one route of this stand-in, which looks at the rest of the path itself."""
    return [UserPointRoute(state)]


def get_identifiers(call: Call) -> Response:
    """Everything that the user is known by."""
    user = call.found()
    if user is None:
        return call.listing([])
    shown: list[dict[str, Any]] = [{"type": "USER_POINT", "user_point_id": user.id}]
    for (kind, compartment, value), created_ms in user.identifiers.items():
        match kind:
            case "USER_ACCOUNT":
                own = {"compartment_id": compartment, "user_account_id": value}
            case "USER_EMAIL":
                own = {"hash": value}
            case _:
                own = {"user_agent_id": value}
        shown.append({"type": kind, **own, "creation_ts": created_ms})
    return call.listing(shown)


def get_activities(call: Call) -> Response:
    """The user's timeline; `live=true` shows open sessions too."""
    live = call.query.get("live", ["false"])[0]
    if live not in {"true", "false"}:
        return invalid(call.state, "query", [("live", "must be true or false")])
    user = call.found()
    if user is None:
        return call.listing([])
    return call.listing(call.datamart.timeline(user, call.now_ms, live=live == "true"))


Handler = Callable[[Call], Response]


def _one(handler: Handler, answer: Any, body: type[BaseModel] | None = None) -> Operation[Handler]:
    refusals = READ_REFUSALS if body is None else WRITE_REFUSALS
    query = HowToUpdate if body is UserProfileUpdate else None
    return Operation(handler, Done[answer], body, query, refusals, secured=True)


def _list(handler: Handler, item: Any, query: type[BaseModel] = Paging) -> Operation[Handler]:
    return Operation(handler, Page[item], query=query, refusals=READ_REFUSALS, secured=True)


HANDLERS: Mapping[tuple[str, ...], Mapping[str, Operation[Handler]]] = {
    ("user_profiles",): {"GET": _list(get_profiles, UserProfile)},
    ("user_profiles", "compartment_id"): {
        "GET": _list(get_profiles, UserProfile),
        "PUT": _one(put_profile, UserProfile, UserProfileUpdate),
    },
    ("user_profiles", "compartment_id", "user_account_id"): {
        "GET": _one(get_profile, UserProfile),
        "PUT": _one(put_profile, UserProfile, UserProfileUpdate),
    },
    ("user_choices",): {"GET": _list(get_choices, UserChoice)},
    ("user_choices", "processing_id"): {
        "GET": _list(get_choices, UserChoice),
        "PUT": _one(put_choice, UserChoice, UserChoiceUpdate),
    },
    ("user_choices", "processing_id", "change_log"): {"GET": _list(get_choice_history, UserChoice)},
    ("user_identifiers",): {"GET": _list(get_identifiers, UserIdentifier)},
    ("user_activities",): {"GET": _list(get_activities, dict[str, Any], Timeline)},
}
# The five documented forms of the selector.
SELECTORS = (
    "{userPointId}",
    "user_point_id={userPointId}",
    "user_agent_id={userAgentId}",
    "compartment_id={selectorCompartmentId},user_account_id={selectorUserAccountId}",
    "email_hash={emailHash}",
)
_PLACES = {
    "compartment_id": "compartment_id={compartmentId}",
    "user_account_id": "user_account_id={userAccountId}",
    "processing_id": "processing_id={processingId}",
}


def operations() -> Operations:
    """Every call to a user point, by every form of the selector."""
    return {
        "/".join(
            (
                "/v1/datamarts/{datamartId}/user_points",
                selector,
                *(_PLACES.get(n, n) for n in names),
            )
        ): methods
        for selector in SELECTORS
        for names, methods in HANDLERS.items()
    }


class UserPointRoute(BaseRoute):
    """Takes every path below a user point."""

    def __init__(self, state: State) -> None:
        self._state = state

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path is one of ours."""
        if scope["type"] == "http":
            parts = split(scope.get("raw_path") or quote(scope["path"]).encode())
            if parts is not None:
                return Match.FULL, {"path_params": {"parts": parts}}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response = self._answer(scope)
        await response(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        state = self._state
        raw_datamart, raw_selector, raw_resource = scope["path_params"]["parts"]
        try:
            resource = parse_resource(raw_resource)
            methods = HANDLERS.get(resource.names)
            if methods is None or not _complete(resource):
                return not_found(state)
            operation = methods.get(scope["method"])
            if operation is None:
                allow = {"allow": ", ".join(sorted(methods))}
                return envelopes.error(405, "Method Not Allowed", state.new_id(), headers=allow)
            refusal = check_caller(state, scope)
            if refusal is not None:
                return refusal
            datamart = state.datamart(raw_datamart.decode("ascii", "replace"))
            if datamart is None:
                return not_found(state)
            selector = parse_selector(raw_selector, state.options.default_compartment_id)
        except BadPath as bad:
            return invalid(state, "path", [(bad.part, bad.reason)])
        query = parse_qs(scope["query_string"].decode("ascii", "replace"), keep_blank_values=True)
        return operation.handler(Call(state, datamart, selector, resource.values, query, scope))


def _complete(resource: Resource) -> bool:
    """Whether exactly the parts of the path that take a value have one."""
    return all((name in resource.values) == name.endswith("_id") for name in resource.names)
