"""Which events may go, and under which name: plausible time, consent, reserved names."""

from relay.model import Unmappable, Unwanted
from relay.stream.decoding.app_event import AppEvent, Choice, Track
from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.policy import MappingPolicy, ReservedNames

# The platform computes the first two from $app_open, and deletes the third when it has been
# processed: sending them does nothing, or counts installs twice.
COMPUTED_NAMES = frozenset({"$app_install", "$app_update", "$page_view"})
# These are made from the kinds `profile` and `choice`, which check what they need.
KIND_OF_NAME = {"$set_user_profile_properties": "profile", "$set_user_choice": "choice"}

VISIT_NAMES = frozenset(
    {
        "$home_view",
        "$item_list_view",
        "$item_view",
        "$basket_view",
        "$transaction_confirmed",
        "$app_open",
    }
)
ANY_NAMES = frozenset({"$conversion"})
NAMES_BY_TYPE = {
    "DISPLAY_AD": frozenset({"$ad_view", "$ad_click"}),
    "EMAIL": frozenset(
        {
            "$email_sent",
            "$email_delivered",
            "$email_view",
            "$email_click",
            "$email_soft_bounce",
            "$email_hard_bounce",
            "$email_unsubscribe",
            "$email_complaint",
        }
    ),
}
"""The platform's own names of events: of visits, of any activity, of activities of one type."""

# Keys of the objects around the properties: inside them they are a producer's mistake, or an
# attempt to be someone else.
RESERVED_PROPERTIES = frozenset(
    {
        "$ts",
        "$type",
        "$event_name",
        "$events",
        "$properties",
        "$session_status",
        "$unique_key",
        "$user_identifiers",
    }
)
RESERVED_PROFILE_PROPERTIES = RESERVED_PROPERTIES | {
    "$compartment_id",
    "$user_account_id",
    "$creation_ts",
    "$last_modified_ts",
}
RESERVED_CHOICE_PROPERTIES = RESERVED_PROPERTIES | {
    "$processing_id",
    "$choice_acceptance_value",
    "$choice_ts",
}


def check_time(event: AppEvent, policy: MappingPolicy, now_ms: int) -> Unmappable | None:
    """Refuses times so far from now that they must be wrong."""
    oldest, newest = now_ms - policy.past_max_ms, now_ms + policy.future_max_ms
    visit = event.activity
    if oldest <= event.ts <= newest and (visit is None or visit.ts is None):
        return None  # nearly all events
    wrong = _implausible("ts", event.ts, oldest, newest)
    if wrong is None and visit is not None and visit.ts is not None:
        wrong = _implausible("activity.ts", visit.ts, oldest, newest)
    return wrong


def _implausible(field: str, ts_ms: int, oldest: int, newest: int) -> Unmappable | None:
    if ts_ms < oldest:
        return Unmappable(
            MappingCode.IMPLAUSIBLE_TIME, f"{field}: further back than mapping.past_max_days"
        )
    if ts_ms > newest:
        return Unmappable(
            MappingCode.IMPLAUSIBLE_TIME, f"{field}: further ahead than mapping.future_max_hours"
        )
    return None


def check_consent(event: AppEvent, policy: MappingPolicy) -> Unwanted | None:
    """Withholds what the user did not agree to. Not knowing is not agreeing; choices always go."""
    if isinstance(event, Choice):
        return None
    for processing_id in policy.required_processings:
        accepted = event.consents.get(processing_id)
        if accepted is None:
            return Unwanted(
                MappingCode.CONSENT_UNKNOWN, f"consents: processing {processing_id} is not named"
            )
        if not accepted:
            return Unwanted(
                MappingCode.CONSENT_REFUSED, f"consents: processing {processing_id} is refused"
            )
    return None


def name_of(event: Track, policy: MappingPolicy) -> str | Unmappable | Unwanted:
    """The name to send a tracked event under."""
    name = event.event
    # A name that is the platform's:
    #
    #     it computes or deletes it  by the settings: a dead letter, skipped, or sent without its $
    #     another kind makes it      a dead letter: that kind checks what it needs
    #     any other                  as it is
    if name in COMPUTED_NAMES:
        reason = f"event: {name} is computed or deleted by the platform itself"
        match policy.reserved_names:
            case ReservedNames.REJECT:
                return Unmappable(MappingCode.RESERVED_EVENT_NAME, reason)
            case ReservedNames.SKIP:
                return Unwanted(MappingCode.RESERVED_EVENT_NAME, reason)
            case ReservedNames.RENAME:
                return name[1:]
    kind = KIND_OF_NAME.get(name)
    if kind is not None:
        return Unmappable(
            MappingCode.RESERVED_EVENT_NAME, f"event: {name} is sent with type {kind}"
        )
    return name


def check_properties(properties: dict[str, object], reserved: frozenset[str]) -> Unmappable | None:
    """Refuses properties that are named like keys of the objects around them."""
    if reserved.isdisjoint(properties):
        return None
    names = ", ".join(sorted(reserved.intersection(properties)))
    return Unmappable(MappingCode.RESERVED_PROPERTY, f"properties: reserved for the relay: {names}")
