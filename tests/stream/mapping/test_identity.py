import hashlib

import pytest

from relay.model import Unmappable
from relay.stream.decoding.user import User
from relay.stream.mapping.addresses import EmailHashing, EmailPolicy
from relay.stream.mapping.guard import GuardPolicy
from relay.stream.mapping.identity import Identity, identify, user_fields
from relay.stream.mapping.policy import IdentityForm, IdentityPolicy, MissingCompartment

POLICY = IdentityPolicy(default_compartment_id="1000", compartments={"crm": "1700"})
SHA256 = hashlib.sha256(b"jane.doe@example.com").hexdigest()


def user(accounts=(), emails=(), devices=()):
    return User.model_validate(
        {"accounts": list(accounts), "emails": list(emails), "devices": list(devices)}
    )


def identifiers(someone, policy=POLICY):
    found = identify(someone, policy)
    assert isinstance(found, Identity), found
    return list(found.entries)


def refusal(someone, policy=POLICY):
    found = identify(someone, policy)
    assert isinstance(found, Unmappable), found
    return found.code, found.reason


@pytest.mark.parametrize(
    ("compartment", "sent"), [(None, "1000"), ("crm", "1700"), ("1234", "1234")]
)
def test_a_compartment_is_given_by_number_by_name_or_by_default(compartment, sent):
    assert identifiers(user([{"id": "a", "compartment": compartment}])) == [
        {"$type": "USER_ACCOUNT", "$compartment_id": sent, "$user_account_id": "a"}
    ]


def test_an_account_without_compartment_and_no_default_is_refused_or_left_to_the_platform():
    someone = user([{"id": "a"}])
    assert refusal(someone, IdentityPolicy()) == (
        "compartment_missing",
        "user.accounts[0]: no compartment, and identity.default_compartment_id is not set",
    )
    left = IdentityPolicy(missing_compartment=MissingCompartment.PLATFORM)
    assert identifiers(someone, left) == [{"$type": "USER_ACCOUNT", "$user_account_id": "a"}]


def test_a_compartment_name_that_the_settings_do_not_know_is_refused():
    assert refusal(user([{"id": "a", "compartment": "CRM"}])) == (
        "compartment_unknown",
        "user.accounts[0].compartment: neither a number nor a name in identity.compartments",
    )


def test_a_compartment_may_travel_as_a_number():
    policy = IdentityPolicy(default_compartment_id="1000", compartment_as_number=True)
    (entry,) = identifiers(user([{"id": "a"}]), policy)
    assert entry["$compartment_id"] == 1000


@pytest.mark.parametrize(
    ("device", "agent"),
    [
        ({"id": "etag:9"}, "etag:9"),
        ({"os": "ios", "advertising_id": "6D92078A"}, "mob:ios:raw:6D92078A"),
        ({"os": "android", "advertising_id": "38400000"}, "mob:and:raw:38400000"),
        ({"registry": "9", "network_id": "12345"}, "net:9:12345"),
        ({"vector_id": "89998434"}, "vec:89998434"),
        ({"device_point_id": "77"}, "udp:77"),
    ],
)
def test_a_device_takes_the_form_that_the_platform_documents(device, agent):
    assert identifiers(user(devices=[device])) == [{"$type": "USER_AGENT", "$user_agent_id": agent}]


@pytest.mark.parametrize("address", ["jane.doe@example.com", " Jane.Doe@Example.COM "])
def test_an_address_is_trimmed_lowered_and_hashed_and_does_not_travel(address):
    assert identifiers(user(emails=[{"address": address}])) == [
        {"$type": "USER_EMAIL", "$hash": SHA256}
    ]


@pytest.mark.parametrize("hashing", list(EmailHashing))
def test_the_datamart_decides_the_hash_function_and_the_normalisation(hashing):
    policy = IdentityPolicy(email=EmailPolicy(hash=hashing, normalise=False))
    (entry,) = identifiers(user(emails=[{"address": "Jane@example.com"}]), policy)
    assert entry["$hash"] == hashlib.new(hashing, b"Jane@example.com").hexdigest()


def test_the_clear_address_travels_only_where_the_settings_say_so():
    policy = IdentityPolicy(email=EmailPolicy(send_clear=True))
    assert identifiers(user(emails=[{"address": " Jane.Doe@example.com"}]), policy) == [
        {"$type": "USER_EMAIL", "$hash": SHA256, "$email": "Jane.Doe@example.com"}
    ]


def test_a_clear_address_is_refused_where_only_hashes_may_come():
    policy = IdentityPolicy(email=EmailPolicy(accept_clear=False))
    assert refusal(user(emails=[{"address": "jane@example.com", "hash": SHA256}]), policy) == (
        "clear_email",
        "user.emails[0].address: in clear, and identity.email.accept_clear is false",
    )
    assert identifiers(user(emails=[{"hash": SHA256}]), policy)


def test_a_given_hash_is_preferred_and_must_be_one_of_the_datamarts_function():
    md5 = "9e26471d35a78862c17e467d87cddedf"
    assert identifiers(user(emails=[{"hash": SHA256.upper(), "address": "other@example.com"}])) == [
        {"$type": "USER_EMAIL", "$hash": SHA256}
    ]
    for wrong in (md5, "g" * 64):
        assert refusal(user(emails=[{"hash": wrong}])) == (
            "email_hash_malformed",
            "user.emails[0].hash: not a sha256 in hexadecimal (identity.email)",
        )
    lenient = IdentityPolicy(email=EmailPolicy(check_hash=False))
    assert identifiers(user(emails=[{"hash": "AbC"}]), lenient)[0]["$hash"] == "AbC"


@pytest.mark.parametrize("address", ["jane", "@example.com", "jane@", "jane doe@example.com"])
def test_what_is_no_address_is_not_hashed(address):
    assert refusal(user(emails=[{"address": address}])) == (
        "email_malformed",
        "user.emails[0].address: not an email address",
    )


def test_all_identifiers_travel_once_each_accounts_first():
    someone = user(
        [{"id": "a"}, {"id": "b"}, {"id": "a", "compartment": "1000"}],
        [{"address": "jane.doe@example.com"}, {"hash": SHA256}],
        [{"vector_id": "1"}, {"id": "vec:1"}],
    )
    assert identifiers(someone) == [
        {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "a"},
        {"$type": "USER_ACCOUNT", "$compartment_id": "1000", "$user_account_id": "b"},
        {"$type": "USER_AGENT", "$user_agent_id": "vec:1"},
        {"$type": "USER_EMAIL", "$hash": SHA256},
    ]


@pytest.mark.parametrize(
    "device",
    [
        {"os": "ios", "advertising_id": "00000000-0000-0000-0000-000000000000"},
        {"os": "android", "advertising_id": "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"},
        {"id": "mob:ios:raw:00000000-0000-0000-0000-000000000000"},
        {"id": "undefined"},
        {"vector_id": "0"},
        {"registry": "9", "network_id": "null"},
        {"registry": "9", "network_id": " Null "},
    ],
)
def test_a_device_id_that_means_none_is_left_out_and_noted(device):
    found = identify(user([{"id": "a"}], devices=[device]), POLICY)
    assert found.notes == ("placeholder_device",)
    assert len(found.entries) == 1
    assert refusal(user(devices=[device])) == (
        "no_identifier",
        "user: no usable identifier: all that were there are shared or placeholders",
    )


@pytest.mark.parametrize("name", ["Kiosk-7", " kiosk-7 ", "guest", "NULL", "0", " anonymous "])
def test_an_account_that_many_people_share_is_left_out_and_noted(name):
    policy = IdentityPolicy(
        default_compartment_id="1000", guard=GuardPolicy(shared_accounts=frozenset({"kiosk-7"}))
    )
    found = identify(user([{"id": name}], devices=[{"vector_id": "1"}]), policy)
    assert found.notes == ("shared_account",)
    assert [entry["$type"] for entry in found.entries] == ["USER_AGENT"]


SHARED = hashlib.sha256(b"shop@example.com").hexdigest()


@pytest.mark.parametrize(
    "given",
    [
        {"address": "Shop@Example.com"},
        {"hash": SHARED},
        {"hash": SHA256, "address": " Shop@Example.com "},
    ],
)
def test_an_address_that_many_people_share_is_left_out_and_noted(given):
    guard = GuardPolicy(shared_emails=frozenset({"shop@example.com", SHARED}))
    policy = IdentityPolicy(guard=guard)
    found = identify(user(emails=[given], devices=[{"vector_id": "1"}]), policy)
    assert found.notes == ("shared_email",)
    assert len(found.entries) == 1


@pytest.mark.parametrize("value", ["ff", "f-f", "0a", "00-1", "nullable", "f" * 31])
def test_an_id_that_only_looks_a_little_like_a_placeholder_is_sent(value):
    (entry,) = identifiers(user(devices=[{"id": value}]))
    assert entry["$user_agent_id"] == value


@pytest.mark.parametrize(("what", "limit"), [("accounts", 4), ("emails", 4), ("devices", 10)])
def test_more_identifiers_than_one_person_has_are_refused(what, limit):
    def crowd(count):
        one = {
            "accounts": lambda n: {"id": f"a{n}"},
            "emails": lambda n: {"address": f"a{n}@example.com"},
            "devices": lambda n: {"id": f"vec:1{n}"},
        }[what]
        return user(**{what: [one(n) for n in range(count)]})

    assert len(identifiers(crowd(limit))) == limit
    assert refusal(crowd(limit + 1)) == (
        "too_many_identifiers",
        f"user.{what}: {limit + 1} of them, where one person has {limit} at most (identity.guard)",
    )


def test_no_identifier_at_all_is_refused():
    assert refusal(user()) == ("no_identifier", "user: no usable identifier")


def test_the_legacy_form_names_account_email_and_device_at_the_root():
    policy = IdentityPolicy(form=IdentityForm.LEGACY, default_compartment_id="1000")
    someone = user([{"id": "a"}], [{"hash": SHA256}], [{"vector_id": "1"}])
    assert user_fields(identify(someone, policy).entries, policy.form) == {
        "$compartment_id": "1000",
        "$user_account_id": "a",
        "$email_hash": {"$hash": SHA256},
        "$user_agent_id": "vec:1",
    }


@pytest.mark.parametrize("what", ["accounts", "emails", "devices"])
def test_the_legacy_form_cannot_carry_two_of_one_type(what):
    policy = IdentityPolicy(form=IdentityForm.LEGACY, default_compartment_id="1000")
    two = {
        "accounts": [{"id": "a"}, {"id": "b"}],
        "emails": [{"address": "a@example.com"}, {"address": "b@example.com"}],
        "devices": [{"id": "vec:1"}, {"id": "vec:2"}],
    }[what]
    found = user_fields(identify(user(**{what: two}), policy).entries, policy.form)
    assert isinstance(found, Unmappable)
    assert found.code == "legacy_form"


def test_a_user_keeps_the_lane_however_the_first_identifier_is_written():
    def lane(someone, policy=POLICY):
        return identify(someone, policy).lane

    known = lane(user([{"id": "a", "compartment": "1700"}]))
    assert lane(user([{"id": "a", "compartment": "crm"}], devices=[{"vector_id": "1"}])) == known
    assert lane(user([{"id": "a"}])) != known
    by_hash = lane(user(emails=[{"hash": SHA256}]))
    assert lane(user(emails=[{"hash": SHA256}], devices=[{"vector_id": "1"}])) == by_hash
    clear = IdentityPolicy(email=EmailPolicy(send_clear=True))
    assert lane(user(emails=[{"address": "jane.doe@example.com"}]), clear) == by_hash


def test_a_lane_says_nothing_about_the_user():
    found = identify(user([{"id": "crm-881"}]), POLICY)
    assert "crm-881" not in found.lane + repr(found)
