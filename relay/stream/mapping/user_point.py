"""Profile or Choice → the PUT that changes the user point itself, where no activity is wanted.

What an activity would carry beside it (channel, session, origin) has no place on these routes and
is not sent.
"""

from typing import Any

from relay.model import Request, RequestKind, Unmappable
from relay.stream.decoding.app_event import Choice, Profile
from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.compact_json import to_json
from relay.stream.mapping.identity import Entry, Identity, best_of, digest, identify
from relay.stream.mapping.policy import (
    ChoiceRoute,
    MappingPolicy,
    ProfileRoute,
    SelectorKind,
    UpdateStrategy,
)
from relay.stream.mapping.profile import ProfileKey, profile_key
from relay.stream.mapping.requests import (
    by_account,
    by_bare_user_point,
    by_device,
    by_email,
    by_user_point,
    choice_path,
    profile_path,
)
from relay.stream.mapping.rules import RESERVED_CHOICE_PROPERTIES, check_properties
from relay.stream.mapping.unique_key import unique_key

_TYPES = {
    SelectorKind.ACCOUNT: "USER_ACCOUNT",
    SelectorKind.EMAIL: "USER_EMAIL",
    SelectorKind.DEVICE: "USER_AGENT",
}


def goes_by_put(event: Profile | Choice, policy: MappingPolicy) -> bool | Unmappable:
    """Whether the event travels by a route of its own instead of in an activity."""
    own = [
        name
        for name in ("update_strategy", "selector", "user_point_id")
        if getattr(event, name, None) is not None
    ]
    # The first that decides: the event's own word; something that has a meaning only there; the
    # settings. A word that contradicts the rest is refused, since either could be the mistake.
    if event.route == "activity" and own:
        return Unmappable(
            MappingCode.ROUTE_CONTRADICTED, f"{own[0]}: has no meaning on the route activity"
        )
    if event.route is not None:
        return event.route != "activity"
    if own:
        return True
    if isinstance(event, Profile):
        return policy.profile_route is not ProfileRoute.ACTIVITY
    return policy.choice_route is not ChoiceRoute.ACTIVITY


def user_point_update(event: Profile | Choice, policy: MappingPolicy) -> Request | Unmappable:
    """The request that puts the profile or the choice."""
    kind = _kind(event)
    known = _known(event, kind, policy)
    if isinstance(known, Unmappable):
        return known
    selector = _selector(event, kind, known)
    if isinstance(selector, Unmappable):
        return selector
    if isinstance(event, Profile):
        key = profile_key(event, policy.identity)
        if isinstance(key, Unmappable):
            return key
        path, body = _profile(event, selector, key, policy)
    else:
        wrong = check_properties(event.properties, RESERVED_CHOICE_PROPERTIES)
        if wrong is not None:
            return wrong
        path = choice_path(policy.datamart_id, selector, event.processing_id)
        body = {
            # As text: so it stands in the vendor's samples, of this call and of imports.
            "$choice_ts": str(event.ts),
            "$choice_acceptance_value": event.accepted,
            **event.properties,
        }
    return Request(
        "PUT",
        path,
        to_json(body),
        unique_key(policy.source, event.id, event.ts) if policy.unique_key else None,
        RequestKind.USER_POINT,
        known.notes,
        known.lane,
    )


def selector_of(event: Profile | Choice, policy: MappingPolicy) -> str | Unmappable:
    """What selects the event's user in a path."""
    kind = _kind(event)
    known = _known(event, kind, policy)
    return known if isinstance(known, Unmappable) else _selector(event, kind, known)


def _profile(
    event: Profile, selector: str, key: ProfileKey, policy: MappingPolicy
) -> tuple[str, dict[str, Any]]:
    strategy = UpdateStrategy(event.update_strategy or policy.update_strategy)
    path = profile_path(policy.datamart_id, selector, key.compartment, key.account, strategy)
    if strategy is UpdateStrategy.PARTIAL_DELETE:
        return path, event.properties  # here the body names what goes: never the key
    return path, {
        "$compartment_id": key.compartment,
        "$user_account_id": key.account,
        **event.properties,
    }


def _kind(event: Profile | Choice) -> SelectorKind | None:
    if event.selector is not None:
        return SelectorKind(event.selector)
    return None if event.user_point_id is None else SelectorKind.USER_POINT


def _known(
    event: Profile | Choice, kind: SelectorKind | None, policy: MappingPolicy
) -> Identity | Unmappable:
    """The user's identifiers; none are needed where the platform's own id is given."""
    known = identify(event.user, policy.identity)
    if (
        isinstance(known, Unmappable)
        and known.code == MappingCode.NO_IDENTIFIER
        and kind in (SelectorKind.USER_POINT, SelectorKind.USER_POINT_BARE)
        and event.user_point_id is not None
    ):
        return Identity((), digest("user_point_id", event.user_point_id))
    return known


def _selector(
    event: Profile | Choice, kind: SelectorKind | None, known: Identity
) -> str | Unmappable:
    # What selects the user in the path:
    #
    #     the platform's own id    as the event gives it, named (`user_point_id=…`) or bare
    #     nothing is asked for     the best identifier: an account, else an email, else a device
    #     a kind is asked for      the first of that kind; none: refused
    if kind in (SelectorKind.USER_POINT, SelectorKind.USER_POINT_BARE):
        if event.user_point_id is None:
            return Unmappable(
                MappingCode.SELECTOR_MISSING, f"user_point_id: needed with selector {kind}"
            )
        if kind is SelectorKind.USER_POINT:
            return by_user_point(event.user_point_id)
        return by_bare_user_point(event.user_point_id)
    if kind is None:
        return _by(best_of(known.entries))
    found = next((e for e in known.entries if e["$type"] == _TYPES[kind]), None)
    if found is None:
        return Unmappable(
            MappingCode.SELECTOR_MISSING, f"user: no usable {kind}, which selector asks for"
        )
    return _by(found)


def _by(entry: Entry) -> str | Unmappable:
    match entry["$type"]:
        case "USER_ACCOUNT":
            if "$compartment_id" not in entry:
                return Unmappable(
                    MappingCode.COMPARTMENT_MISSING,
                    "user.accounts: a path needs the compartment of the account; "
                    "set identity.default_compartment_id",
                )
            return by_account(entry["$compartment_id"], entry["$user_account_id"])
        case "USER_EMAIL":
            return by_email(entry["$hash"])
        case _:
            return by_device(entry["$user_agent_id"])
