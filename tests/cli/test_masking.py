"""What is shown of an activity when personal data must not be."""

from relay.cli.map.masking import masked


def activity(event, **fields):
    return {
        "$type": "TOUCH",
        "$unique_key": "6a05035e-fe87-11f0-9c05-b1a5c1e0f4a2",
        "$user_identifiers": [
            {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "4711042"},
            {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "17"},
            {"$type": "USER_EMAIL", "$hash": "abcd", "$email": "jane@example.com"},
        ],
        "$events": [event],
        **fields,
    }


def tracked(properties):
    event = {"$ts": 1769851800123, "$event_name": "opened", "$properties": properties}
    return masked(activity(event))["$events"][0]["$properties"]


def test_identifiers_are_masked_and_what_is_no_one_s_stays():
    shown = masked(activity({"$ts": 1, "$event_name": "opened", "$properties": {}}))
    assert shown == {
        "$type": "TOUCH",
        "$unique_key": "6a05035e-fe87-11f0-9c05-b1a5c1e0f4a2",
        "$user_identifiers": [
            {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "***"},
            {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "***"},
            {"$type": "USER_EMAIL", "$hash": "***", "$email": "***"},
        ],
        "$events": [{"$ts": 1, "$event_name": "opened", "$properties": {}}],
    }


def test_the_users_identifiers_are_masked_wherever_they_turn_up():
    assert tracked({"id": "4711042", "n": 4711042, "url": "/u/4711042", "4711042": 1}) == {
        "id": "***",
        "n": "***",
        "url": "***",
        "***": 1,
    }


def test_a_short_identifier_does_not_hide_what_is_no_secret():
    assert tracked({"qty": 17, "size": "17 inches", "price": 4711.5}) == {
        "qty": 17,
        "size": "17 inches",
        "price": 4711.5,
    }


def test_what_looks_personal_is_masked_and_other_text_is_kept_as_it_is():
    shown = tracked({"who": ["write to other@example.org"], "text": "two  spaces\nand lines"})
    assert shown == {"who": ["write to ***"], "text": "two  spaces\nand lines"}


def test_every_value_of_a_profile_is_masked_but_the_compartment():
    properties = {
        "$compartment_id": "1000",
        "$user_account_id": "4711042",
        "children": [{"age": 7}],
        "vip": True,
    }
    event = {"$ts": 1, "$event_name": "$set_user_profile_properties", "$properties": properties}
    assert masked(activity(event))["$events"][0]["$properties"] == {
        "$compartment_id": "1000",
        "$user_account_id": "***",
        "children": [{"age": "***"}],
        "vip": "***",
    }


def test_where_the_user_was_is_masked():
    event = {"$ts": 1, "$event_name": "opened", "$properties": {}}
    shown = masked(activity(event, **{"$location": {"$latlon": [48.8, 2.13], "$city": "1"}}))
    assert shown["$location"] == {"$latlon": ["***", "***"], "$city": "***"}


def test_the_legacy_form_is_masked_too():
    event = {"$ts": 1, "$event_name": "opened", "$properties": {"ref": "4711042"}}
    legacy = activity(event, **{"$user_account_id": "4711042", "$email_hash": {"$hash": "abcd"}})
    del legacy["$user_identifiers"]
    shown = masked(legacy)
    assert (shown["$user_account_id"], shown["$email_hash"]) == ("***", {"$hash": "***"})
    assert shown["$events"][0]["$properties"] == {"ref": "***"}
