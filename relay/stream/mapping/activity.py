"""AppEvent → Activity, or a PUT of its own, or why not. Called for each decoded event."""

from typing import Any

from pydantic import BaseModel

from relay.model import Activity, Request, Unmappable, Unwanted
from relay.stream.decoding.app_event import AppEvent, Choice, Profile, Segment, Track
from relay.stream.decoding.visit import Visit
from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.compact_json import to_json
from relay.stream.mapping.identity import identify, user_fields
from relay.stream.mapping.policy import MappingPolicy
from relay.stream.mapping.profile import profile_key
from relay.stream.mapping.rules import (
    RESERVED_CHOICE_PROPERTIES,
    RESERVED_PROPERTIES,
    check_consent,
    check_properties,
    check_time,
    name_of,
)
from relay.stream.mapping.unique_key import unique_key
from relay.stream.mapping.user_point import goes_by_put, user_point_update

_NO_VISIT = Visit()
_APP_WITHOUT_SESSION = MappingCode.APP_WITHOUT_SESSION
# As the platform's own email router and recommender send them.
_WITHOUT_SESSION = ("EMAIL", "RECOMMENDER")
# A tuple that exists already: `A | B` would be a new object for each event.
_REFUSALS = (Unmappable, Unwanted)


def map_event(
    event: AppEvent, policy: MappingPolicy, now_ms: int
) -> Activity | Request | Unmappable | Unwanted:
    """What says to the platform what the event says."""
    # What an event becomes, the first case that holds:
    #
    #     a segment event        not an activity: imported by the other road, or counted
    #     an implausible time    a dead letter: so far from now it must be wrong
    #     no consent             withheld, and counted; choices themselves always go
    #     profile or choice, by  a PUT on the user point
    #     a route of their own
    #     else                   an activity
    if isinstance(event, Segment):
        if policy.segments_are_imported:
            return Unwanted(MappingCode.SEGMENT_IMPORTED, "segments.membership imports it")
        return Unwanted(
            MappingCode.SEGMENT_NOT_ROUTED,
            "type: segment events are no activities (segments.membership imports them)",
        )
    refusal = check_time(event, policy, now_ms) or check_consent(event, policy)
    if refusal is not None:
        return refusal
    if not isinstance(event, Track):
        put = goes_by_put(event, policy)
        if put:
            return put if isinstance(put, Unmappable) else user_point_update(event, policy)
    return _activity(event, policy)


def _activity(
    event: Track | Profile | Choice, policy: MappingPolicy
) -> Activity | Unmappable | Unwanted:
    identity = identify(event.user, policy.identity)
    if isinstance(identity, Unmappable):
        return identity
    user = user_fields(identity.entries, policy.identity.form)
    if isinstance(user, Unmappable):
        return user
    named = _named(event, policy)
    if isinstance(named, _REFUSALS):
        return named
    name, properties = named
    visit = event.activity or _NO_VISIT
    envelope = _envelope(event, visit, user, policy)
    if isinstance(envelope, Unmappable):
        return envelope
    notes = identity.notes
    if isinstance(event, Track) and name != event.event:
        notes = (*notes, MappingCode.EVENT_RENAMED)
    session = envelope.get("$session_status")
    if session == "NO_SESSION" and envelope["$type"] == "APP_VISIT":
        notes = (*notes, _APP_WITHOUT_SESSION)
    return Activity(
        envelope=to_json(envelope),
        ts_ms=event.ts if visit.ts is None else visit.ts,
        unique_key=unique_key(policy.source, event.id, event.ts) if policy.unique_key else None,
        events=(to_json({"$ts": event.ts, "$event_name": name, "$properties": properties}),),
        user=identity.lane,
        # The platform gathers these into a session itself. A start of the session that the
        # producer named belongs to this activity alone.
        mergeable=session == "IN_SESSION" and visit.ts is None,
        notes=notes,
    )


def _named(
    event: Track | Profile | Choice, policy: MappingPolicy
) -> tuple[str, dict[str, Any]] | Unmappable | Unwanted:
    """Name and properties of the activity's one event."""
    match event:
        case Track():
            name = name_of(event, policy)
            if not isinstance(name, str):
                return name
            wrong = check_properties(event.properties, RESERVED_PROPERTIES)
            return wrong or (name, event.properties)
        case Profile():
            return _profile(event, policy)
        case Choice():
            wrong = check_properties(event.properties, RESERVED_CHOICE_PROPERTIES)
            return wrong or (
                "$set_user_choice",
                {
                    "$processing_id": event.processing_id,
                    "$choice_acceptance_value": event.accepted,
                    **event.properties,
                },
            )


def _profile(event: Profile, policy: MappingPolicy) -> tuple[str, dict[str, Any]] | Unmappable:
    key = profile_key(event, policy.identity)
    if isinstance(key, Unmappable):
        return key
    return "$set_user_profile_properties", {
        "$compartment_id": key.compartment,
        "$user_account_id": key.account,
        **event.properties,
    }


def _envelope(
    event: Track | Profile | Choice, visit: Visit, user: dict[str, Any], policy: MappingPolicy
) -> dict[str, Any] | Unmappable:
    """Everything of the activity but its time, its key and its events."""
    # The channel, and the type that follows from it:
    #
    #     | the event has         | `activity.type`    | so                                 |
    #     |-----------------------|--------------------|------------------------------------|
    #     | no channel            | -                  | those of the settings, if any      |
    #     | both channels         | none               | refused: either could be meant     |
    #     | an app                | none               | APP_VISIT                          |
    #     | a site                | none               | SITE_VISIT                         |
    #     | none, nor settings    | none               | TOUCH: it needs no channel         |
    #     | none, nor settings    | APP_, SITE_VISIT   | refused: it needs its channel      |
    #     | any                   | any other          | as it is said                      |
    app_id, site_id = event.app_id, event.site_id
    if app_id is None and site_id is None:
        app_id, site_id = policy.default_app_id, policy.default_site_id
    kind = visit.type
    if kind is None:
        if app_id is not None and site_id is not None:
            return Unmappable(
                MappingCode.CHANNEL_AMBIGUOUS, "activity.type: needed with both app_id and site_id"
            )
        kind = "APP_VISIT" if app_id is not None else "SITE_VISIT" if site_id else "TOUCH"
    elif kind in ("APP_VISIT", "SITE_VISIT") and app_id is None and site_id is None:
        return Unmappable(
            MappingCode.CHANNEL_MISSING, f"activity.type: {kind} needs an app_id or a site_id"
        )
    envelope: dict[str, Any] = {"$type": kind}
    if event.session_status is not None:
        envelope["$session_status"] = event.session_status
    elif visit.source is None or kind not in _WITHOUT_SESSION:
        envelope["$session_status"] = policy.session_status
    envelope |= user
    if app_id is not None:
        envelope["$app_id"] = app_id
    if site_id is not None:
        envelope["$site_id"] = site_id
    if visit is not _NO_VISIT:
        _add_visit(envelope, visit)
    return envelope


def _add_visit(envelope: dict[str, Any], visit: Visit) -> None:
    if visit.source is not None:
        envelope["$source"] = visit.source
    if visit.ttl_minutes is not None:
        envelope["$ttl"] = visit.ttl_minutes
    if visit.session_duration_s is not None:
        envelope["$session_duration"] = visit.session_duration_s
    if visit.topics is not None:
        envelope["$topics"] = visit.topics
    if visit.origin is not None:
        envelope["$origin"] = _dollared(visit.origin)
    if visit.location is not None:
        envelope["$location"] = _dollared(visit.location)
    envelope |= visit.properties


def _dollared(part: BaseModel) -> dict[str, Any]:
    """Our names → the platform's, which begin with `$`; custom keys stay as they are."""
    fields = part.model_dump(mode="json", exclude_none=True)
    custom: dict[str, Any] = fields.pop("properties", {})
    return {f"${name}": value for name, value in fields.items()} | custom
