"""Identifiers that name nobody, or everybody: each kind is left out and counted under its code."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Unmappable
from relay.stream.decoding.user import User
from relay.stream.mapping.addresses import EmailPolicy
from relay.stream.mapping.codes import MappingCode
from relay.stream.mapping.guard import GuardPolicy, digests_of
from relay.stream.mapping.identity import Identity, identify
from relay.stream.mapping.nothing import why_unusable
from relay.stream.mapping.policy import IdentityPolicy
from tests.support.policies import changed

POLICY = IdentityPolicy(default_compartment_id="1000")
ALGORITHMS = ["md5", "sha1", "sha256", "sha384", "sha512"]
WORD = MappingCode.SHARED_ACCOUNT
ZERO = "00000000-0000-0000-0000-000000000000"


def digest(text, algorithm="sha256"):
    return hashlib.new(algorithm, text.encode()).hexdigest()


def found(policy=POLICY, **user):
    """What is sent beside an account that is somebody's, and what is counted."""
    accounts = [{"id": "crm-881"}, *user.pop("accounts", [])]
    someone = User.model_validate({"accounts": accounts, "emails": [], "devices": []} | user)
    outcome = identify(someone, policy)
    assert isinstance(outcome, Identity), outcome
    return [value for entry in outcome.entries[1:] for value in entry.values()], outcome.notes


def account(value, policy=POLICY):
    return found(policy, accounts=[{"id": value}])


def address(value, policy=POLICY):
    return found(policy, emails=[{"address": value}])


def device(value, policy=POLICY):
    return found(policy, devices=[value if isinstance(value, dict) else {"id": value}])


WORDS = ["null", "None", "UNDEFINED", "(not set)", "true", "False", "no", "n/a", "-", "...", "0.0",
         "0000-00", " user_id ", "[]", "{}", "***"]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_none_is_no_account_no_device_and_no_address(word):
    assert account(word) == ([], ("shared_account",))
    assert device(f"web:7:{word}") == ([], ("placeholder_device",))
    assert address(word) == ([], ("placeholder_email",))
    assert found(emails=[{"hash": word.strip().replace(" ", "_")}])[1] in (
        ("placeholder_email",),
        ("template_left_over",),
        ("not_one_identifier",),
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "nothing",
    ["", "null", "NULL", "Null", "undefined", "None", "0", ZERO, "[object Object]", "nan"],
)
def test_a_digest_of_nothing_is_left_out_whatever_made_it(nothing, algorithm):
    value = digest(nothing, algorithm)
    note = ("hash_of_nothing",)
    assert account(value) == ([], note)
    assert account(value.upper()) == ([], note)
    assert device(f"mob:ios:{algorithm}:{value}") == ([], note)
    assert found(emails=[{"hash": value}]) == ([], note)


@pytest.mark.parametrize(
    "text",
    ["{{user_id}}", "a-{{id}}", "${userId}", "#{id}", "<%= id %>", "[object Object]", "%USER_ID%",
     "%%GAID%%", "{user_id}", "[[USER]]", "[USER_ID]", "$userId", "__USER_ID__",
     "<User object at 0x7f3a>", "function () { return id }"],
)  # fmt: skip
def test_what_a_template_left_over_is_left_out(text):
    note = ("template_left_over",)
    assert account(text) == ([], note)
    assert device(f"web:7:{text}") == ([], note)
    assert address(text) == ([], note)


@pytest.mark.parametrize("text", ['["a", "b"]', "['a']", "[1, 2]", '{"id": 7}', "(a, b)"])
def test_a_list_as_text_is_left_out(text):
    assert account(text) == ([], ("not_one_identifier",))
    assert device(f"web:7:{text}") == ([], ("not_one_identifier",))


@pytest.mark.parametrize(
    "text",
    ["\u200bcrm-7", "crm-7\ufeff", "crm\u00ad-7", "crm\u00a07", "\u202ecrm-7", "crm-\ufffd",
     "a\u2028b", "crm-7\u200d", "\u3164"],
)  # fmt: skip
def test_an_id_with_a_character_that_nobody_sees_is_left_out(text):
    assert account(text) == ([], ("unclean_identifier",))
    assert device(f"web:7:{text}") == ([], ("unclean_identifier",))


@pytest.mark.parametrize(
    "text",
    ["crm-7", "7", "100", "été", "日本", "👩‍👧", "a,b", "50%", "a{b", "x[1]", "nullable", "truest",
     "tests", "user-7", "a (b)", "<7", "a$b", "__init", "0x1", "Test 2", digest("nullable")],
)  # fmt: skip
def test_an_id_that_only_looks_a_little_odd_is_sent(text):
    sent, notes = account(text)
    assert (sent[-1], notes) == (text, ())


@given(st.text(st.sampled_from("abcdefghijk23456789-_.@"), min_size=9, max_size=60))
def test_ids_of_ordinary_characters_are_somebodys(text):
    if any(map(str.isalnum, text)) and not text.startswith("__") and "f" * 8 not in text:
        assert why_unusable(f"k{text}k", GuardPolicy(), WORD) is None


@given(st.text(max_size=80))
def test_any_text_has_an_answer(text):
    why_unusable(text, GuardPolicy(), WORD)


SHA256 = digest("jane.doe@example.com")


@pytest.mark.parametrize(
    "written",
    ["mailto:jane.doe@example.com", "MAILTO: Jane.Doe@example.com?subject=hi",
     "Jane Doe <jane.doe@example.com>", "<jane.doe@example.com>", '"jane.doe@example.com"',
     "jane.doe@example.com.", "jane.doe@example.com;", "jane.doe@example.com...",
     "\ufeffjane.doe@example.com", "jane\u200b.doe@example.com", "jane.doe@example.com,\u00a0"],
)  # fmt: skip
def test_an_address_with_something_around_it_is_repaired_and_counted(written):
    assert address(written) == (["USER_EMAIL", SHA256], ("email_repaired",))
    clear = changed(POLICY, email=EmailPolicy(send_clear=True))
    sent, _ = address(written, clear)
    assert sent[-1].lower() == "jane.doe@example.com"


def test_where_the_datamart_hashes_what_it_gets_nothing_is_repaired():
    raw = changed(POLICY, email=EmailPolicy(normalise=False))
    assert address("mailto:j@example.com", raw)[0][1] == digest("mailto:j@example.com")
    assert address("j\u200b@example.com", raw) == ([], ("unclean_identifier",))


@pytest.mark.parametrize(
    "several",
    ["a@example.com,b@example.com", "a@example.com; b@example.com", "a@example.com b@example.com",
     '["a@example.com"]', "a@example.com|b@example.com"],
)  # fmt: skip
def test_several_addresses_in_one_field_are_none(several):
    assert address(several) == ([], ("not_one_identifier",))


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ("info@shop.example", "role_email"),
        ("Support+eu@shop.example", "role_email"),
        ("no-reply@shop.example", "placeholder_email"),
        ("test@gmail.com", "placeholder_email"),
        ("jane@test.com", "placeholder_email"),
        ("jane@company.invalid", "placeholder_email"),
        ("undefined@undefined", "placeholder_email"),
        ("mailto:info@shop.example", "role_email"),
    ],
)
def test_an_address_that_is_no_persons_is_left_out_also_where_its_hash_is_given(given, note):
    assert address(given) == ([], (note,))
    assert found(emails=[{"address": given, "hash": SHA256}]) == ([], (note,))


@pytest.mark.parametrize("given", ["infos@shop.example", "j.support@shop.example", "a@x.fr"])
def test_an_address_that_only_looks_like_a_role_is_sent(given):
    assert address(given) == (["USER_EMAIL", digest(given)], ())


@pytest.mark.parametrize(
    "value",
    ["opted_out", "DENIED", "not available", "9774d56d682e549c", "02:00:00:00:00:00"],
)
def test_a_device_that_opted_out_is_left_out(value):
    note = ("opted_out_device",)
    assert device(f"net:9:{value}") == ([], note)
    assert device({"os": "android", "advertising_id": value}) == ([], note)


def test_a_device_id_that_ends_in_zeros_behind_a_colon_is_a_device():
    """An address of a network card has colons of its own; only all of it can mean none."""
    assert device("net:9:a4:5e:60:00") == (["USER_AGENT", "net:9:a4:5e:60:00"], ())
    assert device("net:9:00:00:00:00:00:00") == ([], ("placeholder_device",))


IDFA, AAID = "6D92078A-8246-4BA4-AE5B-76104861E7DC", "cdda802e-fb9c-47ad-9866-0794d394c912"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"os": "ios", "advertising_id": IDFA.lower()}, f"mob:ios:raw:{IDFA}"),
        ({"os": "android", "advertising_id": AAID.upper()}, f"mob:and:raw:{AAID}"),
        ({"id": f"mob:ios:raw:{IDFA.lower()}"}, f"mob:ios:raw:{IDFA}"),
    ],
)
def test_an_advertising_id_is_written_as_its_system_does(given, sent):
    assert device(given) == (["USER_AGENT", sent], ("advertising_id_case",))
    as_it_comes = changed(POLICY, guard=GuardPolicy(normalise_advertising_ids=False))
    assert device(given, as_it_comes)[1] == ()


@pytest.mark.parametrize(
    "given",
    [f"mob:ios:raw:{IDFA}", f"mob:and:raw:{AAID}", f"web:7:{IDFA.lower()}", "mob:ios:raw:6d9"],
)
def test_other_ids_keep_their_case(given):
    assert device(given) == (["USER_AGENT", given], ())


def test_the_settings_extend_each_of_these():
    policy = IdentityPolicy(
        default_compartment_id="1000",
        guard=GuardPolicy(
            placeholders=["Kein-Konto"],
            role_names=["Filiale"],
            shared_emails=["@kiosk.example", "Shop@x.example"],
        ),
    )
    assert account("kein-konto", policy) == ([], ("shared_account",))
    for form in ("Kein-Konto", "kein-konto", "KEIN-KONTO"):
        assert account(digest(form, "md5"), policy) == ([], ("hash_of_nothing",))
    assert address("kein-konto@x.example", policy) == ([], ("placeholder_email",))
    assert address("filiale@x.example", policy) == ([], ("role_email",))
    assert address("jane@KIOSK.example", policy) == ([], ("shared_email",))
    assert found(policy, emails=[{"hash": digest("shop@x.example")}]) == ([], ("shared_email",))
    guard = GuardPolicy(leave_out_role_addresses=False)
    lenient = IdentityPolicy(default_compartment_id="1000", guard=guard)
    assert address("info@x.example", lenient)[1] == ()


def test_where_nothing_is_left_the_event_is_dead_lettered_and_says_why():
    someone = User.model_validate({"accounts": [{"id": "{{id}}"}], "emails": [{"address": "null"}]})
    outcome = identify(someone, POLICY)
    assert isinstance(outcome, Unmappable)
    assert outcome.code == "no_identifier"
    assert "{{id}}" not in outcome.reason


def test_digests_are_of_every_way_to_write_a_word():
    assert {digest(form, "sha1") for form in ("ab", "AB", "Ab")} <= digests_of(["ab"])
