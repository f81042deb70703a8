"""What of a changed settings file can hold at once, and what needs a restart."""

from pathlib import Path

import pytest

from relay.settings import load
from relay.settings.changes import needing_restart

BEFORE = """
kafka: {topics: [events]}
delivery: {max_in_flight: 32}
destinations:
  - {name: fr, datamart_id: 1, api_token: secret-of-fr}
routing: {field: site_id, table: {F: fr}}
"""
FR = "{name: fr, datamart_id: 1, api_token: secret-of-fr}"
DE = "{name: de, datamart_id: 2, api_token: secret-of-de}"
MORE = BEFORE.replace(FR, f"{FR}\n  - {DE}")


@pytest.fixture(autouse=True)
def _directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def needing(text):
    def loaded(text):
        Path("relay.yaml").write_text(text)
        return load(None, {})

    return needing_restart(loaded(BEFORE), loaded(text))


@pytest.mark.parametrize(
    "text",
    [
        BEFORE,
        MORE,
        MORE.replace("{F: fr}", "{F: fr, D: de}"),
        BEFORE.replace(FR, f"{DE}\n  - {FR}"),
        BEFORE.replace("{F: fr}", "{F: fr, G: fr}"),
    ],
)
def test_destinations_may_be_added_and_routes_changed(text):
    assert needing(text) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[events]", "[events, more]", ["kafka.topics"]),
        ("max_in_flight: 32", "max_in_flight: 33", ["delivery.max_in_flight"]),
        ("secret-of-fr", "secret-of-it", ["destinations[fr].api_token"]),
        ("name: fr", "name: it", ["destinations[fr]"]),
        ("datamart_id: 1", "datamart_id: 1, limits: {rate_per_second: 5}",
         ["destinations[fr].limits.rate_per_second"]),
        ("destinations:", "tracking: {datamart_id: 3, api_token: another-secret}\ndestinations:",
         ["tracking"]),
        ("secret-of-de}", "secret-of-de, limits: {rate_per_second: 5, rate_shared: true}}",
         ["limits.rate_shared of a new destination, the first that has it"]),
    ],
)  # fmt: skip
def test_what_else_differs_is_named_without_its_value(old, new, told):
    assert needing(MORE.replace(old, new).replace("{F: fr}", "{D: de}")) == told
