"""Settings of reading and mapping → the policies that decide."""

import hashlib
import json

import pytest

from relay.errors import SettingsError
from relay.settings import load
from relay.stream.decoding import DecodingPolicy
from relay.stream.mapping import MappingPolicy
from relay.stream.mapping.policy import (
    ChoiceRoute,
    EmailHashing,
    IdentityForm,
    ProfileRoute,
    ReservedNames,
    UpdateStrategy,
)

NEEDS = ["decoding", "identity", "mapping"]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def settings(**sections):
        (tmp_path / "relay.yaml").write_text(json.dumps(sections))
        return load(environ={}, needs=NEEDS)

    return settings


def test_settings_that_say_nothing_are_the_defaults_of_the_policies(settings):
    given = settings()
    assert given.decoding.policy() == DecodingPolicy()
    assert given.mapping.policy(given.identity) == MappingPolicy()


def test_what_is_set_arrives_in_the_policy(settings):
    given = settings(
        decoding={"record_bytes_max": 10, "null_value": "dead_letter"},
        identity={
            "form": "legacy",
            "default_compartment_id": 1000,
            "compartments": {"crm": 1700},
            "missing_compartment": "platform",
            "compartment_as_number": True,
            "email": {"hash": "md5", "normalise": False, "send_clear": True},
            "guard": {"shared_accounts": ["Kiosk"], "accounts_max": 2},
        },
        mapping={
            "session_status": "IN_SESSION",
            "unique_key": False,
            "source": "shop",
            "past_max_days": 2,
            "future_max_hours": 3,
            "reserved_names": "rename",
            "default_app_id": 1023,
            "required_processings": ["2048"],
            "profile_route": "user_profiles",
            "choice_route": "user_choices",
            "update_strategy": "legacy_merge",
        },
    )
    assert given.decoding.policy() == DecodingPolicy(record_bytes_max=10, skip_null_value=False)
    policy = given.mapping.policy(given.identity, "1234")
    assert policy.datamart_id == "1234"
    assert policy.profile_route is ProfileRoute.USER_PROFILES
    assert policy.choice_route is ChoiceRoute.USER_CHOICES
    assert policy.update_strategy is UpdateStrategy.LEGACY_MERGE
    assert policy.identity.form is IdentityForm.LEGACY
    assert policy.identity.default_compartment_id == "1000"
    assert policy.identity.compartments == {"crm": "1700"}
    assert policy.identity.missing_compartment == "platform"
    assert policy.identity.compartment_as_number
    assert policy.identity.email.hashing is EmailHashing.MD5
    assert not policy.identity.email.normalise
    assert policy.identity.email.send_clear
    assert policy.identity.guard.shared_accounts == {"kiosk"}
    assert policy.identity.guard.accounts_max == 2
    assert policy.session_status == "IN_SESSION"
    assert not policy.unique_key
    assert policy.source == "shop"
    assert policy.past_max_ms == 172_800_000
    assert policy.future_max_ms == 10_800_000
    assert policy.reserved_names is ReservedNames.RENAME
    assert policy.default_app_id == "1023"
    assert policy.required_processings == ("2048",)


def test_a_shared_address_is_known_by_its_hash_too(settings):
    given = settings(identity={"guard": {"shared_emails": ["Shop@example.com", "ABCD"]}})
    assert given.identity.policy().guard.shared_emails == {
        "shop@example.com",
        hashlib.sha256(b"shop@example.com").hexdigest(),
        "abcd",
    }


def test_a_session_status_that_only_the_platform_makes_is_refused(settings):
    with pytest.raises(SettingsError, match=r"mapping\.session_status"):
        settings(mapping={"session_status": "SESSION_SNAPSHOT"})
