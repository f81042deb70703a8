"""Settings of reading and mapping → the policies that decide."""

import hashlib
import json

import pytest

from relay.errors import SettingsError
from relay.settings import load

NEEDS = ["decoding", "identity", "mapping"]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def settings(**sections):
        (tmp_path / "relay.yaml").write_text(json.dumps(sections))
        return load(environ={}, needs=NEEDS)

    return settings


def test_what_is_counted_in_days_and_hours_is_decided_in_milliseconds(settings):
    given = settings(mapping={"past_max_days": 2, "future_max_hours": 3})
    policy = given.mapping.complete(given.identity, "1234")
    assert policy.datamart_id == "1234"
    assert policy.past_max_ms == 172_800_000
    assert policy.future_max_ms == 10_800_000


def test_ids_and_names_of_the_settings_are_texts_in_any_letter_case(settings):
    given = settings(
        identity={
            "default_compartment_id": 1000,
            "compartments": {"crm": 1700},
            "guard": {"shared_accounts": ["Kiosk"]},
        },
        mapping={"default_app_id": 1023},
    )
    assert given.identity.default_compartment_id == "1000"
    assert given.identity.compartments == {"crm": "1700"}
    assert given.identity.guard.folded_accounts == {"kiosk"}
    assert given.mapping.default_app_id == "1023"


def test_a_shared_address_is_known_by_its_hash_too(settings):
    given = settings(identity={"guard": {"shared_emails": ["Shop@example.com", "ABCD"]}})
    assert given.identity.shared_hashes == {
        "shop@example.com",
        hashlib.sha256(b"shop@example.com").hexdigest(),
        "abcd",
    }


def test_a_session_status_that_only_the_platform_makes_is_refused(settings):
    with pytest.raises(SettingsError, match=r"mapping\.session_status"):
        settings(mapping={"session_status": "SESSION_SNAPSHOT"})
