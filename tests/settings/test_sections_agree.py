"""What sections say about one another."""

import pytest

from relay.errors import SettingsError
from relay.settings import load

NEEDED = {
    "RELAY_TRACKING__API_TOKEN": "token",
    "RELAY_TRACKING__DATAMART_ID": "1",
}


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_group_must_wait_longer_than_a_drain_may_take():
    given = {
        "RELAY_KAFKA__REBALANCE_TIMEOUT_S": "24",
        "RELAY_DELIVERY__REVOKE_BUDGET_S": "20",
    }

    with pytest.raises(SettingsError, match=r"rebalance_timeout_s \(24\).*revoke_budget_s \(20\)"):
        load(None, NEEDED | given)
    load(None, NEEDED | given | {"RELAY_KAFKA__REBALANCE_TIMEOUT_S": "25"})


def test_the_defaults_agree():
    load(None, NEEDED)
