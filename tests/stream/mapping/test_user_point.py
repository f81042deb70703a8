"""Profiles and choices on routes of their own: paths, bodies, lanes, and what is refused."""

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Activity, Request, RequestKind, Unmappable, Unwanted
from relay.stream.decoding import DecodingPolicy, decode
from relay.stream.mapping import MappingPolicy, map_event
from relay.stream.mapping.guard import GuardPolicy
from relay.stream.mapping.identity import identify
from relay.stream.mapping.policy import (
    ChoiceRoute,
    IdentityForm,
    IdentityPolicy,
    MissingCompartment,
    ProfileRoute,
    UpdateStrategy,
)
from relay.stream.mapping.requests import (
    by_account,
    by_bare_user_point,
    by_device,
    by_email,
    by_user_point,
    choice_history_path,
    choice_path,
    choices_path,
    profile_path,
)
from tests.support.policies import changed

NOW = 1769851800123
IDENTITY = IdentityPolicy(default_compartment_id="1000")
POLICY = MappingPolicy(identity=IDENTITY, datamart_id="1234")
PUT = changed(
    POLICY, profile_route=ProfileRoute.USER_PROFILES, choice_route=ChoiceRoute.USER_CHOICES
)
HASH = "a" * 64
USER = {
    "accounts": [{"id": "crm-881"}],
    "emails": [{"hash": HASH}],
    "devices": [{"id": "vec:89998434"}],
}
BASE = "/v1/datamarts/1234/user_points"
PROFILE = "user_profiles/compartment_id=1000/user_account_id=crm-881"


def event(kind="profile", **changes):
    own = (
        {"properties": {"city": "Lyon"}}
        if kind == "profile"
        else {"processing_id": "2048", "accepted": True}
    )
    fields = {"type": kind, "id": "e-1", "ts": NOW, "user": USER, **own, **changes}
    decoded = decode(json.dumps(fields).encode(), DecodingPolicy())
    assert getattr(decoded, "type", None) == kind, decoded
    return decoded


def put(one, policy=PUT):
    outcome = map_event(one, policy, NOW)
    assert isinstance(outcome, Request), outcome
    assert outcome.method == "PUT"
    assert outcome.kind is RequestKind.USER_POINT
    return outcome


def refusal(one, policy=PUT):
    outcome = map_event(one, policy, NOW)
    assert isinstance(outcome, Unmappable), outcome
    return outcome.code, outcome.reason


# The five forms of the vendor's page, with the ids that stand for its placeholders.
FORMS = {
    "bare user point": (by_bare_user_point("USER_POINT_ID"), "USER_POINT_ID"),
    "user point": (by_user_point("USER_POINT_ID"), "user_point_id=USER_POINT_ID"),
    "device": (by_device("USER_AGENT_ID"), "user_agent_id=USER_AGENT_ID"),
    "account": (
        by_account("COMPARTMENT_ID", "USER_ACCOUNT_ID"),
        "compartment_id=COMPARTMENT_ID,user_account_id=USER_ACCOUNT_ID",
    ),
    "email": (by_email("EMAIL_HASH"), "email_hash=EMAIL_HASH"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_selector_stands_in_the_path_as_the_vendors_page_has_it(form):
    selector, shown = FORMS[form]
    assert profile_path("DATAMART_ID", selector, "compartmentId", "userAccountId") == (
        f"/v1/datamarts/DATAMART_ID/user_points/{shown}"
        "/user_profiles/compartment_id=compartmentId/user_account_id=userAccountId"
    )


def test_the_calls_for_choices_stand_as_the_vendors_page_has_them():
    selector = by_email("EMAIL_HASH")
    choices = "/v1/datamarts/datamartId/user_points/email_hash=EMAIL_HASH/user_choices"
    assert choices_path("datamartId", selector) == choices
    assert choice_path("datamartId", selector, "processingId") == (
        f"{choices}/processing_id=processingId"
    )
    assert choice_history_path("datamartId", selector, "processingId") == (
        f"{choices}/processing_id=processingId/change_log"
    )


@pytest.mark.parametrize(
    ("strategy", "query"),
    [
        (UpdateStrategy.PARTIAL_UPDATE, "?update_strategy=PARTIAL_UPDATE"),
        (UpdateStrategy.PARTIAL_DELETE, "?update_strategy=PARTIAL_DELETE"),
        (UpdateStrategy.FORCE_REPLACE, "?update_strategy=FORCE_REPLACE"),
        (UpdateStrategy.LEGACY_REPLACE, "?force_replace=true"),
        (UpdateStrategy.LEGACY_MERGE, "?force_replace=false"),
        (UpdateStrategy.LEGACY_MERGE_OBJECTS, "?force_replace=false&merge_objects=true"),
        (UpdateStrategy.PLATFORM, ""),
    ],
)
def test_each_strategy_of_the_page_is_spelt_with_its_parameters(strategy, query):
    account = "compartment_id=1000,user_account_id=crm-881"
    by_setting = put(event(), changed(PUT, update_strategy=strategy))
    by_event = put(event(update_strategy=strategy.value), POLICY)
    assert by_setting == by_event
    assert by_setting.path == f"{BASE}/{account}/{PROFILE}{query}"


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_id_can_be_taken_for_anything_else_of_the_path(compartment, account):
    path = profile_path("1", by_account(compartment, account), compartment, account)
    assert path.isascii()
    _, _, _, _, _, selector, document, *key = path.split("/")
    assert document == "user_profiles"
    for pairs in (selector.split(","), key):
        names, values = zip(*(pair.split("=") for pair in pairs), strict=True)
        assert names == ("compartment_id", "user_account_id")
        assert [unquote(value) for value in values] == [compartment, account]


def test_an_id_with_a_comma_a_slash_and_letters_of_any_script_is_encoded():
    user = {"accounts": [{"id": "a/b,c=d é%日"}]}
    shown = "a%2Fb%2Cc%3Dd%20%C3%A9%25%E6%97%A5"
    assert put(event("choice", user=user)).path == (
        f"{BASE}/compartment_id=1000,user_account_id={shown}/user_choices/processing_id=2048"
    )


def test_a_put_profile_holds_its_key_and_its_properties():
    sent = put(event(properties={"n": 2**70, "a": {"b": ["é"]}}))
    assert json.loads(sent.body) == {
        "$compartment_id": "1000",
        "$user_account_id": "crm-881",
        "n": 2**70,
        "a": {"b": ["é"]},
    }


def test_what_is_deleted_is_named_without_the_key_which_must_stay():
    sent = put(event(update_strategy="PARTIAL_DELETE", properties={"city": None}))
    assert json.loads(sent.body) == {"city": None}


def test_a_put_choice_holds_its_time_as_text_as_the_page_has_it():
    sent = put(event("choice", accepted=False, properties={"channel": "banner"}))
    assert json.loads(sent.body) == {
        "$choice_ts": str(NOW),
        "$choice_acceptance_value": False,
        "channel": "banner",
    }


@pytest.mark.parametrize(
    ("fields", "selector"),
    [
        ({}, "compartment_id=1000,user_account_id=crm-881"),
        ({"selector": "account"}, "compartment_id=1000,user_account_id=crm-881"),
        ({"selector": "email"}, f"email_hash={HASH}"),
        ({"selector": "device"}, "user_agent_id=vec%3A89998434"),
        ({"user_point_id": "p-1"}, "user_point_id=p-1"),
        ({"user_point_id": "p-1", "selector": "user_point_bare"}, "p-1"),
        ({"user_point_id": "p-1", "selector": "email"}, f"email_hash={HASH}"),
        ({"user": {"devices": [{"id": "vec:1"}]}}, "user_agent_id=vec%3A1"),
        (
            {"user": {"emails": [{"hash": HASH}], "devices": [{"id": "vec:1"}]}},
            f"email_hash={HASH}",
        ),
    ],
)
def test_the_event_chooses_what_selects_the_user_else_the_best_identifier_does(fields, selector):
    sent = put(event("choice", **fields))
    assert sent.path == f"{BASE}/{selector}/user_choices/processing_id=2048"


def test_the_selector_and_the_profile_may_name_different_accounts():
    sent = put(event(account={"id": "shop-7", "compartment": "2"}))
    assert sent.path.startswith(
        f"{BASE}/compartment_id=1000,user_account_id=crm-881/user_profiles/"
    )
    assert sent.path.partition("?")[0].endswith("/compartment_id=2/user_account_id=shop-7")


@pytest.mark.parametrize("kind", ["profile", "choice"])
def test_the_route_is_a_setting_and_the_event_may_name_its_own(kind):
    own = {"profile": "user_profiles", "choice": "user_choices"}[kind]
    assert isinstance(map_event(event(kind), POLICY, NOW), Activity)
    assert isinstance(map_event(event(kind), PUT, NOW), Request)
    assert isinstance(map_event(event(kind, route="activity"), PUT, NOW), Activity)
    assert isinstance(map_event(event(kind, route=own), POLICY, NOW), Request)


@pytest.mark.parametrize("own", [{"selector": "email"}, {"user_point_id": "p"}])
def test_what_only_a_route_of_its_own_can_say_chooses_that_route(own):
    assert isinstance(map_event(event("choice", **own), POLICY, NOW), Request)
    assert refusal(event(route="activity", **own)) == (
        "route_contradicted",
        f"{next(iter(own))}: has no meaning on the route activity",
    )


def test_a_strategy_that_an_activity_cannot_carry_is_refused():
    assert refusal(event(route="activity", update_strategy="FORCE_REPLACE")) == (
        "route_contradicted",
        "update_strategy: has no meaning on the route activity",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"update_strategy": "MERGE"}, "update_strategy: must be one of "),
        ({"route": "user_choices"}, "route: must be one of 'activity' or 'user_profiles'"),
        ({"selector": "phone"}, "selector: must be one of "),
        ({"user_point_id": ".."}, "user_point_id: has characters that are not allowed here"),
        ({"user_point_id": "a/b"}, "user_point_id: has characters that are not allowed here"),
        ({"user_point_id": 65}, "user_point_id: must be text"),
    ],
)
def test_an_unknown_word_or_an_id_that_leads_elsewhere_is_no_event(changes, reason):
    fields = {"type": "profile", "id": "1", "ts": NOW, "user": USER, "properties": {"x": 1}}
    outcome = decode(json.dumps(fields | changes).encode(), DecodingPolicy())
    assert outcome.code == "invalid_field"
    assert outcome.reason.startswith(reason)


def test_a_choice_without_processing_id_is_no_event():
    fields = {"type": "choice", "id": "1", "ts": NOW, "user": USER, "accepted": True}
    outcome = decode(json.dumps(fields).encode(), DecodingPolicy())
    assert (outcome.code, outcome.reason) == ("missing_field", "processing_id: is missing")


def test_a_selector_without_its_identifier_is_refused():
    only_account = {"accounts": [{"id": "crm-881"}]}
    assert refusal(event(selector="email", user=only_account)) == (
        "selector_missing",
        "user: no usable email, which selector asks for",
    )
    assert refusal(event(selector="user_point")) == (
        "selector_missing",
        "user_point_id: needed with selector user_point",
    )


def test_an_account_without_compartment_can_stand_in_no_path():
    policy = changed(PUT, identity=IdentityPolicy(missing_compartment=MissingCompartment.PLATFORM))
    code, reason = refusal(event("choice"), policy)
    assert code == "compartment_missing"
    assert "identity.default_compartment_id" in reason


def test_the_guard_keeps_shared_identifiers_out_of_paths_too():
    policy = changed(
        PUT,
        identity=changed(IDENTITY, guard=GuardPolicy(shared_accounts={"crm-881"})),
    )
    sent = put(event("choice"), policy)
    assert sent.notes == ("shared_account",)
    assert f"/email_hash={HASH}/" in sent.path
    everything_shared = {"accounts": [{"id": "guest"}]}
    assert refusal(event("choice", user=everything_shared))[0] == "no_identifier"


def test_the_legacy_form_of_activities_does_not_bind_paths():
    policy = changed(PUT, identity=changed(IDENTITY, form=IdentityForm.LEGACY))
    two = {"accounts": [{"id": "a"}, {"id": "b"}]}
    assert "/compartment_id=1000,user_account_id=a/" in put(event("choice", user=two), policy).path


def test_a_property_named_like_a_reserved_one_is_refused_on_every_route():
    assert refusal(event(properties={"$user_account_id": "x"}))[0] == "reserved_property"
    assert refusal(event("choice", properties={"$choice_ts": 1}))[0] == "reserved_property"


def test_consent_and_time_count_on_every_route():
    strict = changed(PUT, required_processings=("2048",))
    assert isinstance(map_event(event(), strict, NOW), Unwanted)
    assert isinstance(map_event(event("choice"), strict, NOW), Request)
    assert refusal(event(ts=NOW + 10**11))[0] == "implausible_time"


def test_all_routes_of_a_user_share_one_lane():
    lanes = {
        map_event(event("profile"), POLICY, NOW).user,
        map_event(event("profile"), PUT, NOW).user,
        map_event(event("choice", selector="device"), PUT, NOW).user,
        map_event(event("choice", user_point_id="p-1"), PUT, NOW).user,
        identify(event().user, IDENTITY).lane,
    }
    assert len(lanes) == 1
    assert "crm-881" not in lanes.pop()


def test_a_user_who_is_only_a_user_point_has_a_lane_by_it():
    one, same, other = (
        map_event(event("choice", user={}, user_point_id=point), PUT, NOW) for point in "aab"
    )
    assert "/user_point_id=a/" in one.path
    assert one.user == same.user != other.user


def test_a_repeated_record_is_known_by_the_same_key_on_every_route():
    activity = map_event(event("choice"), POLICY, NOW)
    assert put(event("choice")).unique_key == activity.unique_key
    assert put(event("choice"), changed(PUT, unique_key=False)).unique_key is None


def test_neither_a_request_nor_its_carrier_shows_whose_it_is():
    shown = repr(map_event(event(), PUT, NOW))
    assert "crm-881" not in shown
    assert "Lyon" not in shown
