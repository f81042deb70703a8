import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Activity, Unmappable, Unwanted
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.mapping import MappingPolicy, map_event
from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.policy import (
    DAY_MS,
    IdentityPolicy,
    MissingCompartment,
    ReservedNames,
)
from tests.support.policies import changed

NOW = 1769851800123
POLICY = MappingPolicy(
    identity=IdentityPolicy(default_compartment_id="1000"), session_status="NO_SESSION"
)
EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"


def event(kind="track", **changes):
    fields = {
        "type": kind,
        "id": "e-1",
        "ts": NOW,
        "user": {"accounts": [{"id": "crm-881"}]},
        **({"event": "opened"} if kind == "track" else {}),
        **({"properties": {"city": "Lyon"}} if kind == "profile" else {}),
        **({"processing_id": "2048", "accepted": True} if kind == "choice" else {}),
        **({"action": "add", "segment_ids": ["1"]} if kind == "segment" else {}),
    }
    decoded = decode(json.dumps(fields | changes).encode(), DecodingPolicy())
    assert decoded.type == kind, decoded
    return decoded


def body(one, policy=POLICY):
    activity = map_event(one, policy, NOW)
    assert isinstance(activity, Activity), activity
    return json.loads(activity.body())


def refusal(one, policy=POLICY):
    outcome = map_event(one, policy, NOW)
    assert isinstance(outcome, Unmappable), outcome
    return outcome.code, outcome.reason


def test_a_tracked_event_becomes_an_activity_with_one_event():
    assert body(event(properties={"a": {"b": [1, None, "é"]}})) == {
        "$type": "TOUCH",
        "$session_status": "NO_SESSION",
        "$user_identifiers": [
            {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "crm-881"}
        ],
        "$ts": NOW,
        "$unique_key": "6a04e32e-fe87-11f0-8ce4-cf8038a9d82e",
        "$events": [
            {"$ts": NOW, "$event_name": "opened", "$properties": {"a": {"b": [1, None, "é"]}}}
        ],
    }


def test_an_event_without_properties_says_so_with_an_empty_object():
    assert body(event())["$events"][0]["$properties"] == {}


def test_the_envelope_holds_no_time_key_or_events_so_that_neighbours_can_travel_together():
    one = map_event(event(), POLICY, NOW)
    other = map_event(event(id="e-2", ts=NOW - 5, event="closed"), POLICY, NOW)
    assert one.envelope == other.envelope
    assert one.unique_key != other.unique_key
    assert json.loads(one.envelope).keys().isdisjoint({"$ts", "$unique_key", "$events"})


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "TOUCH"),
        ({"app_id": "1"}, "APP_VISIT"),
        ({"site_id": "2"}, "SITE_VISIT"),
        ({"site_id": "2", "activity": {"type": "APP_VISIT"}}, "APP_VISIT"),
        ({"app_id": "1", "site_id": "2", "activity": {"type": "EMAIL"}}, "EMAIL"),
    ],
)
def test_the_type_follows_the_channel_unless_it_is_said(fields, kind):
    sent = body(event(**fields))
    assert sent["$type"] == kind
    assert sent.get("$app_id") == fields.get("app_id")
    assert sent.get("$site_id") == fields.get("site_id")


def test_channels_of_the_settings_serve_events_that_name_none():
    policy = changed(POLICY, default_app_id="1023")
    assert body(event(), policy)["$app_id"] == "1023"
    assert "$app_id" not in body(event(site_id="2"), policy)


def test_a_visit_needs_a_channel_and_only_one_can_tell_its_type():
    assert refusal(event(activity={"type": "SITE_VISIT"})) == (
        "channel_missing",
        "activity.type: SITE_VISIT needs an app_id or a site_id",
    )
    assert refusal(event(app_id="1", site_id="2")) == (
        "channel_ambiguous",
        "activity.type: needed with both app_id and site_id",
    )


def test_every_documented_field_of_an_activity_has_a_way_in():
    sent = body(
        event(
            session_status="CLOSED_SESSION",
            activity={
                "ts": NOW - 60_000,
                "ttl_minutes": 1440,
                "session_duration_s": 302,
                "topics": {"sport": {"tennis": 0.5}},
                "origin": {
                    "ts": "2026-01-31T09:00:00Z",
                    "source": "google",
                    "channel": "cpc",
                    "campaign_technical_name": "winter",
                    "gclid": "x",
                    "properties": {"agency": "north"},
                },
                "location": {
                    "source": "IP",
                    "country": "FR",
                    "iso_region": "FR-ARA",
                    "zip_code": "69001",
                    "latlon": [45, 4.85],
                    "properties": {"accuracy_m": 30},
                },
                "properties": {"app_version": "7.2.0", "nested": {"$x": [1]}},
            },
        )
    )
    assert sent["$ts"] == NOW - 60_000
    assert sent["$events"][0]["$ts"] == NOW
    assert sent["$session_status"] == "CLOSED_SESSION"
    assert sent["$ttl"] == 1440
    assert sent["$session_duration"] == 302
    assert sent["$topics"] == {"sport": {"tennis": 0.5}}
    assert sent["$origin"] == {
        "$ts": 1769850000000,
        "$source": "google",
        "$channel": "cpc",
        "$campaign_technical_name": "winter",
        "$gclid": "x",
        "agency": "north",
    }
    assert sent["$location"] == {
        "$source": "IP",
        "$country": "FR",
        "$iso_region": "FR-ARA",
        "$zip_code": "69001",
        "$latlon": [45, 4.85],
        "accuracy_m": 30,
    }
    assert sent["app_version"] == "7.2.0"
    assert sent["nested"] == {"$x": [1]}


def test_a_profile_sets_properties_of_the_first_account():
    assert body(event("profile"))["$events"] == [
        {
            "$ts": NOW,
            "$event_name": "$set_user_profile_properties",
            "$properties": {
                "$compartment_id": "1000",
                "$user_account_id": "crm-881",
                "city": "Lyon",
            },
        }
    ]


def test_a_profile_may_belong_to_another_account_than_identifies_the_user():
    sent = body(
        event(
            "profile",
            user={"devices": [{"vector_id": "1"}]},
            account={"id": "crm-9", "compartment": "1700"},
        )
    )
    assert sent["$user_identifiers"] == [{"$type": "USER_AGENT", "$user_agent_id": "vec:1"}]
    properties = sent["$events"][0]["$properties"]
    assert (properties["$compartment_id"], properties["$user_account_id"]) == ("1700", "crm-9")


def test_a_profile_passes_over_shared_accounts_and_needs_one_of_its_own():
    both = event("profile", user={"accounts": [{"id": "guest"}, {"id": "crm-881"}]})
    assert body(both)["$events"][0]["$properties"]["$user_account_id"] == "crm-881"
    device = {"devices": [{"vector_id": "1"}]}
    for changes in ({"user": device}, {"user": device, "account": {"id": "guest"}}):
        code, _ = refusal(event("profile", **changes))
        assert code == "profile_without_account"


def test_a_profile_needs_the_compartment_of_its_account():
    unknown = event("profile", account={"id": "crm-9", "compartment": "CRM"})
    assert refusal(unknown) == (
        "compartment_unknown",
        "account.compartment: neither a number nor a name in identity.compartments",
    )
    platform = IdentityPolicy(missing_compartment=MissingCompartment.PLATFORM)
    assert refusal(event("profile"), changed(POLICY, identity=platform)) == (
        "compartment_missing",
        "user.accounts: a profile needs its compartment; set identity.default_compartment_id",
    )


def test_a_choice_sets_the_processing_and_whether_it_is_accepted():
    sent = body(event("choice", accepted=False, properties={"banner": "3"}))
    assert sent["$events"] == [
        {
            "$ts": NOW,
            "$event_name": "$set_user_choice",
            "$properties": {
                "$processing_id": "2048",
                "$choice_acceptance_value": False,
                "banner": "3",
            },
        }
    ]


def test_segments_are_not_activities():
    outcome = map_event(event("segment"), POLICY, NOW)
    assert isinstance(outcome, Unwanted)
    assert outcome.code == "segment_not_routed"
    outcome = map_event(event("segment"), changed(POLICY, segments_are_imported=True), NOW)
    assert outcome.code == "segment_imported"


@pytest.mark.parametrize("name", ["$app_install", "$app_update", "$page_view"])
def test_names_that_the_platform_computes_or_deletes_are_rejected_skipped_or_renamed(name):
    one = event(event=name)
    reason = f"event: {name} is computed or deleted by the platform itself"
    assert refusal(one) == ("reserved_event_name", reason)
    skipped = map_event(one, changed(POLICY, reserved_names=ReservedNames.SKIP), NOW)
    assert skipped == Unwanted("reserved_event_name", reason)
    renamed = map_event(one, changed(POLICY, reserved_names=ReservedNames.RENAME), NOW)
    assert json.loads(renamed.events[0])["$event_name"] == name[1:]
    assert renamed.notes == ("event_renamed",)


@pytest.mark.parametrize(
    ("name", "kind"), [("$set_user_profile_properties", "profile"), ("$set_user_choice", "choice")]
)
def test_profiles_and_choices_do_not_pass_for_tracked_events(name, kind):
    assert refusal(event(event=name)) == (
        "reserved_event_name",
        f"event: {name} is sent with type {kind}",
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("track", "$ts"),
        ("track", "$user_identifiers"),
        ("profile", "$user_account_id"),
        ("profile", "$creation_ts"),
        ("choice", "$choice_acceptance_value"),
    ],
)
def test_a_property_named_like_a_reserved_one_is_refused(kind, name):
    assert refusal(event(kind, properties={name: "x", "ok": 1})) == (
        "reserved_property",
        f"properties: reserved for the relay: {name}",
    )


@pytest.mark.parametrize("name", ["$items", "$currency", "$referrer", "$user_account_id"])
def test_the_platforms_own_event_properties_pass(name):
    assert body(event(properties={name: "x"}))["$events"][0]["$properties"] == {name: "x"}


@pytest.mark.parametrize(
    ("ts", "says"),
    [
        ("1970-01-01T00:00:00Z", "further back than mapping.past_max_days"),
        ("3489-01-01T00:00:00Z", "further ahead than mapping.future_max_hours"),
        (NOW - POLICY.past_max_ms - 1, "further back than mapping.past_max_days"),
        (NOW + POLICY.future_max_ms + 1, "further ahead than mapping.future_max_hours"),
    ],
)
def test_an_implausible_time_is_refused_on_the_event_and_on_its_activity(ts, says):
    assert refusal(event(ts=ts)) == ("implausible_time", f"ts: {says}")
    assert refusal(event(activity={"ts": ts})) == ("implausible_time", f"activity.ts: {says}")


@pytest.mark.parametrize("ts", [NOW - POLICY.past_max_ms, NOW, NOW + POLICY.future_max_ms])
def test_the_edges_of_what_is_plausible_are_plausible(ts):
    assert body(event(ts=ts))["$ts"] == ts


def test_how_far_from_now_is_plausible_is_a_setting():
    wide = changed(POLICY, past_max_days=60 * 365, future_max_hours=2000 * 365 * 24)
    assert body(event(ts="1970-01-01T00:00:00Z"), wide)["$ts"] == 0
    assert body(event(ts="3489-01-01T00:00:00Z"), wide)["$ts"] == 47935065600000


GATED = changed(POLICY, required_processings=("2048",))


@pytest.mark.parametrize(
    ("consents", "code", "state"),
    [
        ({}, "consent_unknown", "not named"),
        ({"1": True}, "consent_unknown", "not named"),
        ({"2048": False, "1": True}, "consent_refused", "refused"),
    ],
)
@pytest.mark.parametrize("kind", ["track", "profile"])
def test_what_the_user_did_not_agree_to_is_withheld(kind, consents, code, state):
    assert map_event(event(kind, consents=consents), GATED, NOW) == Unwanted(
        code, f"consents: processing 2048 is {state}"
    )


def test_every_required_processing_must_be_accepted():
    both = changed(POLICY, required_processings=("2048", "4096"))
    assert map_event(event(consents={"2048": True}), both, NOW).code == "consent_unknown"
    assert body(event(consents={"2048": True, "4096": True}), both)


def test_what_the_user_agreed_to_and_choices_themselves_pass():
    assert body(event(consents={"2048": True}), GATED)
    assert body(event("choice", accepted=False), GATED)


def test_without_unique_keys_none_travels():
    activity = map_event(event(), changed(POLICY, unique_key=False), NOW)
    assert activity.unique_key is None
    assert "$unique_key" not in json.loads(activity.body())


def test_only_what_the_platform_aggregates_itself_may_travel_together():
    def mergeable(**changes):
        return map_event(event(**changes), POLICY, NOW).mergeable

    assert mergeable(session_status="IN_SESSION")
    assert not mergeable()
    assert not mergeable(session_status="CLOSED_SESSION")
    assert not mergeable(session_status="IN_SESSION", activity={"ts": NOW - 60_000})


def test_the_key_is_the_events_own_even_when_the_activity_began_earlier():
    alone = map_event(event(), POLICY, NOW)
    in_session = map_event(event(activity={"ts": NOW - 60_000}), POLICY, NOW)
    assert alone.unique_key == in_session.unique_key


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text().filter(lambda name: not name.startswith("$")), JSON, max_size=5))
def test_properties_arrive_as_they_were_sent(properties):
    one = event(properties=properties)
    sent = body(one)["$events"][0]["$properties"]
    assert json.dumps(sent) == json.dumps(properties)


@given(st.sampled_from(sorted(EXAMPLES.glob("*.json"))), st.integers(-DAY_MS, DAY_MS))
def test_the_same_event_is_the_same_bytes_whenever_it_is_mapped(path, later):
    def mapped(now_ms):
        return map_event(decode(path.read_bytes(), DecodingPolicy()), wide, now_ms)

    wide = changed(POLICY, past_max_days=10 * 365, future_max_hours=10 * 365 * 24)
    assert mapped(NOW) == mapped(NOW + later)


@pytest.mark.parametrize("kind", ["EMAIL", "RECOMMENDER"])
def test_what_the_platforms_own_senders_send_has_a_source_and_no_session_status(kind):
    visit = {"type": kind, "source": "API", "origin": {"campaign_id": 17, "message_id": "m-1"}}
    sent = body(event(activity=visit))
    assert (sent["$type"], sent["$source"], sent["$origin"]) == (
        kind,
        "API",
        {"$campaign_id": 17, "$message_id": "m-1"},
    )
    assert "$session_status" not in sent
    named = body(event(activity=visit, session_status="NO_SESSION"))
    assert named["$session_status"] == "NO_SESSION"
    without = body(event(activity={"type": kind}))
    assert without["$session_status"] == "NO_SESSION"


@pytest.mark.parametrize("wrong", [True, -1, 1.0, 2**63, "", " ", "a\n", "x" * 513, [7]])
def test_an_id_of_the_origin_is_text_or_a_number(wrong):
    document = {"type": "track", "id": "1", "ts": NOW, "event": "e",
                "user": {"accounts": [{"id": "a"}]},
                "activity": {"origin": {"creative_id": wrong}}}  # fmt: skip
    found = decode(json.dumps(document).encode(), DecodingPolicy())
    assert (found.code, found.reason) == (
        "invalid_field",
        "activity.origin.creative_id: must be text, or a whole number of at most 63 bits",
    )


@pytest.mark.parametrize(
    ("fields", "noted"),
    [
        ({"app_id": "7"}, True),
        ({"app_id": "7", "session_status": "NO_SESSION"}, True),
        ({"app_id": "7", "session_status": "IN_SESSION"}, False),
        ({"site_id": "7"}, False),
        ({}, False),
    ],
)
def test_an_app_channel_without_a_session_is_noted_and_sent(fields, noted):
    activity = map_event(event(**fields), POLICY, NOW)
    assert (MappingCode.APP_WITHOUT_SESSION in activity.notes) is noted
